import { Kind } from '../../../src/state/kinds.ts';
import { decodeKv } from '../../../src/state/values.ts';
import type { ReadView } from '../../../src/state/store.ts';
import type { ConsulReader, KvEntry } from '../../source/consul-reader.ts';
import type { Clock } from '../../clock.ts';
import { pairs } from '../reverse/sweep.ts';
import { isMachinery } from '../reverse/reverse.ts';

/** What a look at every key of both sides found. */
export interface Verification {
  readonly compared: number;
  readonly equal: number;
  /** Differences that were still there when they were looked at again, with nothing changed meanwhile. */
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** The first few of them. */
  readonly keys: readonly string[];
  readonly tookMs: number;
}

/** When a difference is looked at again: what is on its way has arrived by then. */
const againMs = [1000, 5000];
const shownMax = 100;

/** Compares every key below a prefix, both ways. */
export async function verifyKv(
  reader: ConsulReader,
  view: ReadView,
  clock: Clock,
  prefix: string,
): Promise<Verification> {
  const startMs = clock.now();
  let compared = 0;
  let suspects: string[] = [];
  for await (const leaf of pairs(reader, view, prefix)) {
    for (const { key, there } of leaf) {
      if (isMachinery(key)) continue;
      compared += 1;
      if (verdictOf(view, key, there) !== 'equal') suspects.push(key);
    }
  }
  const found = new Map<string, string>();
  for (const ms of againMs) {
    if (suspects.length === 0) break;
    // oxlint-disable-next-line no-await-in-loop -- the point is to wait
    await clock.sleep(ms);
    const still: string[] = [];
    for (const key of suspects) {
      // oxlint-disable-next-line no-await-in-loop -- few
      const answer = await reader.get(key);
      const verdict = answer.kind === 'denied' ? 'equal' : verdictOf(view, key, answer.entry ?? undefined);
      if (verdict === 'equal') continue;
      still.push(key);
      found.set(key, verdict);
    }
    suspects = still;
  }
  const count = (what: string): number => suspects.filter((key) => found.get(key) === what).length;
  return {
    compared,
    equal: compared - suspects.length,
    missing: count('missing'),
    extra: count('extra'),
    different: count('different'),
    keys: suspects.slice(0, shownMax),
    tookMs: clock.now() - startMs,
  };
}

function verdictOf(
  view: ReadView,
  key: string,
  there: KvEntry | undefined,
): 'equal' | 'missing' | 'extra' | 'different' {
  const row = view.get(Kind.kv, key);
  const here = row === undefined || row.value === null ? undefined : decodeKv(row.value);
  if (here === undefined) return there === undefined ? 'equal' : 'missing';
  if (there === undefined) return 'extra';
  return here.flags === there.flags && Buffer.compare(here.value, there.value) === 0 ? 'equal' : 'different';
}
