import { getNodeById, checkValue, nodeValue, serviceValue } from '../../src/state/catalog.ts';
import type { CommandOutcome } from '../../src/state/command.ts';
import type { Refusal } from '../../src/state/outcome.ts';
import type { ReadView } from '../../src/state/store.ts';
import { isReadOnly, type Txn, type TxnOp, type TxnOutcome, type TxnResult } from '../../src/state/txn.ts';
import { readZones, zoneOf } from '../../src/state/zones.ts';
import type { Freshness, ReadScope } from '../fleet/port.ts';
import { renderCheck, renderNode, renderNodeService } from '../wire/catalog-json.ts';
import { indentJson } from '../wire/go-indent.ts';
import { renderJson, renderJsonString } from '../wire/go-json.ts';
import { failure, jsonType, type ApiRequest, type Reply, type RouteResult } from '../wire/http.ts';
import { renderKvEntry } from '../wire/kv-json.ts';
import { refusalReply } from '../wire/refusal.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';
import { decodeTxn } from './txn-decode.ts';

/** PUT /v1/txn — all operations of one body, applied all together or not at all. */
function txnRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const decoded = decodeTxn(request.body, context.limits);
  if (!decoded.ok) return decoded.error;
  const txn: Txn = { kind: 'txn', ops: decoded.value };
  const readOnly = isReadOnly(txn);
  const scopes = scopesOf(txn.ops);
  const answer = (outcome: CommandOutcome): Reply => {
    if (outcome.kind === 'refused') return refusalReply(outcome);
    if (outcome.kind === 'not-owned') return notOwned(context.view, txn, outcome);
    if (outcome.kind !== 'txn') return failure(500, `unexpected outcome ${outcome.kind}`);
    return render(outcome, context, readOnly ? scopes : undefined, request.query.has('pretty'));
  };
  return { kind: 'write', command: txn, ...(readOnly ? { scopes } : {}), reply: answer };
}

/** What the operations read. */
function scopesOf(ops: readonly TxnOp[]): readonly ReadScope[] {
  return ops.map((op): ReadScope => {
    if (op.kind !== 'kv') return { kind: 'catalog' };
    return op.verb === 'get-tree' ? { kind: 'prefix', prefix: op.key } : { kind: 'key', key: op.key };
  });
}

/** An answer is as fresh as the oldest part of it. */
function worst(context: RouteContext, scopes: readonly ReadScope[]): Freshness {
  let all: Freshness = { knownLeader: true, lastContactMs: 0 };
  for (const scope of scopes) {
    const part = context.freshness?.(scope) ?? all;
    all = {
      knownLeader: all.knownLeader && part.knownLeader,
      lastContactMs: Math.max(all.lastContactMs, part.lastContactMs),
    };
  }
  return all;
}

function render(
  outcome: Exclude<TxnOutcome, Refusal>,
  context: RouteContext,
  /** Of one that only reads. */
  readScopes: readonly ReadScope[] | undefined,
  pretty: boolean,
): Reply {
  const { results, errors } = outcome;
  const { datacenter } = context.gateway;
  const failed = errors.length > 0;
  const parts = [
    `"Results":${failed ? 'null' : `[${results.map((result) => renderResult(result, datacenter)).join(',')}]`}`,
    `"Errors":${failed ? renderErrors(errors) : 'null'}`,
  ];
  const freshness = worst(context, readScopes ?? []);
  // What Consul adds when nothing is written; its LastContact is in nanoseconds here, and Index is never set.
  if (readScopes !== undefined) {
    const lastContactNs = freshness.lastContactMs * 1e6;
    parts.push(
      `"Index":0,"LastContact":${lastContactNs},"KnownLeader":${freshness.knownLeader},"ConsistencyLevel":""`,
    );
  }
  const body = `{${parts.join(',')}}`;
  const reply: Reply = {
    kind: 'reply',
    status: failed ? 409 : 200,
    body: pretty ? indentJson(body) : body,
    contentType: jsonType,
  };
  if (readScopes === undefined) return reply;
  const headers = {
    'X-Consul-Knownleader': String(freshness.knownLeader),
    'X-Consul-Lastcontact': String(freshness.lastContactMs),
  };
  return { ...reply, headers };
}

