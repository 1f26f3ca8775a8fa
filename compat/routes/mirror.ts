import { compareUtf8, prefixEnd } from '../../src/kernel/utf8-order.ts';
import { Kind } from '../../src/state/kinds.ts';
import { mirrorName, mirrorState, type MirrorApplied, type MirrorRecord } from '../../src/state/mirror.ts';
import type { ReadView, Row } from '../../src/state/store.ts';
import { keySeparator } from '../../src/state/topics.ts';
import { GoFields } from '../wire/go-json.ts';
import { failure, json, type ApiRequest, type Reply, type RouteResult } from '../wire/http.ts';
import { decodeJsonBody } from '../wire/json-body.ts';
import { refusalReply } from '../wire/refusal.ts';
import type { RouteContext } from './context.ts';
import {
  catalogRange,
  decodeRecord,
  isMirrorKind,
  mirrorKinds,
  objectsOf,
  type MirrorKindName,
} from './mirror-decode.ts';
import { rowDigest, type MirrorDigest } from './mirror-digest.ts';
import type { Route } from './route.ts';

// The target's side of a mirror: what is held, and batches of what a source Consul decided. Grapevine's own endpoints.

const recordsMax = 1024;
const bodyBytesMax = 8 * 1024 * 1024;
const pageMax = 1000;
const sourceLengthMax = 256;

/** GET /v1/grapevine/mirror/state?source= — how far a source was mirrored. */
function stateRoute({ query }: ApiRequest, context: RouteContext): RouteResult {
  const source = query.get('source');
  const problem = sourceProblem(source);
  if (problem !== undefined) return problem;
  const { view, gateway } = context;
  const state = mirrorState(view.get(Kind.mirror, source)?.value ?? null, source);
  const otherSources = [...view.rangeKeys(Kind.mirror, '', undefined)]
    .filter((row) => row.live && row.key !== source)
    .map((row) => row.key);
  const answer = {
    Source: source,
    Timeline: state.timeline,
    Cursors: state.cursors,
    GatewayNode: gateway.nodeName,
    GatewayNodes: gatewayNodes(context),
    Datacenter: gateway.datacenter,
    OtherSources: otherSources,
  };
  return json(answer, query.has('pretty'));
}

/** GET /v1/grapevine/mirror/held?source=&kind=&prefix=&after=&limit= — versions and digests, tombstones included. */
function heldRoute({ query }: ApiRequest, { view, mirrorDigest }: RouteContext): RouteResult {
  const problem = sourceProblem(query.get('source'));
  if (problem !== undefined) return problem;
  const kind = query.get('kind');
  if (!isMirrorKind(kind)) return failure(400, 'Invalid kind: kv, node, service or check is allowed');
  const limit = query.get('limit') === '' ? pageMax : Number(query.get('limit'));
  if (!Number.isInteger(limit) || limit < 1 || limit > pageMax) {
    return failure(400, `Invalid limit: 1 to ${pageMax} is allowed`);
  }
  const page = { prefix: query.get('prefix'), after: query.get('after'), limit };
  const held = kind === 'kv' ? heldKv(view, page, mirrorDigest) : heldCatalog(view, kind, page, mirrorDigest);
  return json({ Entries: held.slice(0, limit), More: held.length > limit }, query.has('pretty'));
}

/** Names of all gateways of this fleet: their nodes are their own, whatever a source says of them. */
function gatewayNodes({ gateway, agent }: RouteContext): readonly string[] {
  const others = agent.cluster.members(false).map(({ name }) => name);
  return [...new Set([gateway.nodeName, ...others])].toSorted(compareUtf8);
}

function sourceProblem(source: string): Reply | undefined {
  if (source === '') return failure(400, 'Missing source');
  if (source.length > sourceLengthMax) {
    return failure(400, `Invalid source: at most ${sourceLengthMax} characters`);
  }
  return undefined;
}

