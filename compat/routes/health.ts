import {
  allChecks,
  allChecksOfNode,
  checksForService,
  IndexMax,
  instancesOf,
  liveChecks,
  tableIndex,
  type FoundCheck,
  type Instance,
  type NodeChecks,
} from '../../src/state/catalog-read.ts';
import { nodeFloorKey } from '../../src/state/catalog.ts';
import type { Dependencies } from '../../src/state/dependencies.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import { checkServiceNodeShape, healthCheckShape } from '../filter/shapes.ts';
import { renderCheck, renderNode, renderNodeService } from '../wire/catalog-json.ts';
import { parseGoBool } from '../wire/go-numbers.ts';
import { failure, type Answer, type ApiRequest, type Read, type RouteResult } from '../wire/http.ts';
import { meshRoute } from './catalog.ts';
import {
  listAnswer,
  matchesMeta,
  matchesTags,
  nodeMatcher,
  parseSelection,
  selected,
  type Rendered,
  type Selection,
} from './catalog-query.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

function read(key: string, evaluate: (view: ReadView, dependencies: Dependencies) => Answer): Read {
  return { kind: 'read', key, evaluate, effectiveConsistency: true };
}

/** GET /v1/health/node/:node — all checks of a node. */
function nodeRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const node = request.rest;
  if (node === '') return failure(400, 'Missing node name');
  return checksRead(request, context, `health-node:${node.toLowerCase()}`, (view, dependencies, index) => {
    dependencies.add(topic.node(node));
    index.add(view.get(Kind.serviceFloor, nodeFloorKey(node)));
    const rows = allChecksOfNode(view, node);
    for (const row of rows) index.add(row);
    return liveChecks(rows, () => true);
  });
}

/** GET /v1/health/checks/:service — the checks of a service's instances, without those of their nodes. */
function checksRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const service = request.rest;
  if (service === '') return failure(400, 'Missing service name');
  const name = service.toLowerCase();
  return checksRead(request, context, `health-checks:${name}`, (view, dependencies, index, selection) => {
    dependencies.add(topic.service(name));
    index.add(view.get(Kind.serviceFloor, name));
    const rows = [...view.byIndex(Kind.check, name)];
    for (const row of rows) index.add(row);
    const onNode = nodeMatcher(view, dependencies, index, selection);
    return liveChecks(rows, (check) => onNode(check.node));
  });
}

/** GET /v1/health/state/:state — `any`, or a status as it was registered. */
function stateRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const state = request.rest;
  if (state === '') return failure(400, 'Missing check state');
  return checksRead(request, context, `health-state:${state}`, (view, dependencies, index, selection) => {
    dependencies.add(state === 'any' ? topic.checks : topic.checksInState(state));
    index.raise(tableIndex(view, Kind.check, Kind.memberHealth));
    const onNode = nodeMatcher(view, dependencies, index, selection);
    const matches = (status: string): boolean => state === 'any' || status === state;
    return liveChecks(allChecks(view, dependencies), (check) => matches(check.status) && onNode(check.node));
  });
}

function checksRead(
  request: ApiRequest,
  context: RouteContext,
  key: string,
  find: (
    view: ReadView,
    dependencies: Dependencies,
    index: IndexMax,
    selection: Selection,
  ) => readonly FoundCheck[],
): RouteResult {
  const parsed = parseSelection(request, context, healthCheckShape);
  if (!parsed.ok) return parsed.error;
  const selection = parsed.value;
  return read(`${key}:${selection.key}`, (view, dependencies) => {
    const index = new IndexMax();
    const rows = find(view, dependencies, index, selection).map(({ row, value }): Rendered => ({
      node: value.node,
      json: renderCheck(value, row),
    }));
    const kept = selected(view, dependencies, selection, rows);
    return listAnswer(kept, selection, index.or(view, Kind.check, Kind.memberHealth));
  });
}

