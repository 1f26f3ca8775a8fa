import { setTimeout as sleep } from 'node:timers/promises';
import { type Figures, figures } from './figures.ts';
import { type Fleet, type Ground, prefixOf } from './fleet.ts';
import { directions, type Region, regions } from './network.ts';
import type { Seen } from './orders.ts';

/** Programs that have just started are slow, and no fleet has just started. */
const warmMs = 6000;

/** PUTs in every region to the keys of its own, all regions at the same time, one after the other in each. */
export async function measureOwnPuts(
  { clients }: Ground,
  fleet: Fleet,
  count: number,
): Promise<Readonly<Record<Region, Figures>>> {
  const took = await Promise.all(
    regions.map(async (region) => {
      const prefix = `${prefixOf(region)}put/`;
      const answer = await clients[region].order('put', {
        server: fleet.server(region),
        prefix,
        count,
        pauseMs: 10,
        warmMs,
      });
      return [region, figures(answer.tookMs)] as const;
    }),
  );
  return Object.fromEntries(took) as Record<Region, Figures>;
}

/** PUTs through the server of `from` to keys of `to`, by `from to`. */
export async function measureForeignPuts(
  { clients }: Ground,
  fleet: Fleet,
  count: number,
): Promise<ReadonlyMap<string, Figures>> {
  const took = await Promise.all(
    directions.map(async ([from, to]) => {
      const prefix = `${prefixOf(to)}through-${from}/`;
      const answer = await clients[from].order('put', {
        server: fleet.server(from),
        prefix,
        count,
        pauseMs: 10,
        warmMs: 0,
      });
      return [`${from} ${to}`, figures(answer.tookMs)] as const;
    }),
  );
  return new Map(took);
}

/** How soon a change was seen elsewhere, from the moment at which the writer sent it. */
export interface Visibility {
  /** By blocking queries as clients send them. */
  readonly usual: Figures;
  /** By blocking queries with `?stale`. */
  readonly stale: Figures;
}

/**
 * Changes in every region, seen by blocking queries in every other, by `from to`. A change is made once the one
 * before was seen everywhere, so that none is overtaken by the next.
 */
export async function measureVisibility(
  ground: Ground,
  fleet: Fleet,
  count: number,
): Promise<ReadonlyMap<string, Visibility>> {
  const measured = await Promise.all(regions.map((from) => measureChangesOf(ground, fleet, from, count)));
  return new Map(measured.flat());
}

async function measureChangesOf(
  { clients }: Ground,
  fleet: Fleet,
  from: Region,
  count: number,
): Promise<readonly (readonly [string, Visibility])[]> {
  const key = `${prefixOf(from)}visible`;
  const writer = { server: fleet.server(from), key };
  await clients[from].order('write', { ...writer, value: 'before' });
  const watchers = regions
    .filter((region) => region !== from)
    .flatMap((at) => [
      { at, query: '', watch: `${fleet.name} ${from} ${at}` },
      { at, query: 'stale', watch: `${fleet.name} ${from} ${at} stale` },
    ]);
  const seenAtMs = new Map<string, Map<string, number>>();
  let check = (): void => {};
  const saw = ({ watch, value, atMs }: Seen): void => {
    seenAtMs.get(watch)?.set(value, atMs);
    check();
  };
  for (const { at, query, watch } of watchers) {
    seenAtMs.set(watch, new Map());
    clients[at].onSeen(saw);
    const server = fleet.server(at);
    await clients[at].order('watch', { server, key, query, watch });
  }
  const startedMs = new Map<string, number>();
  for (let n = 0; n < count; n++) {
    const value = `change-${n}`;
    const everywhere = new Promise<void>((resolve) => {
      check = () => {
        if ([...seenAtMs.values()].every((seen) => seen.has(value))) resolve();
      };
    });
    const written = await clients[from].order('write', { ...writer, value });
    startedMs.set(value, written.startedMs);
    check();
    await Promise.race([everywhere, sleep(5000)]);
    // The watchers are on their way back to the servers, and it shall not always be the same moment of any clock.
    await sleep(10 + Math.random() * 20);
  }
  for (const { at, watch } of watchers) await clients[at].order('unwatch', { watch });
  const delays = (watch: string): Figures =>
    figures(
      [...startedMs].map(
        ([value, atMs]) => (seenAtMs.get(watch)?.get(value) ?? Number.POSITIVE_INFINITY) - atMs,
      ),
    );
  return watchers
    .filter(({ query }) => query === '')
    .map(({ at, watch }) => [`${from} ${at}`, { usual: delays(watch), stale: delays(`${watch} stale`) }]);
}
