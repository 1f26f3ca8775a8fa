import { catalogRoutes } from '../../../../compat/routes/catalog.ts';
import { healthRoutes } from '../../../../compat/routes/health.ts';
import { kvRoutes } from '../../../../compat/routes/kv.ts';
import { txnRoutes } from '../../../../compat/routes/txn.ts';
import type { ApiRequest } from '../../../../compat/wire/http.ts';
import { kvAbsence, kvRecord } from '../../../../migration/live/dual/kv-record.ts';
import type { GatewayMember, GatewayPort } from '../../../../migration/live/gateway-port.ts';
import type { LiveSettings, Observed } from '../../../../migration/live/ports.ts';
import type { EvidenceStore } from '../../../../migration/live/shadow/evidence-file.ts';
import { openShadow, type Shadow, type ShadowOptions } from '../../../../migration/live/shadow/shadow.ts';
import type { SourceAsk } from '../../../../migration/live/shadow/source-reader.ts';
import type { KvEntry } from '../../../../migration/source/consul-reader.ts';
import { seededChance } from '../../../../migration/evidence/statistics.ts';
import { evidenceSchema, type EvidenceSnapshot } from '../../../../migration/evidence/snapshot.ts';
import type { MirrorRecord } from '../../../../src/state/mirror.ts';
import {
  FakePhases,
  LiveGateway,
  partContext,
  ruleOf,
  sourceSettings,
} from '../../../support/live-gateway.ts';
import { apiRequest } from '../../../support/state.ts';
import { FakeTime } from './fake-time.ts';
import { SourceDouble } from './source-double.ts';

export const rigRoutes = [...kvRoutes, ...catalogRoutes, ...healthRoutes, ...txnRoutes];

/** Gateways that can call each other. */
export class Joined {
  readonly members = new Map<string, NamedGateway>();
  /** Names of those that do not answer. */
  readonly silent = new Set<string>();
  /** Each way. */
  latencyMs = 0;
}

/** A gateway of a name of its own, on a time of its own. */
export class NamedGateway implements GatewayPort {
  readonly base = new LiveGateway();
  readonly nodeId: string;
  readonly nodeName: string;
  readonly region: string;
  readonly datacenter = 'dc1';
  readonly view = this.base.view;
  readonly log = this.base.log;
  readonly metrics = this.base.metrics;
  readonly time: FakeTime;
  readonly clock: GatewayPort['clock'];
  readonly monoMs: () => number;
  readonly random: () => number;
  readonly #joined: Joined;

  constructor(joined: Joined, time: FakeTime, name: string, region: string) {
    this.#joined = joined;
    this.time = time;
    this.clock = time.clock;
    this.monoMs = time.monoMs;
    this.random = seededChance(7);
    this.nodeId = `id-${name}`;
    this.nodeName = name;
    this.region = region;
    joined.members.set(name, this);
  }

