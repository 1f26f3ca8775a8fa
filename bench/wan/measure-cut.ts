import { setTimeout as sleep } from 'node:timers/promises';
import { type Fleet, type Ground, prefixOf } from './fleet.ts';
import { nowMs } from './http.ts';
import { type Region, regions } from './network.ts';
import type { Fared, Repeated } from './orders.ts';

/** Who does not answer within this time has not answered: clients give up about then. */
const limitMs = 5000;
/** The load is about availability; it leaves the machine to the servers. */
const everyMs = 200;
/** How long equality is waited for after healing. */
const equalMsMax = 120_000;
/** An unreachable server may keep all of these waiting for `limitMs`: they are tried at once, and once. */
const triedInVain = 200;

export interface CutOff {
  /** How requests fared in a region while one was cut off, by region, then by the name of the request. */
  readonly fared: Readonly<Record<Region, Readonly<Record<string, Fared>>>>;
}

export interface Healed {
  /** Writes that were taken while the region was cut off: by it, and by the others. */
  readonly taken: { readonly cutOff: number; readonly others: number };
  /** Until the region that was cut off held the first change of the others. */
  readonly firstMs: number | undefined;
  /** Until every server held the same keys and values; undefined: not within two minutes. */
  readonly equalMs: number | undefined;
  /** Until the region that was cut off took a write again. */
  readonly writableMs: number | undefined;
}

/** The requests of the load in one region. */
export const kinds = {
  readsOwn: 'reads of its own keys',
  readsOthers: "reads of others' keys",
  readsStale: 'reads with ?stale',
  writesOwn: 'writes to its own keys',
} as const;

function requestsIn(region: Region): readonly Repeated[] {
  const other = regions.find((name) => name !== region) ?? region;
  const own = prefixOf(region);
  return [
    { name: kinds.readsOwn, method: 'GET', path: `/v1/kv/${own}known` },
    { name: kinds.readsOthers, method: 'GET', path: `/v1/kv/${prefixOf(other)}known` },
    { name: kinds.readsStale, method: 'GET', path: `/v1/kv/${own}known?stale` },
    { name: kinds.writesOwn, method: 'PUT', path: `/v1/kv/${own}cut-{n}`, body: 'value-{n}' },
  ];
}

/** Writes the keys that are read during the cut, and waits until all servers have them. */
export async function prepareCut({ clients }: Ground, fleet: Fleet): Promise<void> {
  for (const region of regions) {
    const key = `${prefixOf(region)}known`;
    await clients[region].order('write', { server: fleet.server(region), key, value: 'known' });
  }
  for (const region of regions) {
    const server = fleet.server(region);
    for (const other of regions) {
      const path = `/v1/kv/${prefixOf(other)}known?stale`;
      while ((await clients[region].order('ask', { server, path })).status !== 200) await sleep(50);
    }
  }
}

/** The load in all regions while one is cut off; ends with all its requests answered or given up, before `forMs`. */
export async function measureCut({ clients }: Ground, fleet: Fleet, forMs: number): Promise<CutOff> {
  const fared = await Promise.all(
    regions.map(async (region) => {
      const load = { server: fleet.server(region), requests: requestsIn(region), everyMs, limitMs };
      return [
        region,
        await clients[region].order('load', { ...load, forMs: Math.max(everyMs, forMs - limitMs) }),
      ] as const;
    }),
  );
  return { fared: Object.fromEntries(fared) as Record<Region, Record<string, Fared>> };
}

const changesUnder = (region: Region): string => `${prefixOf(region)}changed-while-cut/`;

