import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RegionClient } from './client.ts';
import type { Keeper } from './keeper.ts';
import { type Region, regions, type WanNetwork } from './network.ts';
import type { Server } from './orders.ts';

/** Three servers, one in each region, that make one datacenter. */
export interface Fleet {
  readonly name: 'Grapevine' | 'Consul';
  server(region: Region): Server;
  /** What there is to know about it before reading its figures. */
  describe(): Promise<string>;
}

/** What both kinds of fleets are made in. */
export interface Ground {
  readonly keeper: Keeper;
  readonly network: WanNetwork;
  readonly clients: Readonly<Record<Region, RegionClient>>;
}

/** The keys that a region writes: in a fleet of gateways it owns them. */
export function prefixOf(region: Region): string {
  return `${region.toLowerCase()}/`;
}

/** Starts one server of a fleet; what it prints goes to a file that is shown when the start fails. */
export function startServer(
  { keeper, network }: Ground,
  region: Region,
  name: string,
  command: string,
  args: (dataDir: string) => readonly string[],
): void {
  const dir = join(keeper.place, name);
  mkdirSync(dir);
  const child = network.spawn(region, command, args(join(dir, 'data')), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(join(dir, 'log'));
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
}

/** Waits until every server says yes. Rejects, with what the servers printed last, after `msMax`. */
export async function untilAll(
  ground: Ground,
  what: string,
  names: Readonly<Record<Region, string>>,
  msMax: number,
  ready: (region: Region) => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + msMax;
  for (const region of regions) {
    while (!(await ready(region).catch(() => false))) {
      if (performance.now() > deadline) {
        const log = readFileSync(join(ground.keeper.place, names[region], 'log'), 'utf8');
        throw new Error(`${names[region]}: not ${what} in time; it printed last:\n${log.slice(-3000)}`);
      }
      await sleep(100);
    }
  }
}
