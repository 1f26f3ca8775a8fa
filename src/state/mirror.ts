import type { Version } from '../crdt/version.ts';
import { merge } from '../crdt/merge.ts';
import { bytesEqual } from '../kernel/codec.ts';
import { followCatalogChange, ownEntryOf } from './adopted.ts';
import { isCatalog, Kind } from './kinds.ts';
import { migrationSource } from './migration-rules.ts';
import { refused, type Refusal } from './outcome.ts';
import { versionOverOwn } from './own-node.ts';
import type { Row } from './store.ts';
import { keySeparator } from './topics.ts';
import { decodeValue, encodeValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';

/** A register of a mirrored source Consul, versioned by the source: stamp = ModifyIndex (design, section 7). */
export interface MirrorRecord {
  readonly kind: typeof Kind.kv | typeof Kind.node | typeof Kind.service | typeof Kind.check;
  readonly key: string;
  /** ModifyIndex at the source, or for a deletion the index at which its absence was proved. */
  readonly stamp: number;
  /** CreateIndex at the source. */
  readonly born: number;
  /** `null`: deleted at the source. */
  readonly value: Uint8Array | null;
  readonly ix: string | null;
  /** Of a deleted catalog entry: its name as the source wrote it. */
  readonly name?: string;
}

/** A batch from one source, with the progress that it completes: both are committed, or neither. */
export interface MirrorApply {
  readonly kind: 'mirror-apply';
  readonly source: string;
  readonly timeline: number;
  readonly records: readonly MirrorRecord[];
  readonly cursors: Readonly<Record<string, string>>;
}

export interface MirrorConflict {
  readonly kind: Kind;
  readonly key: string;
  /**
   * What is held: written here under a higher term, so it is kept. Where the source's word does not count, since the
   * migration of the register is at or past its cutover, and nothing is held: all zero.
   */
  readonly held: Version;
}

/**
 * - `unchanged`: the same value was there already; a newer version of it is noted all the same, or every comparison
 *   of versions would find it again;
 * - `older`: another value is held at the same or a higher version of the source.
 */
export interface MirrorApplied {
  readonly kind: 'mirror';
  readonly applied: number;
  readonly unchanged: number;
  readonly older: number;
  readonly conflicts: readonly MirrorConflict[];
}

export type MirrorOutcome = MirrorApplied | Refusal;

export interface MirrorState {
  readonly source: string;
  readonly timeline: number;
  readonly cursors: Readonly<Record<string, string>>;
}

/**
 * The term of what a source Consul decided where no migration concerns it; the owner of a zone writes under term 1 and
 * above. In a zone that is lent to the source it is the zone's.
 */
export const mirrorTerm = 0;

/**
 * Applies what a source decided. What was written here (a higher term) is never touched, so neither is a lock that
 * is held here; such records come back as conflicts.
 */
export function applyMirror(scope: WriteScope, command: MirrorApply): MirrorOutcome {
  const before = readMirrorState(scope, command.source);
  if (command.timeline < before.timeline) {
    const { source, timeline } = command;
    return refused(
      `timeline ${timeline} of source ${JSON.stringify(source)} is over: ${before.timeline} is the current one`,
      409,
    );
  }
  const agreed = migrationSource(scope.view);
  if (agreed !== undefined && agreed.id === command.source && command.timeline < agreed.timeline) {
    return refused(
      `timeline ${command.timeline} of the migration's source is over: ${agreed.timeline} is the current one`,
      409,
    );
  }
  let applied = 0;
  let unchanged = 0;
  let older = 0;
  const conflicts: MirrorConflict[] = [];
  for (const record of command.records) {
    const held = scope.view.get(record.kind, record.key);
    const term = scope.sourceTermOf(record.kind, record.key);
    if (term === undefined) {
      conflicts.push({ kind: record.kind, key: record.key, held: held ?? nothingHeld });
      continue;
    }
    const told = { term, timeline: command.timeline, stamp: record.stamp };
    const version = isCatalog(record.kind) ? versionOverOwn(held, told) : told;
    const outcome = merge(held, { ...version, value: record.value });
    const kept = keptInstead(scope, record, held, version.term);
    if (isRespelled(record, held)) {
      older += 1;
    } else if (kept !== undefined) {
      conflicts.push({ kind: record.kind, key: record.key, held: kept });
    } else if (outcome.kind === 'apply') {
      const row = scope.adopt(record.kind, record.key, version, record.value, record.ix, record.born);
      followCatalogChange(scope, held, row);
      if (held !== undefined && sameValue(held.value, record.value)) unchanged += 1;
      else applied += 1;
    } else if (outcome.kind === 'duplicate') {
      unchanged += 1;
    } else {
      older += 1;
    }
  }
  scope.put(
    Kind.mirror,
    command.source,
    encodeValue({
      source: command.source,
      timeline: command.timeline,
      cursors: { ...before.cursors, ...command.cursors },
    } satisfies MirrorState),
  );
  return { kind: 'mirror', applied, unchanged, older, conflicts };
}

const nothingHeld: Version = { term: 0, timeline: 0, stamp: 0 };

/** What was written here and stands in the way of a record; a node stays for as long as it has an entry of ours. */
function keptInstead(
  scope: WriteScope,
  record: MirrorRecord,
  held: Row | undefined,
  term: number,
): Row | undefined {
  if (held !== undefined && held.term > term) return held;
  if (record.kind !== Kind.node || record.value !== null) return undefined;
  return ownEntryOf(scope.view, record.key, term);
}

/**
 * Names compare without case here, at the source's reader they do not: an entry that came back in another spelling
 * must not be deleted because the old spelling is gone.
 */
function isRespelled(record: MirrorRecord, held: Row | undefined): boolean {
  if (record.name === undefined || held === undefined || held.value === null) return false;
  return mirrorName(held) !== record.name;
}

/** `node`, `node/service` or `node/check` as they were written; of a tombstone only the lower-case form is left. */
export function mirrorName(row: Row): string {
  if (row.value === null) return row.key.replace(keySeparator, '/');
  const { node, id, checkId } = decodeValue<{ node: string; id?: string; checkId?: string }>(row.value);
  if (row.kind === Kind.node) return node;
  return `${node}/${row.kind === Kind.check ? checkId : id}`;
}

function sameValue(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : bytesEqual(a, b);
}

function readMirrorState(scope: WriteScope, source: string): MirrorState {
  return mirrorState(scope.view.get(Kind.mirror, source)?.value ?? null, source);
}

/** Progress of a source as it was committed; empty when nothing was mirrored from it yet. */
export function mirrorState(value: Uint8Array | null, source: string): MirrorState {
  return value === null ? { source, timeline: 0, cursors: {} } : decodeValue<MirrorState>(value);
}