/** GET /v1/health/service/:service — instances with their nodes and all checks that concern them. */
function serviceRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const { rest: service, query } = request;
  if (service === '') return failure(400, 'Missing service name');
  const parsed = parseSelection(request, context, checkServiceNodeShape);
  if (!parsed.ok) return parsed.error;
  const selection = parsed.value;
  let passingOnly = false;
  if (query.has('passing')) {
    const given = query.get('passing');
    const truth = given === '' ? true : parseGoBool(given);
    if (truth === undefined) return failure(400, 'Invalid value for ?passing');
    passingOnly = truth;
  }
  const { datacenter } = context.gateway;
  const key = `health-service:${passingOnly ? 'p' : ''}:${selection.key}:${service.toLowerCase()}`;
  return read(key, (view, dependencies) => {
    const index = new IndexMax();
    const instances = instancesOf(view, dependencies, index, service);
    const rows = renderInstances(view, index, instances, { service, datacenter, selection });
    const kept = selected(view, dependencies, selection, rows);
    const shown = passingOnly ? passingOf(kept) : kept;
    return listAnswer(shown, selection, index.or(view, Kind.service, Kind.check, Kind.memberHealth));
  });
}

interface RenderedInstance extends Rendered {
  readonly passing: boolean;
}

function renderInstances(
  view: ReadView,
  index: IndexMax,
  instances: readonly Instance[],
  options: { readonly service: string; readonly datacenter: string; readonly selection: Selection },
): readonly RenderedInstance[] {
  const { service, datacenter, selection } = options;
  // Instances may share a node: its checks are read and rendered once.
  const nodes = new Map<string, { readonly json: string; readonly checks: NodeChecks; own: string[] }>();
  const rows: RenderedInstance[] = [];
  for (const { row, value, node } of instances) {
    let held = nodes.get(node.row.key);
    if (held === undefined) {
      const checks = checksForService(view, index, node.value.node, service);
      held = {
        json: renderNode(node.value, datacenter, node.row),
        checks,
        own: checks.ownChecks.map((check) => renderCheck(check.value, check.row)),
      };
      nodes.set(node.row.key, held);
    }
    if (!matchesTags(selection, value.tags) || !matchesMeta(selection, node.value.meta)) continue;
    const serviceChecks = held.checks.byService.get(value.id.toLowerCase()) ?? [];
    const checks = [...held.own, ...serviceChecks.map((check) => renderCheck(check.value, check.row))];
    rows.push({
      node: node.value.node,
      json: `{"Node":${held.json},"Service":${renderNodeService(value, row)},"Checks":[${checks.join(',')}]}`,
      passing: [...held.checks.ownChecks, ...serviceChecks].every(
        (check) => check.value.status === 'passing',
      ),
    });
  }
  return rows;
}

/** Consul fills the place of one that it drops with the last that is left, and clients see that order. */
function passingOf(rows: readonly RenderedInstance[]): readonly RenderedInstance[] {
  const kept = [...rows];
  for (let i = 0; i < kept.length;) {
    if (kept[i]?.passing === true) {
      i += 1;
      continue;
    }
    const last = kept.pop();
    if (last !== undefined && i < kept.length) kept[i] = last;
  }
  return kept;
}

const noMesh = 'No service mesh: the answer is always empty.';

export const healthRoutes: readonly Route[] = [
  { path: '/v1/health/node/', methods: { GET: nodeRoute }, common: 'read', hot: true, state: 'same' },
  { path: '/v1/health/checks/', methods: { GET: checksRoute }, common: 'read', hot: true, state: 'same' },
  { path: '/v1/health/state/', methods: { GET: stateRoute }, common: 'read', hot: true, state: 'same' },
  {
    path: '/v1/health/service/',
    methods: { GET: serviceRoute },
    common: 'read',
    cached: true,
    hot: true,
    state: 'same',
  },
  {
    path: '/v1/health/connect/',
    methods: meshRoute('Missing service name', 'services'),
    common: 'read',
    cached: true,
    state: 'differs',
    note: noMesh,
  },
  {
    path: '/v1/health/ingress/',
    methods: meshRoute('Missing service name', 'gateways'),
    common: 'read',
    cached: true,
    state: 'differs',
    note: noMesh,
  },
];
