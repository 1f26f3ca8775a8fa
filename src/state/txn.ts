import {
  deleteCheck,
  deleteNode,
  deleteService,
  ensureCheck,
  ensureNode,
  ensureService,
  getCheck,
  getNode,
  getNodeById,
  getService,
  nodeValue,
} from './catalog.ts';
import { deleteKv, getKv, lockDelayed, matchesIndex, putKv, rangeKv } from './kv.ts';
import { decodeKv, type CheckValue, type NodeValue, type ServiceValue } from './values.ts';
import type { Refusal } from './outcome.ts';
import { getSession } from './sessions.ts';
import type { ReadView, Row } from './store.ts';
import type { WriteScope } from './write-scope.ts';

export type KvVerb =
  | 'set'
  | 'delete'
  | 'delete-cas'
  | 'delete-tree'
  | 'cas'
  | 'lock'
  | 'unlock'
  | 'get'
  | 'get-tree'
  | 'get-or-empty'
  | 'check-session'
  | 'check-index'
  | 'check-not-exists';

export type CatalogVerb = 'get' | 'set' | 'cas' | 'delete' | 'delete-cas';

export type TxnOp =
  | {
      readonly kind: 'kv';
      readonly verb: KvVerb;
      readonly key: string;
      readonly value: Uint8Array;
      readonly flags: bigint;
      readonly index: bigint;
      readonly session: string;
    }
  | (CatalogOp & { readonly kind: 'node'; readonly node: NodeValue })
  | (CatalogOp & { readonly kind: 'service'; readonly service: ServiceValue })
  | (CatalogOp & { readonly kind: 'check'; readonly check: CheckValue })
  /** A verb that there is not: fails when its turn comes, beside the other failures. */
  | {
      readonly kind: 'unknown';
      readonly of: 'kv' | 'node' | 'service' | 'check';
      readonly verb: string;
      readonly invalid?: string;
    };

interface CatalogOp {
  readonly verb: CatalogVerb;
  readonly index: bigint;
  /** What is wrong with the entry as it was sent: found before anything is applied. */
  readonly invalid?: string;
}

export interface Txn {
  readonly kind: 'txn';
  readonly ops: readonly TxnOp[];
}

/** What an operation gives back. `withValue`: reads show the value of a key, writes do not. */
export type TxnResult =
  | { readonly kind: 'kv'; readonly row: Row; readonly withValue: boolean }
  /** get-or-empty of a key that is not there. */
  | { readonly kind: 'kv-empty'; readonly key: string }
  | { readonly kind: 'node' | 'service' | 'check'; readonly row: Row };

export interface TxnError {
  readonly opIndex: number;
  readonly what: string;
}

/** All or nothing: with any error nothing is applied, and every failing operation is listed. */
export type TxnOutcome =
  | { readonly kind: 'txn'; readonly results: readonly TxnResult[]; readonly errors: readonly TxnError[] }
  | Refusal;

const readVerbs: ReadonlySet<string> = new Set([
  'get',
  'get-tree',
  'get-or-empty',
  'check-session',
  'check-index',
  'check-not-exists',
]);

/** Consul counts an unknown KV verb as a read, one of the catalog as a write. */
export function isReadOnly(txn: Txn): boolean {
  return txn.ops.every((op) => (op.kind === 'unknown' ? op.of === 'kv' : readVerbs.has(op.verb)));
}

export function applyTxn(scope: WriteScope, txn: Txn): TxnOutcome {
  const invalid = precheck(scope, txn);
  if (invalid.length > 0) return { kind: 'txn', results: [], errors: invalid };
  return scope.attempt(() => {
    const results: TxnResult[] = [];
    const errors: TxnError[] = [];
    txn.ops.forEach((op, opIndex) => {
      const outcome = applyOp(scope, op);
      if (typeof outcome === 'string') errors.push({ opIndex, what: outcome });
      else results.push(...outcome);
    });
    const keep = errors.length === 0;
    return { keep, value: { kind: 'txn', results: keep ? results : [], errors } };
  });
}

