import { createHash } from 'node:crypto';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import { digestKv } from '../../digest.ts';
import { hasTrueName } from '../../mirror/key-rules.ts';
import {
  decideLeaf,
  decideProof,
  type AbsenceIgnored,
  type ForkEvidence,
  type LeafAnswer,
} from '../../mirror/leaf-decision.ts';
import type { Held, Listed } from '../../mirror/registers.ts';
import { valueBytesMax } from '../../mirror/screening.ts';
import type { TermOf } from '../../mirror/version.ts';
import type { ReadMeta } from '../../source/consul-reader.ts';
import type { RawEntry } from '../../source/raw-entry.ts';
import type { RawRead } from '../../source/live-reader.ts';
import { kvAbsence, kvRecord } from '../dual/kv-record.ts';

/** What one answer about a leaf means. Nothing was written yet. */
export type Look =
  | { readonly kind: 'outdated' }
  | { readonly kind: 'fork'; readonly evidence: readonly ForkEvidence[] }
  | LeafLook;

export interface LeafLook {
  readonly kind: 'look';
  readonly upserts: readonly Upsert[];
  readonly deletes: readonly { readonly key: string; readonly stamp: number }[];
  /** Absent at the source, without proof that they were deleted. */
  readonly unproved: number;
  readonly live: number;
  readonly items: number;
  readonly bytes: number;
  /** Digest of the names. */
  readonly names: string;
  readonly kept: number;
  readonly skipped: number;
  readonly locks: readonly string[];
  readonly absenceIgnored: AbsenceIgnored | null;
}

export interface Upsert {
  readonly entry: RawEntry;
  /** The same bytes are here already, under an older version. */
  readonly same: boolean;
  readonly bytes: number;
}

export interface LookInput {
  readonly timeline: number;
  readonly askedAt: number;
  readonly meta: ReadMeta;
  readonly indexIsTable: boolean;
  /** Those of the rule's keys. */
  readonly entries: readonly RawEntry[];
  /** Those of the rule's keys. */
  readonly held: ReadonlyMap<string, Held>;
  /** What needs no decision; what this answer settles is added, what it unsettles is taken away. */
  readonly settled: Map<string, RawEntry>;
  /** Digest of the names, if they are known to be the same as in the answer before. */
  readonly names: string | undefined;
  readonly termOf: TermOf;
  readonly proveEveryAbsence: boolean;
  /** Reads keys one by one, consistently; answers with the number of the question. */
  readonly prove: (
    keys: readonly string[],
  ) => Promise<{ readonly askedAt: number; readonly reads: readonly RawRead[] }>;
  /** What is held now: the proofs took their time. */
  readonly heldNow: () => ReadonlyMap<string, Held>;
}

/** Compares an answer with what is held, and asks for the proofs that it needs. */
export async function lookAtLeaf(input: LookInput): Promise<Look> {
  const { timeline, held, meta, settled } = input;
  const { items, open } = undecided(input);
  const answer: LeafAnswer = {
    ...meta,
    timeline,
    askedAt: input.askedAt,
    indexIsTable: input.indexIsTable,
    items: [...items.values()],
  };
  const { termOf, proveEveryAbsence } = input;
  const decision = decideLeaf({ timeline, termOf, held: open, answer, proveEveryAbsence });
  if (decision.kind !== 'plan') return decision;
  for (const [key, item] of items) {
    const known = held.get(key);
    const isSame =
      known !== undefined &&
      !known.deleted &&
      known.stamp === item.stamp &&
      known.timeline === timeline &&
      known.term === termOf(key) &&
      known.digest === item.digest;
    if (isSame) settled.set(key, item.entry);
  }

  const deletes = [...decision.tombstones];
  const changed = decision.upserts.map((key) => items.get(key) as RawListed);
  let unproved = 0;
  if (decision.proofs.length > 0) {
    const { askedAt, reads } = await input.prove(decision.proofs);
    const now = input.heldNow();
    for (const [at, key] of decision.proofs.entries()) {
      const read = reads[at];
      const known = now.get(key);
      if (known === undefined) continue;
      if (read === undefined || read.kind === 'denied') {
        unproved += 1;
        continue;
      }
      const item = read.entry === null ? null : new RawListed(read.entry);
      const verdict = decideProof(timeline, termOf(key), known, { ...read.meta, timeline, askedAt, item });
      if (verdict.kind === 'fork') return { kind: 'fork', evidence: [verdict.evidence] };
      if (verdict.kind === 'tombstone') deletes.push({ key, stamp: verdict.stamp });
      else if (verdict.kind === 'upsert' && item !== null) changed.push(item);
      else if (verdict.kind === 'unproved') unproved += 1;
    }
  }
  return {
    ...summaryOf(input, changed),
    deletes,
    unproved,
    kept: decision.kept.length,
    absenceIgnored: decision.absenceIgnored,
  };
}

