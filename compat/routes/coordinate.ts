import type { CommandOutcome } from '../../src/state/command.ts';
import {
  coordinateDimensions,
  coordinateOrigin,
  coordinateSet,
  coordinatesOfNode,
  coordinateValue,
} from '../../src/state/coordinates.ts';
import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import { Kind } from '../../src/state/kinds.ts';
import { topic } from '../../src/state/topics.ts';
import type { CoordinateValue } from '../../src/state/values.ts';
import { isLive } from '../fleet/members.ts';
import { knownDatacenters } from '../fleet/datacenters.ts';
import { renderCoordinate } from '../wire/catalog-json.ts';
import { indentJson } from '../wire/go-indent.ts';
import type { GoFields } from '../wire/go-json.ts';
import { empty, failure, jsonType, type ApiRequest, type Reply, type RouteResult } from '../wire/http.ts';
import type { Query } from '../wire/query.ts';
import { refusalReply } from '../wire/refusal.ts';
import { jsonAnswer } from './catalog-query.ts';
import { decodeBody, undecodable } from './catalog-write.ts';
import type { RouteContext } from './context.ts';
import { noPath } from './datacenter.ts';
import type { Route } from './route.ts';

/**
 * GET /v1/coordinate/datacenters: the servers' coordinates, which here are those of the gateways that live. Of other
 * datacenters only the name is known: coordinates are comparable within one pool.
 */
function datacentersRoute(request: ApiRequest, { view, gateway, agent }: RouteContext): RouteResult {
  const gateways = agent.fleet
    .members('lan')
    .filter(isLive)
    .map(({ facts }) => facts.name)
    .toSorted(compareUtf8);
  const shown = gateways.map((node) => {
    const held = coordinateSet(view, node).get('') ?? coordinateOrigin;
    return renderCoordinate(node, { ...held, node, segment: '' });
  });
  const rows = knownDatacenters(gateway.datacenter, agent.fleet).map((name) => {
    const coordinates = name === gateway.datacenter ? shown.join(',') : '';
    return `{"Datacenter":${JSON.stringify(name)},"AreaID":"wan","Coordinates":[${coordinates}]}`;
  });
  const body = `[${rows.join(',')}]`;
  return {
    kind: 'reply',
    status: 200,
    body: request.query.has('pretty') ? indentJson(body) : body,
    contentType: jsonType,
  };
}

/** Whether a coordinate is of the segment asked for; without that parameter all are. */
function inSegment(query: Query): (coordinate: CoordinateValue) => boolean {
  if (!query.has('segment')) return () => true;
  const segment = query.get('segment');
  return (coordinate) => coordinate.segment === segment;
}

function segmentKey(query: Query): string {
  return query.has('segment') ? `s${query.get('segment')}` : '';
}

/** GET /v1/coordinate/nodes */
function nodesRoute(request: ApiRequest): RouteResult {
  const { query } = request;
  const pretty = query.has('pretty');
  const wanted = inSegment(query);
  return {
    kind: 'read',
    key: `coordinates:${pretty}:${segmentKey(query)}`,
    evaluate: (view, dependencies) => {
      dependencies.add(topic.coordinates);
      const shown: string[] = [];
      for (const row of view.range(Kind.coordinate, '', undefined)) {
        if (row.value === null) continue;
        const value = coordinateValue(row);
        if (wanted(value)) shown.push(renderCoordinate(value.node, value));
      }
      return jsonAnswer(`[${shown.join(',')}]`, pretty, view.tableIndex(Kind.coordinate));
    },
  };
}

/** GET /v1/coordinate/node/:node — 404 while its coordinate is unknown; shows the name as it was asked for. */
function nodeRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const { query, rest: node } = request;
  const pretty = query.has('pretty');
  const wanted = inSegment(query);
  // As Consul: this 404 has no index. Who waits for the coordinate, or asks elsewhere for it, gets one.
  const isPlain = !query.has('index') && !query.has('dc');
  if (isPlain && coordinateSet(context.view, node).size === 0) return failure(404, '');
  return {
    kind: 'read',
    key: `coordinate:${pretty}:${JSON.stringify([node, segmentKey(query)])}`,
    evaluate: (view, dependencies) => {
      dependencies.add(topic.coordinate(node));
      const shown: string[] = [];
      for (const row of coordinatesOfNode(view, node)) {
        if (row.value === null) continue;
        const value = coordinateValue(row);
        if (wanted(value)) shown.push(renderCoordinate(node, value));
      }
      const index = view.tableIndex(Kind.coordinate);
      if (shown.length === 0) return { status: 404, body: '', contentType: undefined, index };
      return jsonAnswer(`[${shown.join(',')}]`, pretty, index);
    },
  };
}

/** PUT /v1/coordinate/update: 200 without a body, also for a node that is not there. */
function updateRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const body = decodeBody(request, 'structs.CoordinateUpdateRequest');
  if (!body.ok) return body.error;
  const fields = body.value;
  const node = fields.string('Node');
  const segment = fields.string('Segment');
  const datacenter = fields.string('Datacenter');
  const coordinate = fields.object('coordinate.Coordinate', 'Coord');
  const decoded = coordinate && decodeCoordinate(coordinate, node, segment);
  const problem = coordinate?.problem ?? fields.problem;
  if (problem !== undefined) return undecodable(problem);
  if (datacenter !== '' && datacenter !== context.gateway.datacenter) {
    return noPath;
  }
  if (decoded === undefined || decoded.vec.length !== coordinateDimensions) {
    return failure(500, 'incompatible coordinate');
  }
  if (node === '') return empty;
  return {
    kind: 'write',
    command: { kind: 'coordinate-update', coordinate: decoded },
    reply: answerUpdate,
  };
}

function decodeCoordinate(fields: GoFields, node: string, segment: string): CoordinateValue {
  const vec: number[] = [];
  for (const value of fields.array('Vec')) {
    if (typeof value === 'number') vec.push(value);
    else fields.fail('json: cannot unmarshal into Go struct field Coordinate.Coord.Vec of type float64');
  }
  return {
    node,
    segment,
    vec,
    error: fields.float('Error'),
    adjustment: fields.float('Adjustment'),
    height: fields.float('Height'),
  };
}

function answerUpdate(outcome: CommandOutcome): Reply {
  return outcome.kind === 'refused' || outcome.kind === 'not-owned' ? refusalReply(outcome) : empty;
}

export const coordinateRoutes: readonly Route[] = [
  {
    path: '/v1/coordinate/datacenters',
    methods: { GET: datacentersRoute },
    common: 'none',
    state: 'differs',
    note: 'Shows the coordinates of the gateways of its own datacenter, which are those of the LAN pool.',
  },
  {
    path: '/v1/coordinate/nodes',
    methods: { GET: nodesRoute },
    common: 'read',
    enterprise: 'partition-refused',
    state: 'same',
  },
  {
    path: '/v1/coordinate/node/',
    methods: { GET: nodeRoute },
    common: 'read',
    enterprise: 'partition-refused',
    state: 'same',
  },
  {
    path: '/v1/coordinate/update',
    methods: { PUT: updateRoute },
    common: 'dc',
    enterprise: 'partition-refused',
    state: 'differs',
    note: 'Takes effect at once, where Consul gathers updates for five seconds.',
  },
];
