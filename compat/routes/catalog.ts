import {
  allServiceTags,
  findNode,
  IndexMax,
  instancesOf,
  servicesOn,
  tableIndex,
  type FoundNode,
  type Instance,
  type ServiceTags,
} from '../../src/state/catalog-read.ts';
import { getNode, nodeValue, serviceValue } from '../../src/state/catalog.ts';
import type { Dependencies } from '../../src/state/dependencies.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { catalogKey, topic } from '../../src/state/topics.ts';
import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import { knownDatacenters } from '../fleet/datacenters.ts';
import { nodeServiceShape, nodeShape, serviceNodeShape } from '../filter/shapes.ts';
import { renderNode, renderNodeService, renderServiceNode } from '../wire/catalog-json.ts';
import { renderJsonString } from '../wire/go-json.ts';
import { failure, json, type Answer, type ApiRequest, type Read, type RouteResult } from '../wire/http.ts';
import { deregisterRoute, registerRoute } from './catalog-write.ts';
import {
  jsonAnswer,
  listAnswer,
  matchesMeta,
  matchesTags,
  parseSelection,
  selected,
  type Rendered,
  type Selection,
} from './catalog-query.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

const missingService = failure(400, 'Missing service name');
const missingNode = failure(400, 'Missing node name');

type Evaluate = (view: ReadView, dependencies: Dependencies) => Answer;

function read(key: string, evaluate: Evaluate): Read {
  return { kind: 'read', key, evaluate, effectiveConsistency: true };
}

/** GET /v1/catalog/datacenters: not blocking in Consul either. `?cached` is heard, though nothing is ever kept. */
function datacentersRoute({ query }: ApiRequest, { gateway, agent }: RouteContext): RouteResult {
  const reply = json(knownDatacenters(gateway.datacenter, agent.fleet), query.has('pretty'));
  return query.has('cached') ? { ...reply, headers: { 'X-Cache': 'MISS' } } : reply;
}

/** GET /v1/catalog/nodes */
function nodesRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const parsed = parseSelection(request, context, nodeShape);
  if (!parsed.ok) return parsed.error;
  const selection = parsed.value;
  const { datacenter } = context.gateway;
  return read(`nodes:${selection.key}`, (view, dependencies) => {
    dependencies.add(topic.nodes);
    const rows: Rendered[] = [];
    for (const row of view.range(Kind.node, '', undefined)) {
      if (row.value === null) continue;
      const node = nodeValue(row);
      if (matchesMeta(selection, node.meta))
        rows.push({ node: node.node, json: renderNode(node, datacenter, row) });
    }
    return listAnswer(selected(view, dependencies, selection, rows), selection, tableIndex(view, Kind.node));
  });
}

/** GET /v1/catalog/services: tags by name of service. A filter sees instances, as since Consul 1.14. */
function servicesRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const parsed = parseSelection(request, context, serviceNodeShape);
  if (!parsed.ok) return parsed.error;
  const selection = parsed.value;
  const instances = instanceFilter(selection, context.gateway.datacenter);
  return read(`services:${selection.key}`, (view, dependencies) => {
    dependencies.add(topic.services);
    const { keep, nodeMeta } = selection;
    const needsNodes = keep !== undefined || nodeMeta.size > 0;
    if (needsNodes) dependencies.add(topic.nodes);
    const tagsOf = new Map<string, Set<string>>();
    for (const { service, tags } of needsNodes ? instances(view) : allServiceTags(view)) {
      const held = tagsOf.get(service);
      if (held === undefined) tagsOf.set(service, new Set(tags));
      else for (const tag of tags) held.add(tag);
    }
    const index = needsNodes ? tableIndex(view, Kind.service, Kind.node) : tableIndex(view, Kind.service);
    return jsonAnswer(renderTags(tagsOf), selection.pretty, index);
  });
}

/** The instances that a filter and their nodes' metadata leave. */
function instanceFilter(
  { keep, nodeMeta }: Selection,
  datacenter: string,
): (view: ReadView) => Generator<ServiceTags> {
  return function* instances(view) {
    const nodes = new Map<string, FoundNode | undefined>();
    for (const row of view.range(Kind.service, '', undefined)) {
      if (row.value === null) continue;
      const service = serviceValue(row);
      const key = catalogKey(service.node);
      if (!nodes.has(key)) {
        const found = getNode(view, service.node);
        nodes.set(key, found && { row: found, value: nodeValue(found) });
      }
      const node = nodes.get(key);
      if (node === undefined || !matchesMeta({ nodeMeta }, node.value.meta)) continue;
      if (keep?.(JSON.parse(renderServiceNode(service, node.value, datacenter, row))) === false) continue;
      yield service;
    }
  };
}

/** Go renders maps by name. The tags' order is chance in Consul; here it is that of the instances. */
function renderTags(tagsOf: ReadonlyMap<string, ReadonlySet<string>>): string {
  const names = [...tagsOf.keys()].toSorted(compareUtf8);
  const entries = names.map((name) => {
    const tags = [...(tagsOf.get(name) ?? [])].map(renderJsonString);
    return `${renderJsonString(name)}:[${tags.join(',')}]`;
  });
  return `{${entries.join(',')}}`;
}

