import { json, failure, type ApiRequest, type Reply } from '../../../compat/wire/http.ts';
import { renderJson, type JsonObject, type JsonValue } from '../../../compat/wire/go-json.ts';
import type { KvDelete, KvPut } from '../../../src/state/kv.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import type { TxnOp } from '../../../src/state/txn.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Phases } from '../ports.ts';
import { upstreamRequest, without, type UpstreamRequest } from '../proxy/upstream-request.ts';
import type { CasIndexes } from './cas-index.ts';
import { clientTxn, effectsOf, translated, txnFailure, txnReply } from './client-txn.ts';
import { deleteOp, entryOf, isDenied, plainAnswerOf, putOp, type TxnError } from './consul-txn.ts';
import { isOwnKey } from './fence.ts';
import { kvAbsence, kvRecord } from './kv-record.ts';
import { nameOfKey, nameOfTree, type OpenName } from './open-keys.ts';
import { absentBelow } from './relay.ts';

// What the source is asked for a write, and what its answer means: for the client, and for what is stored here.

/** What plans are made with. */
export interface PlanContext {
  readonly gateway: GatewayPort;
  readonly phases: Phases;
  readonly casIndexes: CasIndexes;
}

/** One write: what is sent, what it may have changed, and how it is answered. */
export interface Plan {
  readonly request: ApiRequest;
  /** When it came (monotonic). */
  readonly startedMs: number;
  readonly rules: readonly PhaseRule[];
  /** The client's operations as JSON; undefined: it cannot be sent as a transaction. */
  readonly ops: readonly string[] | undefined;
  readonly names: readonly OpenName[];
  /** It is one operation that cannot fail: it may share a transaction with others like it. */
  readonly shares: boolean;
  readonly deletes: boolean;
  /** Tree deletions among them. */
  readonly trees: readonly string[];
  readonly done: (results: readonly JsonObject[], markIndex: number) => Done;
  /** Undefined: Consul must say it itself. */
  readonly failed: (errors: readonly TxnError[]) => Reply | undefined;
  /** The request where it is sent as it came, but for indexes. */
  readonly plain: () => UpstreamRequest;
  /** Whether the answer to that says that something was written. */
  readonly wrote: (status: number, body: string) => boolean;
}

export interface Done {
  readonly reply: Reply;
  readonly records: readonly MirrorRecord[];
  /** To be looked up. */
  readonly unclear: readonly OpenName[];
}

/** What is asked of the source for several writes at once. */
export type TxnOfMany = Pick<Plan, 'ops' | 'rules' | 'request' | 'deletes' | 'trees'>;

/** What came of a transaction at the source. */
export type Fenced =
  | { readonly kind: 'done'; readonly results: readonly JsonObject[]; readonly markIndex: number }
  | { readonly kind: 'failed'; readonly errors: readonly TxnError[] }
  /** It cannot be done as a transaction. Nothing was written. */
  | { readonly kind: 'plain' }
  /** Nothing was written. */
  | { readonly kind: 'refused'; readonly reply: Reply }
  | { readonly kind: 'unknown'; readonly reply: Reply };

const noKeys: ReadonlySet<string> = new Set();

export function putPlan(context: PlanContext, request: ApiRequest, command: KvPut, rule: PhaseRule): Plan {
  const { key, mode, value } = command;
  const index = mode.kind === 'cas' ? context.casIndexes.at(key, mode.index) : 0n;
  const pretty = request.query.has('pretty');
  const op = putOp(command, index);
  return {
    startedMs: context.gateway.monoMs(),
    request,
    rules: [rule],
    ops: [op],
    names: [nameOfKey(key)],
    shares: mode.kind === 'plain',
    deletes: false,
    trees: [],
    done: ([result]) => {
      const entry = entryOf(result, value);
      return entry === undefined
        ? { reply: json(true, pretty), records: [], unclear: [nameOfKey(key)] }
        : { reply: json(true, pretty), records: [kvRecord(entry)], unclear: [] };
    },
    failed: (errors) => singleFailure(errors, pretty),
    plain: () => withCas(request, mode.kind === 'cas' ? index : undefined),
    wrote: isTrue,
  };
}

