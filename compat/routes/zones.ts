import { externalNodes } from '../../src/state/zones.ts';
import type { FleetOutcome, FleetPort, ReplayResult } from '../fleet/port.ts';
import { conflictRow, quarantineRow, shownKey, zoneRow } from '../fleet/shapes.ts';
import { renderJson, type GoFields } from '../wire/go-json.ts';
import { failure, json, type ApiRequest, type Later, type Reply, type RouteResult } from '../wire/http.ts';
import { decodeBody, undecodable } from './catalog-write.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

/** GET /v1/grapevine/zones — every zone with its owner, by prefix. */
function listRoute({ query }: ApiRequest, { agent }: RouteContext): RouteResult {
  return json(sortedZones(agent.fleet).map(zoneRow), query.has('pretty'));
}

export function sortedZones(fleet: FleetPort): ReturnType<FleetPort['zones']> {
  return fleet.zones().toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1));
}

/** The zone that a body names: by `Prefix`, or with `"ExternalNodes": true`. */
function zoneNamed(fields: GoFields): string | undefined {
  const prefix = fields.string('Prefix');
  if (fields.bool('ExternalNodes')) return externalNodes;
  return fields.has('Prefix') ? prefix : undefined;
}

/**
 * PUT /v1/grapevine/zones/delegate `{"Prefix":"eu/","Gateway":"gw-eu-1"}` — answers the zone once the delegation is
 * durable; `Ready` says whether the new owner serves already.
 */
function delegateRoute(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const body = decodeBody(request, 'grapevine.Delegation');
  if (!body.ok) return body.error;
  const fields = body.value;
  const prefix = zoneNamed(fields);
  const gateway = fields.string('Gateway');
  if (fields.problem !== undefined) return undecodable(fields.problem);
  if (prefix === undefined) return failure(400, missingPrefix);
  if (gateway === '') return failure(400, 'Missing gateway name: say in Gateway who is to own the zone');
  return zoneAfter(agent.fleet, prefix, agent.fleet.zone.delegate(prefix, gateway), request);
}

/**
 * PUT /v1/grapevine/zones/takeover `{"Prefix":"eu/","Reason":"eu burnt down"}` — makes the gateway that is asked the
 * owner, without asking the present one.
 */
function takeoverRoute(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const body = decodeBody(request, 'grapevine.Takeover');
  if (!body.ok) return body.error;
  const fields = body.value;
  const prefix = zoneNamed(fields);
  const reason = fields.string('Reason').trim();
  if (fields.problem !== undefined) return undecodable(fields.problem);
  if (prefix === undefined) return failure(400, missingPrefix);
  if (reason === '') {
    return failure(400, 'Missing reason: a takeover is kept with its reason, for whoever asks later');
  }
  return zoneAfter(agent.fleet, prefix, agent.fleet.zone.takeover(prefix, reason), request);
}

const missingPrefix =
  'Missing prefix: the root zone is the empty Prefix, said in as many words; that of external nodes is ExternalNodes';

function zoneAfter(
  fleet: FleetPort,
  prefix: string,
  order: Promise<FleetOutcome>,
  { query }: ApiRequest,
): Later {
  const answer = async (): Promise<Reply> => {
    const outcome = await order;
    if (outcome.kind === 'refused') return failure(outcome.status, outcome.message);
    const zone = fleet.zones().find((each) => each.prefix === prefix);
    return json(zone === undefined ? null : zoneRow(zone), query.has('pretty'));
  };
  return { kind: 'later', reply: answer() };
}

const pageDefault = 1000;
const pageMax = 10_000;

/** The rows of one page: `?after=` is the id of the last one seen, `?limit=` how many to answer. */
function page<T>(
  { query }: ApiRequest,
  read: (after: string, limit: number) => readonly T[],
): readonly T[] | Reply {
  const text = query.get('limit');
  const limit = text === '' ? pageDefault : Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > pageMax) {
    return failure(400, `Invalid limit: it must be from 1 to ${pageMax}`);
  }
  return read(query.get('after'), limit);
}