/** What Consul finds before it applies anything: with any of it, no operation is even tried. */
function precheck(scope: WriteScope, txn: Txn): readonly TxnError[] {
  const errors: TxnError[] = [];
  txn.ops.forEach((op, opIndex) => {
    const what = precheckOp(scope, op);
    if (what !== undefined) errors.push({ opIndex, what });
  });
  return errors;
}

function precheckOp(scope: WriteScope, op: TxnOp): string | undefined {
  if (op.kind !== 'kv') return op.invalid;
  if (op.key === '' && op.verb !== 'delete-tree') return 'Must provide key';
  if (op.verb === 'lock' && lockDelayed(scope, op.key)) {
    return `failed to lock key ${quoted(op.key)} due to lock delay`;
  }
  return undefined;
}

/** As the texts name it. */
const nounOf = { kv: 'KV', node: 'Node', service: 'Service', check: 'Check' } as const;

/** Go's %q, near enough. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** The results of one operation, or what was wrong with it. */
function applyOp(scope: WriteScope, op: TxnOp): readonly TxnResult[] | string {
  switch (op.kind) {
    case 'kv':
      return applyKvOp(scope, op);
    case 'node':
      return applyCatalogOp(nodeTarget(scope, op.node), op.verb, op.index);
    case 'service':
      return applyCatalogOp(serviceTarget(scope, op.service), op.verb, op.index);
    case 'check':
      return applyCatalogOp(checkTarget(scope, op.check), op.verb, op.index);
    case 'unknown':
      return `unknown ${nounOf[op.of]} verb ${quoted(op.verb)}`;
  }
}

type KvOp = Extract<TxnOp, { kind: 'kv' }>;

function applyKvOp(scope: WriteScope, op: KvOp): readonly TxnResult[] | string {
  const { key } = op;
  const held = getKv(scope.view, key);
  switch (op.verb) {
    case 'set':
      return writtenKv(scope, op, { kind: 'plain' }, '');
    case 'cas':
      return writtenKv(
        scope,
        op,
        { kind: 'cas', index: op.index },
        `failed to set key ${quoted(key)}, index is stale`,
      );
    case 'lock':
      return writtenKv(
        scope,
        op,
        { kind: 'acquire', session: op.session },
        `failed to lock key ${quoted(key)}, lock is already held`,
      );
    case 'unlock':
      if (op.session === '') return 'missing session';
      return writtenKv(
        scope,
        op,
        { kind: 'release', session: op.session },
        `failed to unlock key ${quoted(key)}, lock isn't held, or is held by another session`,
      );
    case 'delete':
      deleteKv(scope, { kind: 'kv-delete', key });
      return [];
    case 'delete-cas': {
      const outcome = deleteKv(scope, { kind: 'kv-delete', key, cas: op.index });
      const applied = outcome.kind === 'kv' && outcome.applied;
      return applied ? [] : `failed to delete key ${quoted(key)}, index is stale`;
    }
    case 'delete-tree':
      deleteKv(scope, { kind: 'kv-delete-tree', prefix: key });
      return [];
    default:
      return readKvOp(scope.view, op, held);
  }
}

function writtenKv(
  scope: WriteScope,
  op: KvOp,
  mode: Parameters<typeof putKv>[1]['mode'],
  notApplied: string,
): readonly TxnResult[] | string {
  const outcome = putKv(scope, { kind: 'kv-put', key: op.key, flags: op.flags, value: op.value, mode });
  if (outcome.kind === 'refused') return outcome.message;
  if (outcome.kind === 'not-owned')
    return `zone ${JSON.stringify(outcome.zone)} is owned by ${outcome.owner}`;
  return outcome.applied && outcome.row !== undefined
    ? [{ kind: 'kv', row: outcome.row, withValue: false }]
    : notApplied;
}

