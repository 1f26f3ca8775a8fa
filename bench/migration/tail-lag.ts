import { FleetClient } from '../../test/support/fleet-client.ts';
import { type Figures, figures } from '../wan/figures.ts';
import type { Server } from '../wan/orders.ts';
import { WireClient } from '../wan/wire-client.ts';
import { keyAt, valueOf } from './data.ts';
import { pause } from './moved.ts';

/** Of the changes so many are watched: each by a query that waits at the gateway. */
const watchedEvery = 10;
const writersCount = 24;
const seenMsMax = 30_000;

export interface TailLag extends Figures {
  readonly watched: number;
  /** Changes that were made, a second. */
  readonly perSecond: number;
  /** Watched changes that were not seen in time. */
  readonly missing: number;
}

/**
 * Changes keys at the source, so many a second, and takes the time from the source's answer until a query that waits at
 * the gateway is answered with the new value. `keyOf` says which key the n-th change is about; none twice.
 */
export async function measureTailLag(
  source: Server,
  gatewayUrl: string,
  keyOf: (n: number) => number,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<TailLag> {
  const gateway = new FleetClient(gatewayUrl);
  const writers = await Promise.all(Array.from({ length: writersCount }, () => WireClient.open(source)));
  const idle = [...writers];
  const lagsMs: number[] = [];
  const open = new Set<Promise<void>>();
  const failures: string[] = [];
  let missing = 0;
  const change = async (writer: WireClient, n: number): Promise<void> => {
    const key = keyAt(keyOf(n));
    const value = valueOf(`change ${n} at ${Math.round(performance.now())} `);
    const isWatched = n % watchedEvery === 0;
    const seen = isWatched ? await watch(gateway, key, value) : undefined;
    const answer = await writer.put(`/v1/kv/${key}`, value);
    const acknowledgedMs = performance.now();
    idle.push(writer);
    if (answer.body.trim() !== 'true') failures.push(`${answer.status} ${answer.body}`);
    if (seen === undefined) return;
    const seenMs = await seen.atMs;
    if (seenMs === undefined) missing += 1;
    else lagsMs.push(Math.max(0, seenMs - acknowledgedMs));
  };
  const startedMs = performance.now();
  let made = 0;
  while (performance.now() - startedMs < seconds * 1000) {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * perSecond);
    while (made < due) {
      const writer = idle.pop();
      if (writer === undefined) break;
      const changed = change(writer, made).catch((error: unknown) => void failures.push(String(error)));
      open.add(changed);
      void changed.finally(() => open.delete(changed));
      made += 1;
    }
    await pause(2);
  }
  const tookMs = performance.now() - startedMs;
  await Promise.all(open);
  for (const writer of writers) writer.close();
  gateway.close();
  if (failures.length > 0) throw new Error(`${failures.length} changes failed: ${failures[0]}`);
  return { ...figures(lagsMs), watched: lagsMs.length, missing, perSecond: made / (tookMs / 1000) };
}

/** Asks what is there, and waits for the new value from then on. */
async function watch(
  gateway: FleetClient,
  key: string,
  value: string,
): Promise<{ readonly atMs: Promise<number | undefined> }> {
  const { index } = await gateway.get(`/v1/kv/${key}?raw`);
  const follow = async (): Promise<number | undefined> => {
    const endMs = performance.now() + seenMsMax;
    for (let at = index; performance.now() < endMs;) {
      const answer = await gateway.get(`/v1/kv/${key}?raw&index=${at}&wait=10s`);
      if (answer.text === value) return performance.now();
      at = answer.index;
    }
    return undefined;
  };
  return { atMs: follow() };
}