  propose = (...[command]: Parameters<GatewayPort['propose']>): ReturnType<GatewayPort['propose']> =>
    this.base.propose(command);
  onCommit = (listener: (touched: ReadonlySet<string>) => void): (() => void) => this.base.onCommit(listener);
  serve = (...served: Parameters<GatewayPort['serve']>): void => this.base.serve(...served);
  gateways = (): readonly GatewayMember[] =>
    [...this.#joined.members.values()].map(({ nodeId, nodeName, region }) => ({
      ...{ nodeId, nodeName, region, alive: true },
    }));
  onGatewaysChanged = (): (() => void) => () => undefined;
  call = async (nodeName: string, topic: string, body: unknown): Promise<unknown> => {
    const other = this.#joined.members.get(nodeName);
    await this.clock.sleep(this.#joined.latencyMs);
    if (other === undefined || this.#joined.silent.has(nodeName)) throw new Error(`no gateway ${nodeName}`);
    const told = await other.base.call(other.base.nodeName, topic, structuredClone(body));
    await this.clock.sleep(this.#joined.latencyMs);
    return structuredClone(told);
  };
  ownerOf = (): string => this.nodeId;
  ownHead = (): { readonly origin: string; readonly seq: number } => this.base.ownHead();
  untilSeen = (): Promise<void> => Promise.resolve();
}

export interface RigOptions extends Partial<Omit<ShadowOptions, 'source'>> {
  readonly source?: SourceDouble;
  readonly phases?: FakePhases;
  readonly joined?: Joined;
  readonly time?: FakeTime;
  readonly name?: string;
  readonly region?: string;
  readonly disk?: EvidenceStore;
  readonly settings?: Partial<LiveSettings>;
  /** In place of `source`, for shadow reads alone. */
  readonly ask?: SourceAsk;
}

/** A shadow between two sides that tests own: a double of the source, and a gateway in memory. */
export class Rig {
  readonly time: FakeTime;
  readonly source: SourceDouble;
  readonly phases: FakePhases;
  readonly gateway: NamedGateway;
  readonly shadow: Shadow;

  constructor(options: RigOptions = {}) {
    const { name = 'gateway', region = 'here', disk, settings, ask, ...given } = options;
    this.time = options.time ?? new FakeTime();
    this.source = options.source ?? new SourceDouble();
    this.phases = options.phases ?? new FakePhases(ruleOf('kv', '', 'local-reads'));
    this.gateway = new NamedGateway(options.joined ?? new Joined(), this.time, name, region);
    const context = partContext(this.gateway, this.phases, sourceSettings('source:8500'), {
      shadowRequestsPerSecondMax: 1e9,
      ...settings,
    });
    this.shadow = openShadow(context, {
      ...{ routes: rigRoutes, routeContext: () => this.gateway.base.state.context, store: disk },
      ...{ noisePercent: 0, linearizablePercent: 0, agreementPercent: 0, load: () => 0, ...given },
      source: ask ?? this.source,
    });
  }

  async start(): Promise<this> {
    this.shadow.start();
    await this.time.advance(1);
    return this;
  }

  async stop(): Promise<void> {
    await this.time.until(this.shadow.stop());
  }

  /** Writes at the source and here, as a dual write does. */
  put(key: string, value: string, more: Parameters<SourceDouble['put']>[2] = {}): KvEntry {
    const entry = this.source.put(key, value, more);
    this.copy(entry);
    return entry;
  }

  copy(...entries: readonly KvEntry[]): void {
    this.apply(entries.map(kvRecord));
  }

  remove(key: string, index: number): void {
    this.apply([kvAbsence(key, index)]);
  }

  apply(records: readonly MirrorRecord[]): void {
    for (let at = 0; at < records.length; at += 200) {
      void this.gateway.propose({
        ...{ kind: 'mirror-apply', source: 'dc1:test', timeline: 0, cursors: {} },
        records: records.slice(at, at + 200),
      });
    }
  }

  request(url: string, client = 'client'): ApiRequest {
    const request = apiRequest('GET', url);
    const rest = request.path.startsWith('/v1/kv/') ? request.path.slice('/v1/kv/'.length) : '';
    return { ...request, rest, token: client };
  }

  /** A read that a client makes now, answered by the side that its rule says, unless told otherwise. */
  read(url: string, more: Partial<Observed> & { readonly client?: string } = {}): void {
    const request = this.request(url, more.client);
    const rule = this.phases.ofKey(request.rest);
    const answeredBy = more.answeredBy ?? (rule?.phase === 'shadow' ? 'source' : 'here');
    const { client: _, ...given } = more;
    this.shadow.observed({ request, answeredBy, tookMs: 0, ...this.#answer(url, answeredBy), ...given });
  }

  /** A client's read, compared. */
  async reads(...urls: readonly string[]): Promise<void> {
    for (const url of urls) this.read(url);
    await this.idle();
  }

  async idle(): Promise<void> {
    await this.time.until(this.shadow.idle());
  }

  get snapshot(): EvidenceSnapshot {
    return { schema: evidenceSchema, parts: [this.shadow.ownEvidence()], absent: [] };
  }

  #answer(url: string, side: 'source' | 'here'): Pick<Observed, 'status' | 'index' | 'body'> {
    if (side === 'source') {
      const answer = this.source.answer(url);
      if ('kind' in answer) throw new Error(answer.why);
      return { status: answer.status, index: answer.index, body: answer.body };
    }
    const { status, index = 0, body } = this.gateway.base.state.request(rigRoutes, 'GET', url);
    return { status, index, body };
  }
}
