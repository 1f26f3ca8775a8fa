import { openLinks } from '../../test/support/link-relay.ts';
import type { Keeper } from './keeper.ts';
import { delayMs, portsBetweenRegions, type Region, regions, type WanNetwork } from './network.ts';

/**
 * The same without root: loopback addresses for regions, and relays in this process between them. Addresses come
 * from the process id, so that two runs do not meet.
 */
export async function openRelays(keeper: Keeper): Promise<WanNetwork> {
  const net = `127.${200 + (process.pid % 50)}.${Math.floor(process.pid / 50) % 250}`;
  const bindAddress = (region: Region): string => `${net}.${regions.indexOf(region) + 1}`;
  const advertiseAddress = (region: Region): string => `${net}.${regions.indexOf(region) + 101}`;
  const links = await openLinks({
    nodes: regions.map((region) => ({
      name: region,
      address: bindAddress(region),
      advertiseAddress: advertiseAddress(region),
      ports: portsBetweenRegions,
    })),
    delayMs: (from, to) => delayMs(from as Region, to as Region),
  });
  const others = (region: Region): readonly Region[] => regions.filter((other) => other !== region);
  return {
    how: 'relays (no root: no network namespaces)',
    bindAddress,
    advertiseAddress,
    spawn: (_region, command, args, options) => keeper.spawn(command, args, options),
    cutOff: (region) => Promise.resolve(others(region).forEach((other) => links.cut(region, other))),
    heal: (region) => Promise.resolve(others(region).forEach((other) => links.heal(region, other))),
    report: () => {
      const { datagramsCarried, datagramsLost, connectionsCarried } = links.counters;
      return Promise.resolve(
        `${datagramsCarried} datagrams and ${connectionsCarried} connections carried, ${datagramsLost} datagrams lost`,
      );
    },
    close: () => links.close(),
  };
}
