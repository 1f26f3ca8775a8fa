import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import type { HostFacts } from './ip-address.ts';

/** Reads this machine's name, addresses and default route. */
export function readHostFacts(): HostFacts {
  return {
    hostname: hostname(),
    interfaces: Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
      (addresses ?? []).map((each) => ({
        interface: name,
        address: each.address,
        family: each.family,
        prefixBits: Number(each.cidr?.split('/')[1] ?? 0),
        mac: each.mac,
        loopback: each.internal,
      })),
    ),
    defaultInterface: defaultInterface(),
  };
}

/** Linux says it in /proc/net/route; elsewhere templates order by address family alone. */
function defaultInterface(): string | undefined {
  try {
    const routes = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
    return routes.map((route) => route.split('\t')).find((fields) => fields[1] === '00000000')?.[0];
  } catch {
    return undefined;
  }
}
