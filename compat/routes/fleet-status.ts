import { zonesInScope } from '../fleet/scopes.ts';
import { Kind } from '../../src/state/kinds.ts';
import { decodeKv } from '../../src/state/values.ts';
import { memberRow, originRow, zoneRow } from '../fleet/shapes.ts';
import { goTimeMs } from '../wire/go-time.ts';
import { failure, json, type ApiRequest, type RouteResult } from '../wire/http.ts';
import type { RouteContext } from './context.ts';
import { sortedZones } from './zones.ts';
import type { Route } from './route.ts';

/** GET /v1/grapevine/members — the gateways as SWIM sees them; with `?wan` those of all datacenters. */
function membersRoute({ query }: ApiRequest, { agent }: RouteContext): RouteResult {
  const { fleet } = agent;
  const pool = query.has('wan') ? 'wan' : 'lan';
  const { id } = fleet.self(pool).facts;
  const rows = fleet.members(pool).map((view) => memberRow(view, id));
  return json(
    rows.toSorted((a, b) => (a.Name < b.Name ? -1 : 1)),
    query.has('pretty'),
  );
}

/** GET /v1/grapevine/status — all that one screen shows of the fleet as this gateway sees it. */
function statusRoute({ query }: ApiRequest, context: RouteContext): RouteResult {
  const { agent, gateway, view } = context;
  const { fleet } = agent;
  const self = fleet.self('lan');
  const { totals, queues, healthScore, divergence, conflicts, quarantined } = fleet.counters();
  const status = {
    ClusterID: fleet.clusterId,
    Gateway: { ...memberRow(self, self.facts.id), Version: gateway.version },
    Leader: agent.cluster.leader(),
    Members: fleet.members('lan').map((member) => memberRow(member, self.facts.id)),
    Zones: sortedZones(fleet).map(zoneRow),
    Origins: fleet.origins().map(originRow),
    Index: Math.max(1, ...Object.values(Kind).map((kind) => view.tableIndex(kind))),
    HealthScore: healthScore,
    Queues: queues.map(({ name, length, lengthMax, dropped }) => ({
      Name: name,
      Length: length,
      LengthMax: lengthMax,
      Dropped: dropped,
    })),
    Conflicts: conflicts,
    Quarantined: quarantined,
    Divergence: {
      Found: divergence.found,
      Repaired: divergence.repaired,
      Last: divergence.lastMs === 0 ? null : goTimeMs(divergence.lastMs),
    },
    Totals: totals,
  };
  return json(status, query.has('pretty'));
}

/** GET /v1/grapevine/why/kv/:key — where what is shown of a key comes from, who decides it, and how fresh it is. */
function whyRoute({ rest: key, query }: ApiRequest, context: RouteContext): RouteResult {
  if (key === '') return failure(400, 'Missing key name');
  const { view, agent } = context;
  const { fleet } = agent;
  const scope = { kind: 'key', key } as const;
  const row = view.get(Kind.kv, key);
  const zone = zonesInScope(fleet.zones(), scope)[0];
  const writer = row === undefined ? undefined : fleet.writer(row.origin);
  const { knownLeader, lastContactMs } = fleet.freshness(scope);
  const logs = fleet.origins().filter(({ nodeId }) => nodeId === zone?.ownerId);
  const kv = row?.value ? decodeKv(row.value) : undefined;
  const why = {
    Key: key,
    Exists: kv !== undefined,
    Deleted: row !== undefined && row.value === null,
    Bytes: kv?.value.length ?? null,
    Flags: kv?.flags ?? null,
    Session: kv?.session ?? '',
    LockIndex: kv?.lockIndex ?? null,
    CreateIndex: row?.createIndex ?? null,
    ModifyIndex: row?.modifyIndex ?? null,
    Version:
      row === undefined
        ? null
        : {
            Term: row.term,
            Timeline: row.timeline,
            Stamp: row.stamp,
            // A timeline or term 0 carries a Consul's index in place of a time.
            Written: row.term === 0 ? null : goTimeMs(Math.floor(row.stamp / 1000)),
          },
    Writer:
      row === undefined
        ? null
        : {
            Node: writer?.node ?? '',
            NodeID: writer?.nodeId ?? '',
            Region: writer?.region ?? '',
            Origin: writer?.origin ?? '',
            Seq: row.seq,
          },
    Zone: zone === undefined ? null : zoneRow(zone),
    KnownLeader: knownLeader,
    LastContactMs: lastContactMs,
    OwnerLogs: logs.map(originRow),
    Behind: fleet
      .origins()
      .filter(({ missing }) => missing > 0)
      .map(originRow),
  };
  return json(why, query.has('pretty'));
}

const own = { common: 'none', state: 'differs' } as const;
const note = "Grapevine's own, not Consul's: the fleet as this gateway sees it.";

export const fleetStatusRoutes: readonly Route[] = [
  { path: '/v1/grapevine/members', methods: { GET: membersRoute }, ...own, note },
  { path: '/v1/grapevine/status', methods: { GET: statusRoute }, ...own, note },
  { path: '/v1/grapevine/why/kv/', methods: { GET: whyRoute }, ...own, note },
];