export function deletePlan(
  context: PlanContext,
  request: ApiRequest,
  command: KvDelete,
  rules: readonly PhaseRule[],
): Plan {
  const { casIndexes } = context;
  const pretty = request.query.has('pretty');
  const tree = command.kind === 'kv-delete-tree';
  const cas = tree ? undefined : command.cas;
  const index = tree || cas === undefined ? 0n : casIndexes.at(command.key, cas);
  const name = tree ? nameOfTree(command.prefix) : nameOfKey(command.key);
  return {
    startedMs: context.gateway.monoMs(),
    request,
    rules,
    ops: [deleteOp(command, index)],
    names: [name],
    shares: false,
    deletes: true,
    trees: tree ? [command.prefix] : [],
    done: (_, markIndex) => ({
      reply: json(true, pretty),
      records: tree
        ? absent(context, command.prefix, markIndex, noKeys)
        : [kvAbsence(command.key, markIndex)],
      unclear: [],
    }),
    failed: (errors) => singleFailure(errors, pretty),
    plain: () => withCas(request, cas === undefined ? undefined : index),
    wrote: isTrue,
  };
}

/** `items`: the body as it was read; `ops`: what it means. */
export function txnPlan(
  context: PlanContext,
  request: ApiRequest,
  items: readonly JsonValue[],
  ops: readonly TxnOp[],
  rules: readonly PhaseRule[],
): Plan {
  const { casIndexes } = context;
  const pretty = request.query.has('pretty');
  const txn = clientTxn(ops);
  const known = translated(items, (key, index) => casIndexes.at(key, index));
  const changed = known.some((item, at) => item !== items[at]);
  const trees = ops.flatMap((op) => (op.kind === 'kv' && op.verb === 'delete-tree' ? [op.key] : []));
  return {
    startedMs: context.gateway.monoMs(),
    request,
    rules,
    ops: known.map((item) => renderJson(item)),
    names: txn.names,
    shares: false,
    deletes: txn.deletes,
    trees,
    done: (results, markIndex) => {
      const effects = effectsOf(ops, results);
      const set = new Set(effects.entries.map(({ key }) => key));
      return {
        reply: txnReply(results, pretty),
        records: [
          ...effects.trees.flatMap((prefix) => absent(context, prefix, markIndex, set)),
          ...effects.deleted.map((key) => kvAbsence(key, markIndex)),
          ...effects.entries.map(kvRecord),
        ],
        unclear: effects.unclear.map(nameOfKey),
      };
    },
    failed: (errors) => (errors.some(({ what }) => isDenied(what)) ? undefined : txnFailure(errors, pretty)),
    plain: () => {
      const upstream = upstreamRequest(request, Infinity);
      return changed ? { ...upstream, body: Buffer.from(renderJson(known)) } : upstream;
    },
    wrote: (status) => status === 200,
  };
}

function absent(
  context: PlanContext,
  prefix: string,
  index: number,
  set: ReadonlySet<string>,
): readonly MirrorRecord[] {
  return absentBelow(
    context.gateway,
    prefix,
    index,
    (key) => set.has(key) || isOwnKey(key) || context.phases.ofKey(key) === undefined,
  );
}

function withCas(request: ApiRequest, index: bigint | undefined): UpstreamRequest {
  const upstream = upstreamRequest(request, Infinity);
  if (index === undefined || request.query.get('cas') === String(index)) return upstream;
  const path = upstream.path.split('?', 1)[0] as string;
  const rest = without(request.query.raw, 'cas');
  return { ...upstream, path: `${path}?${rest === '' ? '' : `${rest}&`}cas=${index}` };
}

function isTrue(status: number, body: string): boolean {
  return status === 200 && body.trim() === 'true';
}

function singleFailure(errors: readonly TxnError[], pretty: boolean): Reply | undefined {
  const [error] = errors;
  const answer = error === undefined ? undefined : plainAnswerOf(error.what);
  if (answer === undefined) return undefined;
  return answer === false ? json(false, pretty) : failure(500, answer);
}