interface Page {
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

interface HeldEntry {
  readonly Key: string;
  readonly Term: number;
  readonly Timeline: number;
  readonly Stamp: number;
  readonly Deleted: boolean;
  readonly Digest: string;
}

/** Rows that are in memory at once while values are digested: each may hold half a megabyte. */
const rowsAtOnce = 32;

/** One entry more than asked for, if there is one. */
function heldKv(view: ReadView, { prefix, after, limit }: Page, digest: MirrorDigest): readonly HeldEntry[] {
  const entries: HeldEntry[] = [];
  const to = prefixEnd(prefix);
  let from = compareUtf8(after, prefix) >= 0 && after !== '' ? successor(after) : prefix;
  while (entries.length <= limit) {
    const rows = [...view.range(Kind.kv, from, to, Math.min(rowsAtOnce, limit + 1 - entries.length))];
    for (const row of rows) entries.push(entryOf('kv', row, digest));
    const last = rows.at(-1);
    if (last === undefined) break;
    from = successor(last.key);
  }
  return entries;
}

/** The least key above this one. */
function successor(key: string): string {
  return `${key}\0`;
}

/**
 * Catalog keys are held in another order than the mirror's: without regard to case, and parted otherwise. So all of
 * the prefix is looked at for each page, and values are digested for the page only.
 */
function heldCatalog(
  view: ReadView,
  kind: Exclude<MirrorKindName, 'kv'>,
  { prefix, after, limit }: Page,
  digest: MirrorDigest,
): readonly HeldEntry[] {
  const { from, to } = catalogRange(kind, prefix);
  return [...view.range(mirrorKinds[kind], from, to)]
    .map((row) => ({ key: wireKey(kind, row), row }))
    .filter(({ key }) => key.startsWith(prefix) && (after === '' || compareUtf8(key, after) > 0))
    .toSorted((a, b) => compareUtf8(a.key, b.key))
    .slice(0, limit + 1)
    .map(({ row }) => entryOf(kind, row, digest));
}

/** As the mirror names it. */
function wireKey(kind: MirrorKindName, row: Row): string {
  return kind === 'kv' ? row.key : mirrorName(row);
}

function entryOf(kind: MirrorKindName, row: Row, digest: MirrorDigest): HeldEntry {
  return {
    Key: wireKey(kind, row),
    Term: row.term,
    Timeline: row.timeline,
    Stamp: row.stamp,
    Deleted: row.value === null,
    Digest: row.value === null ? '' : rowDigest(kind, row, digest),
  };
}

interface Refused {
  readonly Kind: string;
  readonly Key: string;
  readonly Why: string;
}

/** POST /v1/grapevine/mirror/apply — a batch and the progress that it completes, in one commit. */
function applyRoute({ body, query }: ApiRequest, context: RouteContext): RouteResult {
  const parsed = decodeJsonBody(body);
  if (!parsed.ok) return failure(400, `Request decode failed: ${parsed.error}`);
  const fields = new GoFields(parsed.value, 'MirrorApply');
  const source = fields.string('Source');
  const timeline = fields.int('Timeline');
  const cursors = fields.stringMap('Cursors');
  const items = objectsOf(fields.array('Records'));
  if (fields.problem !== undefined) return failure(400, `Request decode failed: ${fields.problem}`);
  const problem = sourceProblem(source);
  if (problem !== undefined) return problem;
  if (timeline < 0) return failure(400, 'Invalid Timeline: 0 or above is allowed');
  if (!items.ok) return failure(400, `Request decode failed: ${items.error}`);
  if (items.value.length > recordsMax) {
    return failure(413, `Too many records: ${items.value.length}, at most ${recordsMax} are taken`);
  }
  const records: MirrorRecord[] = [];
  const refused: Refused[] = [];
  const recordContext = {
    gatewayNodes: new Set(gatewayNodes(context).map((name) => name.toLowerCase())),
    valueBytesMax: context.limits.kvValueBytesMax,
    digest: context.mirrorDigest,
  };
  for (const item of items.value) {
    const record = new GoFields(item, 'MirrorRecord');
    const kind = record.string('Kind');
    const key = record.string('Key');
    const decoded = isMirrorKind(kind) ? decodeRecord(kind, record, recordContext) : unknownKind;
    if (decoded.ok) records.push(decoded.value);
    else refused.push({ Kind: kind, Key: key, Why: decoded.error });
  }
  return {
    kind: 'write',
    command: { kind: 'mirror-apply', source, timeline, records, cursors },
    reply: (outcome) => {
      if (outcome.kind === 'refused' || outcome.kind === 'not-owned') return refusalReply(outcome);
      if (outcome.kind !== 'mirror') return failure(500, `unexpected outcome ${outcome.kind}`);
      return json(applyAnswer(outcome, refused), query.has('pretty'));
    },
  };
}

const unknownKind = { ok: false, error: 'Kind must be kv, node, service or check' } as const;

function applyAnswer(outcome: MirrorApplied, refused: readonly Refused[]): object {
  return {
    Applied: outcome.applied,
    Unchanged: outcome.unchanged,
    Older: outcome.older,
    Refused: refused,
    Conflicts: outcome.conflicts.map(({ kind, key, held }) => ({
      Kind: nameOf(kind),
      Key: kind === Kind.kv ? key : key.replace(keySeparator, '/'),
      HeldTerm: held.term,
      HeldTimeline: held.timeline,
      HeldStamp: held.stamp,
    })),
  };
}

function nameOf(kind: Kind): string {
  return Object.entries(mirrorKinds).find(([, number]) => number === kind)?.[0] ?? '';
}

const note = "Grapevine's own, not Consul's: the target's side of `grapevine migrate`.";

export const mirrorRoutes: readonly Route[] = [
  {
    path: '/v1/grapevine/mirror/state',
    methods: { GET: stateRoute },
    common: 'none',
    state: 'differs',
    note,
  },
  { path: '/v1/grapevine/mirror/held', methods: { GET: heldRoute }, common: 'none', state: 'differs', note },
  {
    path: '/v1/grapevine/mirror/apply',
    methods: { POST: applyRoute },
    common: 'none',
    bodyBytesMax: () => bodyBytesMax,
    state: 'differs',
    note,
  },
];
