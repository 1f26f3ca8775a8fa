import type { OriginId, ReplicatedRecord } from '../crdt/dot.ts';
import { hasSeq, headOf, type SeqRanges } from '../crdt/seq-ranges.ts';
import { compareVersions } from '../crdt/version.ts';
import type { DotBody } from './body.ts';
import type { ReplicatedLog } from './log.ts';
import type { LogAskMessage } from './sync-messages.ts';

/** The first entries of a run show it, if any do. */
const lookedAtMax = 64;

/**
 * The highest seq of these dots that was seen here with other contents: whoever writes this log was restored from a
 * backup, and uses numbers again that were used up. Undefined: there is none, as far as what is left of them here tells.
 */
export function contradicted(
  log: ReplicatedLog,
  origin: OriginId,
  seen: SeqRanges,
  dots: readonly DotBody[],
): number | undefined {
  let highest: number | undefined;
  for (const dot of dots) {
    if (dot.records.length === 0 || !hasSeq(seen, dot.seq)) continue;
    const held = log.read(origin, { from: dot.seq, to: dot.seq }, 1, Infinity)[0];
    if (held !== undefined && held.seq === dot.seq && differ(held.records, dot)) {
      highest = Math.max(highest ?? 0, dot.seq);
    }
  }
  return highest;
}

/**
 * Whether something was seen here of a log that its writer lacked when it started: numbers above its head then, with
 * stamps from before. What a source decided bears its index, which is far below any clock and says nothing.
 */
export function predates(log: ReplicatedLog, { origin, head, stamp }: LogAskMessage): boolean {
  const seenHead = headOf(log.originLog(origin)?.seen ?? []);
  if (seenHead <= head) return false;
  const range = { from: head + 1, to: Math.min(seenHead, head + lookedAtMax) };
  const dots = log.read(origin, range, lookedAtMax, Infinity);
  return dots.some(({ records }) =>
    records.some((record) => record.stamp < stamp && log.isTimed?.(record) !== false),
  );
}

/** What is left here of a dot is part of it; of one that comes in part, only the registers of both can be compared. */
function differ(held: readonly ReplicatedRecord[], { records, size }: DotBody): boolean {
  return held.some((ours) => {
    const theirs = records.find(({ kind, key }) => kind === ours.kind && key === ours.key);
    return theirs === undefined ? size === undefined : compareVersions(ours, theirs) !== 0;
  });
}
