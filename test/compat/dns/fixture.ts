import type { DnsConfig } from '../../../compat/config/agent-config.ts';
import { startDnsServer, type DnsServer, type DnsServerOptions } from '../../../compat/dns/server.ts';
import type { OriginId } from '../../../src/crdt/dot.ts';
import { MemoryStore } from '../../../src/io/memory-store.ts';
import { Replica } from '../../../src/node/replica.ts';
import type { Command } from '../../../src/state/command.ts';
import type { ReadView } from '../../../src/state/store.ts';
import type { CheckValue, NodeValue, ServiceValue } from '../../../src/state/values.ts';

/** A registration as `PUT /v1/catalog/register` takes it, as far as DNS shows it. */
export interface Registration {
  readonly Node: string;
  readonly Address: string;
  readonly NodeMeta?: Readonly<Record<string, string>>;
  readonly TaggedAddresses?: Readonly<Record<string, string>>;
  readonly Service?: {
    readonly ID?: string;
    readonly Service: string;
    readonly Tags?: readonly string[];
    readonly Address?: string;
    readonly Port?: number;
    readonly TaggedAddresses?: Readonly<Record<string, { readonly Address: string; readonly Port: number }>>;
    readonly Weights?: { readonly Passing: number; readonly Warning: number };
  };
  readonly Checks?: readonly {
    readonly CheckID: string;
    readonly Status: string;
    readonly ServiceID?: string;
  }[];
}

/** The state of one gateway, in memory. */
export class CatalogFixture {
  readonly #store = new MemoryStore();
  readonly #replica: Replica;
  readonly #listeners = new Set<(touched: ReadonlySet<string>) => void>();
  #nowUs = 1_700_000_000_000_000;

  constructor() {
    this.#replica = new Replica({
      store: this.#store,
      origin: '0123456789abcdef0123456789abcdef' as OriginId,
      nodeId: 'a',
    });
    this.#store.transact(() => this.#replica.found(this.#nowUs));
  }

  get view(): ReadView {
    return this.#store;
  }

  readonly onCommit = (listener: (touched: ReadonlySet<string>) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  register(registration: Registration): void {
    this.step({ kind: 'catalog-register', skipNodeUpdate: false, ...valuesOf(registration) });
  }

  deregister(node: string, serviceId = ''): void {
    this.step({ kind: 'catalog-deregister', node, serviceId, checkId: '' });
  }

  /** serfHealth of a gateway. */
  memberHealth(node: string, status: string): void {
    this.step({ kind: 'member-health', node, check: checkOf(node, 'serfHealth', status) });
  }

  step(command: Command): void {
    this.#nowUs += 1000;
    const step = this.#store.transact(() => this.#replica.step(command, this.#nowUs));
    if (step.outcome.kind === 'refused') throw new Error(step.outcome.message);
    for (const listener of this.#listeners) listener(step.touched);
  }
}

function valuesOf(registration: Registration): {
  node: NodeValue;
  service?: ServiceValue;
  checks: readonly CheckValue[];
} {
  const { Node: node, Service: service } = registration;
  const nodeValue: NodeValue = {
    id: '',
    node,
    address: registration.Address,
    taggedAddresses: registration.TaggedAddresses ?? null,
    meta: registration.NodeMeta ?? null,
  };
  const checks = (registration.Checks ?? []).map((check) =>
    checkOf(node, check.CheckID, check.Status, check.ServiceID ?? ''),
  );
  if (service === undefined) return { node: nodeValue, checks };
  const tagged = Object.entries(service.TaggedAddresses ?? {}).map(
    ([name, { Address, Port }]) => [name, { address: Address, port: Port }] as const,
  );
  return {
    node: nodeValue,
    checks,
    service: {
      node,
      id: service.ID ?? service.Service,
      service: service.Service,
      tags: service.Tags ?? [],
      address: service.Address ?? '',
      taggedAddresses: tagged.length === 0 ? null : Object.fromEntries(tagged),
      port: service.Port ?? 0,
      meta: null,
      weights: { passing: service.Weights?.Passing ?? 1, warning: service.Weights?.Warning ?? 1 },
      enableTagOverride: false,
      extra: '',
    },
  };
}

function checkOf(node: string, checkId: string, status: string, serviceId = ''): CheckValue {
  return {
    node,
    checkId,
    name: checkId,
    status,
    notes: '',
    output: '',
    serviceId,
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
}

/** Consul's defaults. */
export const defaultDnsConfig: DnsConfig = {
  domain: 'consul.',
  altDomain: undefined,
  recursors: [],
  recursorStrategy: 'sequential',
  recursorMsMax: 2000,
  allowStale: true,
  staleMsMax: 87_600 * 3_600_000,
  nodeTtlSeconds: 0,
  serviceTtlSeconds: {},
  onlyPassing: false,
  aRecordLimit: 0,
  udpAnswerLimit: 3,
  enableTruncate: false,
  disableCompression: false,
  nodeMetaTxt: true,
  soa: { refreshSeconds: 3600, retrySeconds: 600, expireSeconds: 86_400, minTtlSeconds: 0 },
};

/** A server of this catalog on 127.0.0.1; a question that makes it fail fails the test. */
export function serve(
  catalog: CatalogFixture,
  config: Partial<DnsConfig> = {},
  options: Partial<DnsServerOptions> = {},
): Promise<DnsServer> {
  return startDnsServer({
    listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    config: { ...defaultDnsConfig, ...config },
    datacenter: 'dc1',
    translateWanAddrs: false,
    view: catalog.view,
    onCommit: catalog.onCommit,
    freshness: () => ({ knownLeader: true, lastContactMs: 0 }),
    random: Math.random,
    nowMs: Date.now,
    onDefect: (error) => {
      throw error;
    },
    ...options,
  });
}
