import { compareBytewise } from '../byte-order.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { decodeRawKv } from './decode.ts';
import type { RawEntry } from './raw-entry.ts';

/** An answer with all that is below a prefix, kept so that of the next one only what differs is decoded. */
export interface KnownList {
  readonly body: Buffer;
  /** Where each entry begins in the body, and behind them where the next would. */
  readonly starts: readonly number[];
  /** An entry whose bytes are those of the answer before is the same object. */
  readonly entries: readonly RawEntry[];
  /** Digest of the names, where one was made of this answer or of one with the same names. */
  names: string | undefined;
}

export interface Decoded {
  readonly entries: readonly RawEntry[];
  /** Undefined: the answer is not written as Consul writes it, and cannot be compared byte by byte. */
  readonly known: KnownList | undefined;
}

const [comma, bracketOpen, bracketClose, braceOpen] = [0x2c, 0x5b, 0x5d, 0x7b];

/** Between two entries, and nowhere else: within a string the quotes are escaped. */
const between = Buffer.from('},{"LockIndex":');

/** Entries that are compared at once. */
const runMax = 64;

/**
 * Decodes `?recurse`. Most of an answer is as it was in the answer before: such entries are found by comparing bytes,
 * many at a time, and are neither decoded nor made anew.
 */
export function decodeKnownList(body: Buffer, before: KnownList | undefined): Result<Decoded, string> {
  return before === undefined || !isArray(body) ? decodeWhole(body) : decodeAgain(body, before);
}

function decodeWhole(body: Buffer): Result<Decoded, string> {
  const decoded = decodeRawKv(body.toString('utf8'));
  if (!decoded.ok) return decoded;
  const entries = decoded.value;
  if (!isArray(body)) return ok({ entries, known: undefined });
  const starts = [1];
  for (let at = body.indexOf(between); at >= 0; at = body.indexOf(between, at + between.length)) {
    starts.push(at + 2);
  }
  if (starts.length !== entries.length) return ok({ entries, known: undefined });
  starts.push(body.length);
  return ok({ entries, known: { body, starts, entries, names: undefined } });
}

function isArray(body: Buffer): boolean {
  return body.length > 2 && body[0] === bracketOpen && body[1] === braceOpen && body.at(-1) === bracketClose;
}

function decodeAgain(body: Buffer, before: KnownList): Result<Decoded, string> {
  const entries: RawEntry[] = [];
  const starts: number[] = [];
  let sameNames = true;
  let old = 0;
  for (let at = 1; at < body.length;) {
    const run = sameRun(body, at, before, old);
    if (run > 0) {
      const shift = at - (before.starts[old] as number);
      for (const end = old + run; old < end; old += 1) {
        entries.push(before.entries[old] as RawEntry);
        starts.push((before.starts[old] as number) + shift);
      }
      at = (before.starts[old] as number) + shift;
      continue;
    }
    const next = body.indexOf(between, at);
    const end = next < 0 ? body.length - 1 : next + 1;
    const decoded = decodeRawKv(`[${body.toString('utf8', at, end)}]`);
    if (!decoded.ok) return decoded;
    const [entry] = decoded.value;
    if (entry === undefined || decoded.value.length > 1) return err('a list that is none');
    const was = old;
    while (
      old < before.entries.length &&
      compareBytewise((before.entries[old] as RawEntry).key, entry.key) < 0
    ) {
      old += 1;
    }
    if (old > was) {
      sameNames = false;
      if (sameRun(body, at, before, old) > 0) continue;
    }
    if (before.entries[old]?.key === entry.key) old += 1;
    else sameNames = false;
    entries.push(entry);
    starts.push(at);
    at = end + 1;
  }
  if (old < before.entries.length) sameNames = false;
  starts.push(body.length);
  return ok({ entries, known: { body, starts, entries, names: sameNames ? before.names : undefined } });
}

/** How many entries are as they were, from here on; not more than `runMax`. */
function sameRun(body: Buffer, at: number, before: KnownList, old: number): number {
  const left = before.entries.length - old;
  for (let run = Math.min(left, runMax); run > 0; run >>>= 1) {
    const from = before.starts[old] as number;
    // Without what is between it and the next, which may be the end here and was none there.
    const length = (before.starts[old + run] as number) - 1 - from;
    const behind = body[at + length];
    if (behind !== comma && behind !== bracketClose) continue;
    if (before.body.compare(body, at, at + length, from, from + length) === 0) return run;
  }
  return 0;
}