function readKvOp(view: ReadView, op: KvOp, held: Row | undefined): readonly TxnResult[] | string {
  const { key } = op;
  switch (op.verb) {
    case 'get':
      return held === undefined
        ? `key ${quoted(key)} doesn't exist`
        : [{ kind: 'kv', row: held, withValue: true }];
    case 'get-or-empty':
      return held === undefined ? [{ kind: 'kv-empty', key }] : [{ kind: 'kv', row: held, withValue: true }];
    case 'get-tree':
      return [...rangeKv(view, key)]
        .filter((row) => row.value !== null)
        .map((row) => ({ kind: 'kv' as const, row, withValue: true }));
    case 'check-session':
      return checkSession(view, op, held);
    case 'check-index':
      if (held === undefined) return `failed to check index, key ${quoted(key)} doesn't exist`;
      return matchesIndex(held, op.index)
        ? [{ kind: 'kv', row: held, withValue: false }]
        : `failed index check for key ${quoted(key)}, current modify index ${held.modifyIndex} != ${op.index}`;
    case 'check-not-exists':
      return held === undefined ? [] : `key ${quoted(key)} exists`;
    default:
      return `unknown KV verb ${quoted(op.verb)}`;
  }
}

function checkSession(view: ReadView, op: KvOp, held: Row | undefined): readonly TxnResult[] | string {
  if (held === undefined) return `failed to check session, key ${quoted(op.key)} doesn't exist`;
  const current = decodeKv(held.value as Uint8Array).session;
  if (current !== op.session || (op.session !== '' && getSession(view, op.session) === undefined)) {
    return `failed session check for key ${quoted(op.key)}, current session ${quoted(current)} != ${quoted(op.session)}`;
  }
  return [{ kind: 'kv', row: held, withValue: false }];
}

/** A catalog entry that an operation names, with what each verb does to it. */
interface CatalogTarget {
  readonly kind: 'node' | 'service' | 'check';
  /** As the texts name it. */
  readonly label: string;
  find(): Row | undefined;
  set(): Refusal | undefined;
  remove(held: Row): void;
}

function nodeTarget(scope: WriteScope, node: NodeValue): CatalogTarget {
  return {
    kind: 'node',
    label: `node ${quoted(node.node)}`,
    find: () => (node.id === '' ? getNode(scope.view, node.node) : getNodeById(scope.view, node.id)),
    set: () => ensureNode(scope, node),
    remove: (held) => deleteNode(scope, nodeValue(held).node),
  };
}

function serviceTarget(scope: WriteScope, service: ServiceValue): CatalogTarget {
  return {
    kind: 'service',
    label: `service ${quoted(service.id)} on node ${quoted(service.node)}`,
    find: () => getService(scope.view, service.node, service.id),
    set: () => ensureService(scope, service),
    remove: () => deleteService(scope, service.node, service.id),
  };
}

function checkTarget(scope: WriteScope, check: CheckValue): CatalogTarget {
  return {
    kind: 'check',
    label: `check ${quoted(check.checkId)} on node ${quoted(check.node)}`,
    find: () => getCheck(scope.view, check.node, check.checkId),
    set: () => ensureCheck(scope, check),
    remove: () => deleteCheck(scope, check.node, check.checkId),
  };
}

function applyCatalogOp(
  target: CatalogTarget,
  verb: CatalogVerb,
  index: bigint,
): readonly TxnResult[] | string {
  const held = target.find();
  switch (verb) {
    case 'get':
      return held === undefined ? `${target.label} doesn't exist` : [{ kind: target.kind, row: held }];
    case 'set':
    case 'cas': {
      if (verb === 'cas' && !casAllows(held, index)) return `failed to set ${target.label}, index is stale`;
      const problem = target.set();
      if (problem !== undefined) return problem.kind === 'refused' ? problem.message : problem.reason;
      const row = target.find();
      return row === undefined ? [] : [{ kind: target.kind, row }];
    }
    case 'delete':
      if (held !== undefined) target.remove(held);
      return [];
    case 'delete-cas':
      // Unlike a key, an entry that is not there fails: there is no index that it could have.
      if (held === undefined || !matchesIndex(held, index)) {
        return `failed to delete ${target.label}, index is stale`;
      }
      target.remove(held);
      return [];
  }
}

/** As a KV cas: index 0 creates only, any other index must be the held one. */
function casAllows(held: Row | undefined, index: bigint): boolean {
  return index === 0n ? held === undefined : held !== undefined && matchesIndex(held, index);
}
