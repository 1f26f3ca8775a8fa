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
import type { RawEntry, RawRead } from '../../source/live-reader.ts';
import { kvAbsence, kvRecord } from '../dual/kv-record.ts';
import type { Seen } from './leaf.ts';

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
  readonly seen: Map<string, Seen>;
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
  readonly seen: ReadonlyMap<string, Seen>;
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
  const { timeline, held, meta } = input;
  const items = new Map<string, RawListed>();
  for (const entry of input.entries) items.set(entry.key, new RawListed(entry, input.seen.get(entry.key)));
  const answer: LeafAnswer = {
    ...meta,
    timeline,
    askedAt: input.askedAt,
    indexIsTable: input.indexIsTable,
    items: [...items.values()],
  };
  const { termOf, proveEveryAbsence } = input;
  const decision = decideLeaf({ timeline, termOf, held: [...held.values()], answer, proveEveryAbsence });
  if (decision.kind !== 'plan') return decision;

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
      const item = read.entry === null ? null : new RawListed(read.entry, undefined);
      const verdict = decideProof(timeline, termOf(key), known, { ...read.meta, timeline, askedAt, item });
      if (verdict.kind === 'fork') return { kind: 'fork', evidence: [verdict.evidence] };
      if (verdict.kind === 'tombstone') deletes.push({ key, stamp: verdict.stamp });
      else if (verdict.kind === 'upsert' && item !== null) changed.push(item);
      else if (verdict.kind === 'unproved') unproved += 1;
    }
  }
  return {
    ...summaryOf(input, items, changed),
    deletes,
    unproved,
    kept: decision.kept.length,
    absenceIgnored: decision.absenceIgnored,
  };
}

type Summary = Omit<LeafLook, 'deletes' | 'unproved' | 'kept' | 'absenceIgnored'>;

function summaryOf(
  input: LookInput,
  items: ReadonlyMap<string, RawListed>,
  changed: readonly RawListed[],
): Summary {
  const seen = new Map<string, Seen>();
  const names: string[] = [];
  const locks: string[] = [];
  let bytes = 0;
  for (const [key, item] of items) {
    const { entry } = item;
    names.push(key);
    bytes += byteLength(entry.text);
    if (entry.session !== '') locks.push(key);
    const known = item.known;
    if (known !== undefined) seen.set(key, known);
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
    ...{ kind: 'look', upserts, live, items: items.size, bytes },
    ...{ names: digestNames(names), skipped, locks, seen },
  };
}

/** As `names` of a look, of names that were listed alone. */
export function digestNames(names: readonly string[]): string {
  return createHash('sha256').update(names.join('\0')).digest('base64').slice(0, 22);
}

/** An entry whose digest is made when it is asked for, or was made for the answer before. */
class RawListed implements Listed {
  readonly entry: RawEntry;
  readonly key: string;
  readonly stamp: number;
  #digest: string | undefined;

  constructor(entry: RawEntry, before: Seen | undefined) {
    this.entry = entry;
    this.key = entry.key;
    this.stamp = entry.modifyIndex;
    const isSame =
      before !== undefined &&
      before.stamp === entry.modifyIndex &&
      before.flags === entry.flags &&
      before.text === entry.text;
    this.#digest = isSame ? before.digest : undefined;
  }

  get digest(): string {
    return (this.#digest ??= digestKv(Buffer.from(this.entry.text, 'base64'), this.entry.flags));
  }

  get known(): Seen | undefined {
    const { text, flags } = this.entry;
    return this.#digest === undefined ? undefined : { stamp: this.stamp, text, flags, digest: this.#digest };
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
