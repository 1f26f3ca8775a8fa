import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
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
  /** What its servers printed last. */
  logs(): string;
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

/** A server of a fleet, as far as its start goes. */
export interface StartedServer {
  /** Why it will never be ready: its process has ended. */
  ended(): string | undefined;
  /** What it printed last. */
  log(): string;
}

/** Starts one server of a fleet; what it prints goes to a file that is shown when the start fails. */
export function startServer(
  { keeper, network }: Ground,
  region: Region,
  name: string,
  command: string,
  args: (dataDir: string) => readonly string[],
): StartedServer {
  const dir = join(keeper.place, name);
  mkdirSync(dir);
  const child = network.spawn(region, command, args(join(dir, 'data')), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const file = join(dir, 'log');
  const log = createWriteStream(file);
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  let ended: string | undefined;
  child.once('exit', (code, signal) => {
    ended = `${name} ended with ${signal ?? code}`;
  });
  return {
    ended: () => ended,
    log: () => `--- ${name}\n${existsSync(file) ? readFileSync(file, 'utf8').slice(-3000) : ''}`,
  };
}

export function logsOf(servers: Readonly<Record<Region, StartedServer>>): string {
  return regions.map((region) => servers[region].log()).join('\n');
}

/** Waits until every server says yes. Rejects with what they printed when one ends, or after `msMax`. */
export async function untilAll(
  servers: Readonly<Record<Region, StartedServer>>,
  what: string,
  msMax: number,
  ready: (region: Region) => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + msMax;
  const all = regions.map((region) => servers[region]);
  for (const region of regions) {
    while (!(await ready(region).catch(() => false))) {
      const ended = all.map((server) => server.ended()).find((why) => why !== undefined);
      if (ended !== undefined || performance.now() > deadline) {
        const why = ended ?? `the server in ${region} was not ${what} within ${msMax / 1000} s`;
        throw new Error(`${why}; the servers printed last:\n${logsOf(servers)}`);
      }
      await sleep(100);
    }
  }
}