function renderErrors(errors: readonly { readonly opIndex: number; readonly what: string }[]): string {
  return renderJson(errors.map(({ opIndex, what }) => ({ OpIndex: opIndex, What: what })));
}

function renderResult(result: TxnResult, datacenter: string): string {
  switch (result.kind) {
    case 'kv':
      return `{"KV":${renderKvEntry(result.row, result.withValue)}}`;
    case 'kv-empty':
      return (
        `{"KV":{"LockIndex":0,"Key":${renderJsonString(result.key)},"Flags":0,"Value":null,` +
        `"CreateIndex":0,"ModifyIndex":0}}`
      );
    case 'node':
      return `{"Node":${renderNode(nodeValue(result.row), datacenter, result.row)}}`;
    case 'service': {
      const service = serviceValue(result.row);
      return `{"Service":${bareNull(renderNodeService(service, result.row), '"Tags":', service.tags)}}`;
    }
    case 'check': {
      const check = checkValue(result.row);
      return `{"Check":${bareNull(renderCheck(check, result.row), '"ServiceTags":', check.serviceTags)}}`;
    }
  }
}

/** Only here does Consul show empty lists as they are held: as null. */
function bareNull(entry: string, name: string, items: readonly string[]): string {
  return items.length === 0 ? entry.replace(`${name}[]`, `${name}null`) : entry;
}

/**
 * A transaction is atomic under one owner. Keys of several are refused as Consul refuses a failed operation, with
 * both owners named; keys that are all another gateway's as any write is.
 */
function notOwned(view: ReadView, txn: Txn, outcome: Extract<Refusal, { kind: 'not-owned' }>): Reply {
  const zones = readZones(view);
  const owned = txn.ops.map((op) => ({ op, zone: zoneOf(zones, op.kind === 'kv' ? op.key : '') }));
  const first = owned[0];
  const other = owned.findIndex(({ zone }) => zone?.ownerId !== first?.zone?.ownerId);
  const second = owned[other];
  if (first === undefined || second === undefined) return refusalReply(outcome);
  const what =
    `${nameOf(second.op)} belongs to ${ownerOf(view, second.zone?.ownerId)}, but ${nameOf(first.op)} to ` +
    `${ownerOf(view, first.zone?.ownerId)}: a transaction needs all of its keys under one owner`;
  const body = `{"Results":null,"Errors":${renderErrors([{ opIndex: other, what }])}}`;
  return { kind: 'reply', status: 409, body, contentType: jsonType };
}

function nameOf(op: TxnOp): string {
  return op.kind === 'kv' ? `key ${JSON.stringify(op.key)}` : 'the catalog of external nodes';
}

function ownerOf(view: ReadView, id: string | undefined): string {
  if (id === undefined) return 'nobody';
  const row = getNodeById(view, id);
  return row === undefined ? id : `${nodeValue(row).node} (${id})`;
}

/** Consul allows the whole body at least as much as one value. */
function bodyBytesMax({ limits }: RouteContext): number {
  return Math.max(limits.txnBytesMax, limits.kvValueBytesMax);
}

export const txnRoutes: readonly Route[] = [
  {
    path: '/v1/txn',
    methods: { PUT: txnRoute },
    common: 'read',
    enterprise: 'ignored',
    bodyBytesMax,
    bodySetting: 'txn_max_req_len',
    state: 'same',
    note:
      'Up to 128 operations, as in Consul since 1.14. A service keeps its tagged addresses, proxy and mesh settings, ' +
      'which 1.8.7 loses here.',
  },
];