/** GET /v1/grapevine/zones/conflicts?after=&limit= — or all of them with `?export`, one JSON object a line. */
function conflictsRoute(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const { fleet } = agent;
  if (request.query.has('export')) {
    return {
      kind: 'download',
      contentType: 'application/x-ndjson',
      open: Promise.resolve(exported(fleet)),
    };
  }
  const rows = page(request, (after, limit) => fleet.conflicts(after, limit));
  return 'kind' in rows ? rows : json(rows.map(conflictRow), request.query.has('pretty'));
}

async function* exported(fleet: FleetPort): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  let after = '';
  for (;;) {
    const rows = fleet.conflicts(after, pageDefault);
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.id;
    yield encoder.encode(rows.map((row) => `${renderJson(conflictRow(row))}\n`).join(''));
  }
}

/** PUT /v1/grapevine/zones/conflicts/replay `{"IDs":["…"]}`, or `{"All":true}` for those that were not yet. */
function replayRoute(request: ApiRequest, { agent }: RouteContext): RouteResult {
  return conflictOrder(request, (ids) => agent.fleet.zone.replay(ids));
}

/** PUT /v1/grapevine/zones/conflicts/drop `{"IDs":["…"]}`, or `{"All":true}` for those that were replayed. */
function dropRoute(request: ApiRequest, { agent }: RouteContext): RouteResult {
  return conflictOrder(request, (ids) => agent.fleet.zone.drop(ids));
}

/** Answers what came of each. */
function conflictOrder(
  request: ApiRequest,
  order: (ids: readonly string[] | undefined) => Promise<readonly ReplayResult[]>,
): RouteResult {
  const body = decodeBody(request, 'grapevine.Conflicts');
  if (!body.ok) return body.error;
  const fields = body.value;
  const all = fields.bool('All');
  const ids = fields.array('IDs').map((id) => {
    if (typeof id === 'string') return id;
    fields.fail('json: cannot unmarshal into Go struct field Conflicts.IDs of type string');
    return '';
  });
  if (fields.problem !== undefined) return undecodable(fields.problem);
  if (all === ids.length > 0) return failure(400, 'Say either which by their IDs, or All');
  const answer = async (): Promise<Reply> => {
    const rows = (await order(all ? undefined : ids)).map(({ id, key, outcome }) => ({
      ID: id,
      Key: shownKey(key),
      Applied: outcome.kind === 'done',
      Error: outcome.kind === 'done' ? '' : outcome.message,
    }));
    return json(rows, request.query.has('pretty'));
  };
  return { kind: 'later', reply: answer() };
}

/** GET /v1/grapevine/quarantine?after=&limit= — records that broke a rule, and were not applied. */
function quarantineRoute(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const rows = page(request, (after, limit) => agent.fleet.quarantine(after, limit));
  return 'kind' in rows ? rows : json(rows.map(quarantineRow), request.query.has('pretty'));
}

const own = { common: 'none', state: 'differs' } as const;
const note = "Grapevine's own, not Consul's: who may write which keys, see zones.md.";

export const zoneRoutes: readonly Route[] = [
  { path: '/v1/grapevine/zones', methods: { GET: listRoute }, ...own, note },
  { path: '/v1/grapevine/zones/delegate', methods: { PUT: delegateRoute }, ...own, note },
  { path: '/v1/grapevine/zones/takeover', methods: { PUT: takeoverRoute }, ...own, note },
  { path: '/v1/grapevine/zones/conflicts', methods: { GET: conflictsRoute }, ...own, note },
  { path: '/v1/grapevine/zones/conflicts/replay', methods: { PUT: replayRoute }, ...own, note },
  { path: '/v1/grapevine/zones/conflicts/drop', methods: { PUT: dropRoute }, ...own, note },
  { path: '/v1/grapevine/quarantine', methods: { GET: quarantineRoute }, ...own, note },
];
