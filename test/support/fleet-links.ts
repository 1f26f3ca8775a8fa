import { type Links, openLinks } from './link-relay.ts';
import { type PortBlock, takePortBlock } from './port-block.ts';

/** What links between gateways are like: times and shares by the names of their regions. */
export interface FleetLinksPlan {
  readonly delayMs: (fromRegion: string, toRegion: string) => number;
  readonly lossShare?: (fromRegion: string, toRegion: string) => number;
  readonly random?: () => number;
}

interface Place {
  readonly name: string;
  readonly region: string;
}

/** The addresses of gateways that reach each other over links that can be cut. Linux only. */
export interface FleetLinks {
  readonly serfLanPort: number;
  readonly serfWanPort: number;
  bindAddress(name: string): string;
  advertiseAddress(name: string): string;
  cut(a: string, b: string): void;
  heal(a: string, b: string): void;
  /** Cuts off some gateways from all others; among themselves they go on. */
  cutOff(names: readonly string[]): void;
  healAll(): void;
  readonly counters: Links['counters'];
  close(): Promise<void>;
}

/** Opens links between the gateways. The block of ports that they hold also makes their addresses theirs alone. */
export async function openFleetLinks(places: readonly Place[], plan: FleetLinksPlan): Promise<FleetLinks> {
  const block = await takePortBlock();
  try {
    return await open(places, plan, block);
  } catch (error) {
    await block.release();
    throw error;
  }
}

async function open(places: readonly Place[], plan: FleetLinksPlan, block: PortBlock): Promise<FleetLinks> {
  const serfLanPort = block.port(0);
  const serfWanPort = block.port(1);
  const number = Math.floor(serfLanPort / 10);
  const net = `127.${10 + (Math.floor(number / 250) % 50)}.${number % 250}`;
  const indexOf = (name: string): number => {
    const index = places.findIndex((place) => place.name === name);
    if (index < 0) throw new Error(`no gateway of these links is called ${name}`);
    return index + 1;
  };
  const regionOf = (name: string): string => places[indexOf(name) - 1]?.region ?? '';
  const bindAddress = (name: string): string => `${net}.${indexOf(name)}`;
  const advertiseAddress = (name: string): string => `${net}.${indexOf(name) + 100}`;
  const { delayMs, lossShare, random } = plan;
  const links = await openLinks({
    nodes: places.map(({ name }) => ({
      name,
      address: bindAddress(name),
      advertiseAddress: advertiseAddress(name),
      ports: [serfLanPort, serfWanPort],
    })),
    delayMs: (from, to) => delayMs(regionOf(from), regionOf(to)),
    ...(lossShare === undefined
      ? {}
      : { lossShare: (from: string, to: string) => lossShare(regionOf(from), regionOf(to)) }),
    ...(random === undefined ? {} : { random }),
  });
  const names = places.map(({ name }) => name);
  return {
    ...{ serfLanPort, serfWanPort, bindAddress, advertiseAddress, counters: links.counters },
    cut: (a, b) => links.cut(a, b),
    heal: (a, b) => links.heal(a, b),
    cutOff: (some) => {
      const others = names.filter((name) => !some.includes(name));
      for (const name of some) for (const other of others) links.cut(name, other);
    },
    healAll: () => {
      for (const [i, a] of names.entries()) for (const b of names.slice(i + 1)) links.heal(a, b);
    },
    close: async () => {
      await links.close();
      await block.release();
    },
  };
}
