import { compareVersions, type Version } from '../crdt/version.ts';
import { merge } from '../crdt/merge.ts';
import { Kind } from './kinds.ts';
import type { Refusal } from './outcome.ts';
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
  /** What is held: written here under a higher term, so it is kept. */
  readonly held: Version;
}

/** `older`: held at the same or a higher version of the same term; `unchanged`: held exactly so. */
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

/** The term of what a source Consul decided; the owner of a zone writes under term 1 and above. */
export const mirrorTerm = 0;

export function applyMirror(scope: WriteScope, command: MirrorApply): MirrorOutcome {
  let applied = 0;
  let unchanged = 0;
  let older = 0;
  const conflicts: MirrorConflict[] = [];
  for (const record of command.records) {
    const held = scope.view.get(record.kind, record.key);
    const version = { term: mirrorTerm, timeline: command.timeline, stamp: record.stamp };
    const outcome = merge(held, { ...version, value: record.value });
    if (outcome.kind === 'apply') {
      scope.adopt(record.kind, record.key, version, record.value, record.ix, record.born);
      applied += 1;
    } else if (outcome.kind === 'duplicate') {
      unchanged += 1;
    } else if (held !== undefined && held.term > mirrorTerm && compareVersions(held, version) > 0) {
      conflicts.push({ kind: record.kind, key: record.key, held });
    } else {
      older += 1;
    }
  }
  const before = readMirrorState(scope, command.source);
  scope.put(
    Kind.mirror,
    command.source,
    encodeValue({
      source: command.source,
      timeline: Math.max(before.timeline, command.timeline),
      cursors: { ...before.cursors, ...command.cursors },
    }),
  );
  return { kind: 'mirror', applied, unchanged, older, conflicts };
}

function readMirrorState(scope: WriteScope, source: string): MirrorState {
  return mirrorState(scope.view.get(Kind.mirror, source)?.value ?? null, source);
}

/** Progress of a source as it was committed; empty when nothing was mirrored from it yet. */
export function mirrorState(value: Uint8Array | null, source: string): MirrorState {
  return value === null ? { source, timeline: 0, cursors: {} } : decodeValue<MirrorState>(value);
}
