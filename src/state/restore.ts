import { compareVersions } from '../crdt/version.ts';
import { bytesEqual } from '../kernel/codec.ts';
import { followCatalogChange } from './adopted.ts';
import { getNode } from './catalog.ts';
import { Kind } from './kinds.ts';
import { mirrorTerm } from './mirror.ts';
import type { Refusal } from './outcome.ts';
import { isGatewaysOwn } from './own-node.ts';
import { sessionValue } from './session-health.ts';
import { getSession } from './sessions.ts';
import type { ReadView, Row } from './store.ts';
import { keySeparator } from './topics.ts';
import { decodeKv, encodeKv } from './values.ts';
import type { WriteScope } from './write-scope.ts';

/**
 * Replaces the state of the datacenter by that of an archive, in one commit. It is an ordinary (large) write of the
 * owner: what is the same stays as it is and wakes nobody, what differs gets a new stamp and index, what the archive
 * does not have leaves a tombstone. So no index falls, watchers see every change, and the archive wins over whatever
 * other gateways hold.
 *
 * The gateway stays who it is: zones, its own node with its services and checks, and what its agent holds are not
 * touched. In-process only: `archive` is an open database.
 */
export interface Restore {
  readonly kind: 'restore';
  readonly archive: ReadView;
  /** Name of this gateway's node. */
  readonly ownNode: string;
  /** Name of the node of the gateway that made the archive, which may be gone by now. */
  readonly archiveNode: string;
}

export interface Restored {
  readonly kind: 'restored';
  readonly written: number;
  readonly deleted: number;
  readonly unchanged: number;
}

export type RestoreOutcome = Restored | Refusal;

/** In this order: sessions need their nodes, locks their sessions. */
const replacedKinds = [Kind.node, Kind.service, Kind.check, Kind.coordinate, Kind.session, Kind.kv] as const;

type Counts = { -readonly [name in 'written' | 'deleted' | 'unchanged']: number };

export function applyRestore(scope: WriteScope, command: Restore): RestoreOutcome {
  const counts: Counts = { written: 0, deleted: 0, unchanged: 0 };
  const isKept = keptRows(scope, command);
  for (const kind of replacedKinds) {
    for (const row of rowsOf(command.archive, kind)) {
      const restored = restorable(scope, row);
      if (restored !== undefined && !isKept(row)) writeRow(scope, restored, counts);
    }
    for (const row of rowsOf(scope.view, kind)) {
      if (row.value === null || isKept(row)) continue;
      const archived = command.archive.get(kind, row.key);
      if (archived !== undefined && restorable(scope, archived) !== undefined) continue;
      scope.delete(kind, row.key);
      counts.deleted += 1;
      followCatalogChange(scope, row, { ...row, value: null });
    }
  }
  restoreMirrorProgress(scope, command.archive);
  return { kind: 'restored', ...counts };
}

/**
 * Whether a row belongs to a gateway's own node, or is a session of another gateway: what is the gateways' own they
 * keep, and the archive's own node is not brought back elsewhere.
 */
function keptRows(scope: WriteScope, { archive, ownNode, archiveNode }: Restore): (row: Row) => boolean {
  const nodes = new Set([ownNode.toLowerCase(), archiveNode.toLowerCase()]);
  for (const view of [archive, scope.view]) {
    for (const row of rowsOf(view, Kind.node)) if (isGatewaysOwn(row)) nodes.add(row.key);
  }
  return (row) => {
    if (row.kind === Kind.kv) return false;
    if (row.kind !== Kind.session) return nodes.has(row.key.split(keySeparator, 1)[0] as string);
    const held = scope.view.get(Kind.session, row.key);
    return held !== undefined && !scope.isOwn(held);
  };
}

/** A live row as it can be restored here; undefined for what cannot: a session without its node. */
function restorable(scope: WriteScope, row: Row): Row | undefined {
  if (row.value === null) return undefined;
  if (row.kind === Kind.session) {
    return getNode(scope.view, sessionValue(row).node) === undefined ? undefined : row;
  }
  if (row.kind !== Kind.kv || row.ix === null || getSession(scope.view, row.ix) !== undefined) return row;
  // Its holder did not come back: the lock is free.
  return { ...row, ix: null, value: encodeKv({ ...decodeKv(row.value), session: '' }) };
}

function writeRow(scope: WriteScope, row: Row, counts: Counts): void {
  const value = row.value as Uint8Array;
  const held = scope.view.get(row.kind, row.key);
  if (held?.value && held.ix === row.ix && bytesEqual(held.value, value)) {
    counts.unchanged += 1;
    return;
  }
  counts.written += 1;
  // What a source Consul decided keeps its version, so that mirroring goes on from there.
  const mirrored = row.term === mirrorTerm && (held === undefined || compareVersions(row, held) > 0);
  const written = mirrored
    ? scope.adopt(row.kind, row.key, row, value, row.ix, row.born)
    : scope.put(row.kind, row.key, value, row.ix);
  followCatalogChange(scope, held, written);
}

/** Progress says what is held: it goes back with the state that it speaks of. */
function restoreMirrorProgress(scope: WriteScope, archive: ReadView): void {
  for (const row of rowsOf(archive, Kind.mirror)) {
    if (row.value !== null) scope.put(Kind.mirror, row.key, row.value, row.ix);
  }
  for (const row of rowsOf(scope.view, Kind.mirror)) {
    if (!archive.get(Kind.mirror, row.key)?.value) scope.delete(Kind.mirror, row.key);
  }
}

/** Rows in memory at once: values may have half a megabyte each. */
const rowsAtOnce = 32;

/** All rows of a kind, page by page, so that the view may change meanwhile. */
function* rowsOf(view: ReadView, kind: Kind): Generator<Row, void, undefined> {
  let from = '';
  for (;;) {
    const rows = [...view.range(kind, from, undefined, rowsAtOnce)];
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined) return;
    from = `${last.key}\0`;
  }
}
