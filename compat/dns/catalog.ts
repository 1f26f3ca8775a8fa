import { checksForService, IndexMax, instancesOf, type NodeChecks } from '../../src/state/catalog-read.ts';
import { getNode, nodeValue, serviceValue } from '../../src/state/catalog.ts';
import type { Dependencies } from '../../src/state/dependencies.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import type { CheckValue, NodeValue, ServiceValue } from '../../src/state/values.ts';
import { ipText, parseIp, type IpBytes } from './addresses.ts';
import type { TopicMemo } from './topic-memo.ts';

/** An instance of a service that may be answered with. */
export interface Endpoint {
  readonly node: NodeValue;
  readonly service: ServiceValue;
  /** Weight of its SRV record, by the state of its checks. */
  readonly weight: number;
}

/** What DNS asks of the catalog of one datacenter. */
export interface DnsCatalog {
  /** Instances without a critical check, or with passing ones only; name in lower case. */
  instances(service: string, onlyPassing: boolean): readonly Endpoint[];
  node(name: string): NodeValue | undefined;
  /** Name of the first node with this address. */
  nodeAt(ip: IpBytes): string | undefined;
  /** Name of the first service with an instance that has this address of its own. */
  serviceAt(ip: IpBytes): string | undefined;
}

export function dnsCatalog(view: ReadView, memo: TopicMemo): DnsCatalog {
  return {
    instances: (service, onlyPassing) =>
      memo.get(`${onlyPassing ? 'passing' : 'usable'}:${service}`, (dependencies) => {
        const value = readInstances(view, dependencies, service, onlyPassing);
        return { value, rows: value.length };
      }),
    node: (name) => {
      const row = getNode(view, name);
      return row === undefined ? undefined : nodeValue(row);
    },
    nodeAt: (ip) =>
      memo
        .get('node-addresses', (dependencies) => {
          dependencies.add(topic.nodes);
          const names = nodesByAddress(view);
          return { value: names, rows: names.size };
        })
        .get(ipText(ip)),
    serviceAt: (ip) =>
      memo
        .get('service-addresses', (dependencies) => {
          dependencies.add(topic.services);
          const names = servicesByAddress(view);
          return { value: names, rows: names.size };
        })
        .get(ipText(ip)),
  };
}

function readInstances(
  view: ReadView,
  dependencies: Dependencies,
  service: string,
  onlyPassing: boolean,
): readonly Endpoint[] {
  const index = new IndexMax();
  const checksByNode = new Map<string, NodeChecks>();
  const endpoints: Endpoint[] = [];
  for (const { value, node } of instancesOf(view, dependencies, index, service)) {
    let checks = checksByNode.get(node.row.key);
    if (checks === undefined) {
      checks = checksForService(view, index, node.value.node, service);
      checksByNode.set(node.row.key, checks);
    }
    const own = checks.byService.get(value.id.toLowerCase()) ?? [];
    const all = [...checks.ownChecks, ...own].map((check) => check.value);
    if (isUsable(all, onlyPassing))
      endpoints.push({ node: node.value, service: value, weight: weightOf(value, all) });
  }
  return endpoints;
}

/** Whether an instance with these checks may be answered with. */
export function isUsable(checks: readonly CheckValue[], onlyPassing: boolean): boolean {
  return !checks.some(({ status }) => (onlyPassing ? status !== 'passing' : status === 'critical'));
}

/** The worst status counts; one that Consul does not know counts as 1, whatever the weights are. */
export function weightOf(service: ServiceValue, checks: readonly CheckValue[]): number {
  if (checks.some((check) => isMaintenance(check.checkId))) return 0;
  const statuses = new Set(checks.map((check) => check.status));
  for (const status of statuses) if (status !== 'passing' && status !== 'warning') return 1;
  return statuses.has('warning') ? service.weights.warning : service.weights.passing;
}

function isMaintenance(checkId: string): boolean {
  return checkId === '_node_maintenance' || checkId.startsWith('_service_maintenance:');
}

function nodesByAddress(view: ReadView): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const row of view.range(Kind.node, '', undefined)) {
    if (row.value === null) continue;
    const node = nodeValue(row);
    addFirst(names, node.address, node.node);
  }
  return names;
}

function servicesByAddress(view: ReadView): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const row of view.range(Kind.service, '', undefined)) {
    if (row.value === null) continue;
    const service = serviceValue(row);
    addFirst(names, service.address, service.service);
  }
  return names;
}

function addFirst(names: Map<string, string>, address: string, name: string): void {
  const ip = parseIp(address);
  if (ip === undefined) return;
  const key = ipText(ip);
  if (!names.has(key)) names.set(key, name);
}