/** GET /v1/catalog/service/:service */
function serviceRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const name = request.rest;
  if (name === '') return missingService;
  const parsed = parseSelection(request, context, serviceNodeShape);
  if (!parsed.ok) return parsed.error;
  const selection = parsed.value;
  const { datacenter } = context.gateway;
  return read(`service:${selection.key}:${name.toLowerCase()}`, (view, dependencies) => {
    const index = new IndexMax();
    const rows: Rendered[] = [];
    for (const instance of instancesOf(view, dependencies, index, name)) {
      if (!wanted(selection, instance)) continue;
      const { node, value, row } = instance;
      rows.push({ node: node.value.node, json: renderServiceNode(value, node.value, datacenter, row) });
    }
    return listAnswer(selected(view, dependencies, selection, rows), selection, index.or(view, Kind.service));
  });
}

function wanted(selection: Selection, { value, node }: Instance): boolean {
  return matchesTags(selection, value.tags) && matchesMeta(selection, node.value.meta);
}

/** GET /v1/catalog/node/:node — services by id; `null` for a node that is not there. */
function nodeRoute(request: ApiRequest, context: RouteContext): RouteResult {
  return nodeServices(request, context, 'node', (node, services) => {
    if (node === undefined) return 'null';
    const byId = services.toSorted((a, b) => compareUtf8(a.id, b.id));
    const entries = byId.map(({ id, json: text }) => `${renderJsonString(id)}:${text}`);
    return `{"Node":${node},"Services":{${entries.join(',')}}}`;
  });
}

/** GET /v1/catalog/node-services/:node — services as a list, `null` when the node has none. */
function nodeServicesRoute(request: ApiRequest, context: RouteContext): RouteResult {
  return nodeServices(request, context, 'node-services', (node, services, filtered) => {
    if (node === undefined) return '{"Node":null,"Services":null}';
    const list =
      services.length === 0 && !filtered ? 'null' : `[${services.map((service) => service.json).join(',')}]`;
    return `{"Node":${node},"Services":${list}}`;
  });
}

interface RenderedService extends Rendered {
  readonly id: string;
}

function nodeServices(
  request: ApiRequest,
  context: RouteContext,
  route: string,
  render: (node: string | undefined, services: readonly RenderedService[], filtered: boolean) => string,
): RouteResult {
  const name = request.rest;
  if (name === '') return missingNode;
  const parsed = parseSelection(request, context, nodeServiceShape);
  if (!parsed.ok) return parsed.error;
  const { key, pretty, keep } = parsed.value;
  const { datacenter } = context.gateway;
  return read(`${route}:${key}:${name.toLowerCase()}`, (view, dependencies) => {
    const index = new IndexMax();
    const node = findNode(view, dependencies, index, name);
    if (node === undefined) {
      return jsonAnswer(render(undefined, [], false), pretty, index.or(view, Kind.node, Kind.service));
    }
    index.add(node.row);
    const services: RenderedService[] = [];
    for (const { row, value } of servicesOn(view, index, node.value.node)) {
      const text = renderNodeService(value, row);
      if (keep?.(JSON.parse(text)) === false) continue;
      services.push({ node: value.node, id: value.id, json: text });
    }
    const body = render(renderNode(node.value, datacenter, node.row), services, keep !== undefined);
    return jsonAnswer(body, pretty, index.or(view, Kind.node));
  });
}

/**
 * What the mesh would answer: nothing is connected. The index is that of a service which is not there, or, for
 * gateways, 1: as Consul shows them. Nothing ever wakes who waits for it.
 */
export function meshRoute(missing: string, of: 'services' | 'gateways', body = '[]'): Route['methods'] {
  const missingName = failure(400, missing);
  return {
    GET: (request) => {
      if (request.rest === '') return missingName;
      const pretty = request.query.has('pretty');
      return read(`mesh:${of}:${body}:${pretty}`, (view) =>
        jsonAnswer(body, pretty, of === 'services' ? view.tableIndex(Kind.service) : 1),
      );
    },
  };
}

const noMesh = 'No service mesh: the answer is always empty.';

export const catalogRoutes: readonly Route[] = [
  { path: '/v1/catalog/register', methods: { PUT: registerRoute }, common: 'none', hot: true, state: 'same' },
  {
    path: '/v1/catalog/deregister',
    methods: { PUT: deregisterRoute },
    common: 'none',
    hot: true,
    state: 'same',
  },
  {
    path: '/v1/catalog/datacenters',
    methods: { GET: datacentersRoute },
    common: 'read',
    enterprise: 'ignored',
    state: 'same',
  },
  {
    path: '/v1/catalog/nodes',
    methods: { GET: nodesRoute },
    common: 'read',
    enterprise: 'partition-refused',
    hot: true,
    state: 'same',
  },
  {
    path: '/v1/catalog/services',
    methods: { GET: servicesRoute },
    common: 'read',
    cached: true,
    hot: true,
    state: 'differs',
    note: '`filter` works, as in newer versions of Consul; 1.8.7 ignores it.',
  },
  {
    path: '/v1/catalog/service/',
    methods: { GET: serviceRoute },
    common: 'read',
    cached: true,
    hot: true,
    state: 'same',
  },
  { path: '/v1/catalog/node/', methods: { GET: nodeRoute }, common: 'read', hot: true, state: 'same' },
  {
    path: '/v1/catalog/node-services/',
    methods: { GET: nodeServicesRoute },
    common: 'read',
    hot: true,
    state: 'same',
  },
  {
    path: '/v1/catalog/connect/',
    methods: meshRoute('Missing service name', 'services'),
    common: 'read',
    cached: true,
    state: 'differs',
    note: noMesh,
  },
  {
    path: '/v1/catalog/gateway-services/',
    methods: meshRoute('Missing gateway name', 'gateways', 'null'),
    common: 'read',
    state: 'differs',
    note: noMesh,
  },
];