/** Writes on both sides of the cut: `changes` in the region, as many in the others together. */
export async function changeBothSides(
  { clients }: Ground,
  fleet: Fleet,
  cutOff: Region,
  changes: number,
): Promise<Healed['taken']> {
  const fill = async (region: Region, count: number, atOnce: number): Promise<number> => {
    const fared = await clients[region].order('fill', {
      server: fleet.server(region),
      prefix: changesUnder(region),
      count,
      atOnce,
      limitMs,
    });
    return fared.succeeded;
  };
  const others = regions.filter((region) => region !== cutOff);
  const atOnce = fleet.name === 'Consul' ? 256 : 32;
  const [inside, ...outside] = await Promise.all([
    fleet.name === 'Consul' ? fill(cutOff, triedInVain, triedInVain) : fill(cutOff, changes, atOnce),
    ...others.map((region) => fill(region, changes / others.length, atOnce)),
  ]);
  return { cutOff: inside, others: outside.reduce((sum, count) => sum + count, 0) };
}

/** To be called at the moment of healing: how long until all is as if nothing had been. */
export async function measureHealing(
  ground: Ground,
  fleet: Fleet,
  cutOff: Region,
  taken: Healed['taken'],
): Promise<Healed> {
  const healedMs = nowMs();
  const [firstAtMs, equalAtMs, writableAtMs] = await Promise.all([
    untilFirst(ground, fleet, cutOff, healedMs + equalMsMax),
    untilEqual(ground, fleet, taken.cutOff + taken.others, healedMs + equalMsMax),
    untilWritable(ground, fleet, cutOff, healedMs + equalMsMax),
  ]);
  return {
    taken,
    firstMs: firstAtMs === undefined ? undefined : firstAtMs - healedMs,
    equalMs: equalAtMs === undefined ? undefined : equalAtMs - healedMs,
    writableMs: writableAtMs === undefined ? undefined : writableAtMs - healedMs,
  };
}

async function untilFirst(
  { clients }: Ground,
  fleet: Fleet,
  region: Region,
  deadlineMs: number,
): Promise<number | undefined> {
  const server = fleet.server(region);
  const others = regions.filter((name) => name !== region);
  while (nowMs() < deadlineMs) {
    const counts = await Promise.all(
      others.map((of) => clients[region].order('count', { server, prefix: changesUnder(of) })),
    );
    if (counts.some((count) => count > 0)) return nowMs();
    await sleep(50);
  }
  return undefined;
}

/** When all servers held all that was taken, and the same. */
async function untilEqual(
  { clients }: Ground,
  fleet: Fleet,
  expected: number,
  deadlineMs: number,
): Promise<number | undefined> {
  const sumIn = async (region: Region): Promise<number> => {
    const server = fleet.server(region);
    const counts = await Promise.all(
      regions.map((of) => clients[region].order('count', { server, prefix: changesUnder(of) })),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const digestIn = async (region: Region): Promise<string> => {
    const server = fleet.server(region);
    const digests = await Promise.all(
      regions.map((of) => clients[region].order('digest', { server, prefix: changesUnder(of) })),
    );
    return digests.join(' ');
  };
  while (nowMs() < deadlineMs) {
    const sums = await Promise.all(regions.map(sumIn));
    const atMs = nowMs();
    // What timed out may still have been taken, so there may be more than was acknowledged, never less.
    if (sums.every((sum) => sum >= expected && sum === sums[0])) {
      const digests = await Promise.all(regions.map(digestIn));
      if (new Set(digests).size === 1) return atMs;
    }
    await sleep(200);
  }
  return undefined;
}

async function untilWritable(
  { clients }: Ground,
  fleet: Fleet,
  region: Region,
  deadlineMs: number,
): Promise<number | undefined> {
  while (nowMs() < deadlineMs) {
    // One try that hangs shall not hide that the next would have been taken.
    const tries = await clients[region].order('load', {
      server: fleet.server(region),
      requests: [
        { name: 'try', method: 'PUT', path: `/v1/kv/${prefixOf(region)}again`, body: String(nowMs()) },
      ],
      everyMs: 1,
      forMs: 1,
      limitMs: 1000,
    });
    if ((tries['try']?.succeeded ?? 0) > 0) return nowMs();
    await sleep(100);
  }
  return undefined;
}