/**
 * What has to be decided: entries that are not settled, and what is held of them and of keys that the answer does not
 * have. Rules are about one key each, so that all others may be left out.
 */
function undecided({ entries, settled, held }: LookInput): {
  readonly items: ReadonlyMap<string, RawListed>;
  readonly open: readonly Held[];
} {
  const items = new Map<string, RawListed>();
  let asBefore = 0;
  for (const entry of entries) {
    if (settled.get(entry.key) === entry) asBefore += 1;
    else items.set(entry.key, new RawListed(entry));
  }
  for (const key of items.keys()) settled.delete(key);
  if (asBefore < settled.size) {
    const names = new Set(entries.map(({ key }) => key));
    for (const key of settled.keys()) if (!names.has(key)) settled.delete(key);
  }
  const open: Held[] = [];
  for (const [key, known] of held) if (!settled.has(key)) open.push(known);
  return { items, open };
}

type Summary = Omit<LeafLook, 'deletes' | 'unproved' | 'kept' | 'absenceIgnored'>;

function summaryOf(input: LookInput, changed: readonly RawListed[]): Summary {
  const locks: string[] = [];
  let bytes = 0;
  for (const { key, text, session } of input.entries) {
    bytes += byteLength(text);
    if (session !== '') locks.push(key);
  }
  let skipped = 0;
  const upserts: Upsert[] = [];
  for (const { entry, digest } of changed.map((item) => ({ entry: item.entry, digest: () => item.digest }))) {
    const size = byteLength(entry.text);
    if (size > valueBytesMax || !hasTrueName(entry.key)) {
      skipped += 1;
      continue;
    }
    const known = input.held.get(entry.key);
    const same = known !== undefined && !known.deleted && known.digest === digest();
    upserts.push({ entry, same, bytes: size });
  }
  let live = 0;
  for (const entry of input.held.values()) if (!entry.deleted) live += 1;
  return {
    ...{ kind: 'look', upserts, live, items: input.entries.length, bytes, skipped, locks },
    names: input.names ?? digestNames(input.entries.map(({ key }) => key)),
  };
}

/** As `names` of a look, of names that were listed alone. */
export function digestNames(names: readonly string[]): string {
  return createHash('sha256').update(names.join('\0')).digest('base64').slice(0, 22);
}

/** An entry whose digest is made when it is asked for. */
class RawListed implements Listed {
  readonly entry: RawEntry;
  readonly key: string;
  readonly stamp: number;
  #digest: string | undefined;

  constructor(entry: RawEntry) {
    this.entry = entry;
    this.key = entry.key;
    this.stamp = entry.modifyIndex;
  }

  get digest(): string {
    return (this.#digest ??= digestKv(Buffer.from(this.entry.text, 'base64'), this.entry.flags));
  }
}

/** Of what base64 stands for. */
export function byteLength(text: string): number {
  if (text === '') return 0;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}

/** Written in the order of keys: who reads along sees no key before those that its list has before it. */
export function recordsOf(
  upserts: readonly Upsert[],
  deletes: readonly { readonly key: string; readonly stamp: number }[],
): readonly MirrorRecord[] {
  const written = upserts.map(({ entry }) => {
    const { text, ...rest } = entry;
    return kvRecord({ ...rest, value: Buffer.from(text, 'base64') });
  });
  return [...written, ...deletes.map(({ key, stamp }) => kvAbsence(key, stamp))];
}
