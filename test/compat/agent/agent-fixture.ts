import { LocalAgent } from '../../../compat/agent/local-agent.ts';
import type { DefinitionsConfig } from '../../../compat/agent/definitions.ts';
import type { AgentPort } from '../../../compat/agent/port.ts';
import { fleetCluster } from '../../../compat/agent/fleet-cluster.ts';
import { Metrics } from '../../../compat/agent/metrics.ts';
import { systemProbes, type ProbeMaker } from '../../../compat/checks/runner.ts';
import type { CheckStatus } from '../../../compat/checks/thresholds.ts';
import { soloFleet } from '../../../compat/fleet/solo-fleet.ts';
import type { GatewayFacts, RouteContext } from '../../../compat/routes/context.ts';
import type { Route } from '../../../compat/routes/route.ts';
import type { JsonObject } from '../../../compat/wire/go-json.ts';
import type { Method, Reply, RouteResult } from '../../../compat/wire/http.ts';
import type { OriginId } from '../../../src/crdt/dot.ts';
import { MemoryStore } from '../../../src/io/memory-store.ts';
import type { LogLevel, LogLine } from '../../../src/kernel/log-line.ts';
import { Replica } from '../../../src/node/replica.ts';
import { DriveLoop } from '../../../src/runtime/drive-loop.ts';
import { checksOfNode, checkValue, servicesOfNode, serviceValue } from '../../../src/state/catalog.ts';
import type { Command, CommandOutcome } from '../../../src/state/command.ts';
import type { CheckValue, ServiceValue } from '../../../src/state/values.ts';
import { apiRequest } from '../../support/state.ts';
import { FakePorts, settle } from '../checks/fake-ports.ts';
import { replicaMachine } from '../../support/replica-machine.ts';

export interface FixtureConfig {
  readonly services?: readonly JsonObject[];
  readonly checkDefinitions?: readonly JsonObject[];
  readonly enableScriptChecks?: boolean;
  readonly updateIntervalMs?: number;
  readonly coordinates?: boolean;
  readonly leaving?: () => boolean;
  readonly discardOutput?: boolean;
  /** Takes the default ids of the node when it is not given. */
  readonly gateway?: Partial<GatewayFacts>;
}

const nodeId = '42c8f297-c116-4fe6-0c17-c4038ba4e561';

/** An agent on a memory store, with time that tests own. `restart` makes the next life on the same store. */
export class AgentFixture {
  readonly store: MemoryStore;
  readonly ports: FakePorts;
  readonly loop: DriveLoop;
  readonly agent: LocalAgent;
  readonly context: RouteContext;
  readonly gateway: GatewayFacts;
  /** Commands that the agent proposed. */
  readonly proposed: Command[] = [];
  readonly logged: string[] = [];
  /** What HTTP checks find, by URL. */
  readonly answers = new Map<string, { readonly status: CheckStatus; readonly output: string }>();
  readonly monitors = new Set<{ readonly level: LogLevel; readonly line: (line: LogLine) => void }>();
  left = false;
  nodeMeta: Readonly<Record<string, string>> = { rack: 'r1' };

  constructor(config: FixtureConfig = {}, store = new MemoryStore(), ports = new FakePorts()) {
    this.store = store;
    this.ports = ports;
    const nodeMeta = (): Readonly<Record<string, string>> => this.nodeMeta;
    this.gateway = {
      get nodeMeta() {
        return nodeMeta();
      },
      nodeName: 'n1',
      nodeId,
      datacenter: 'dc1',
      address: '10.1.1.1',
      taggedAddresses: { lan: '10.1.1.1', wan: '10.1.1.2' },
      version: '0.0.0',
      serverPort: 8300,
      ...config.gateway,
    };
    const replica = new Replica({
      store,
      origin: '0123456789abcdef0123456789abcdef' as OriginId,
      nodeId: this.gateway.nodeId,
    });
    let nowUs = replica.highestIndex + 1_700_000_000_000_000;
    const tick = (): number => (nowUs += 1000);
    store.transact(() => replica.found(tick()));
    this.loop = new DriveLoop({
      machine: replicaMachine(replica),
      store,
      now: () => ({ wallUs: tick(), monoMs: nowUs / 1000 }),
      onFatal: (error) => {
        throw error;
      },
    });
    const propose = (command: Command, done: (outcome: CommandOutcome) => void): void => {
      this.proposed.push(command);
      this.loop.propose(command, done);
    };
    const http: ProbeMaker = (definition) => async () =>
      this.answers.get(definition.http) ?? { status: 'critical', output: 'nobody there' };
    const log = (message: string): void => void this.logged.push(message);
    this.agent = new LocalAgent({
      gateway: this.gateway,
      view: store,
      propose,
      onCommit: (listener) => this.loop.onCommit(listener),
      config: definitionsConfig(config),
      coordinates: config.coordinates ?? true,
      leaving: config.leaving ?? (() => false),
      log: { info: log, warn: log, error: log },
      ports,
      probes: { ...systemProbes, http },
    });
    this.context = this.#context();
  }

  static async start(
    config: FixtureConfig = {},
    store?: MemoryStore,
    ports?: FakePorts,
  ): Promise<AgentFixture> {
    const fixture = new AgentFixture(config, store, ports);
    await fixture.agent.start();
    return fixture;
  }

  /** The next life of the gateway, on what the store holds. */
  async restart(config: FixtureConfig = {}): Promise<AgentFixture> {
    await this.agent.stop();
    this.loop.stop();
    return await AgentFixture.start(config, this.store);
  }

  /** Moves time on, and lets what came of it be committed. */
  async advance(ms: number): Promise<void> {
    await this.ports.advance(ms);
    for (let i = 0; i < 4; i++) await settle();
  }

  reload(config: FixtureConfig) {
    return this.agent.reload(definitionsConfig(config));
  }

  /** Commits a command of somebody else's. */
  commit(command: Command): Promise<CommandOutcome> {
    return new Promise((resolve) => {
      this.loop.propose(command, resolve);
    });
  }

  catalogServices(node = this.gateway.nodeName): readonly ServiceValue[] {
    return [...servicesOfNode(this.store, node)].flatMap((row) =>
      row.value === null ? [] : [serviceValue(row)],
    );
  }

  catalogChecks(node = this.gateway.nodeName): readonly CheckValue[] {
    return [...checksOfNode(this.store, node)].flatMap((row) =>
      row.value === null ? [] : [checkValue(row)],
    );
  }

  /** Ids of services, then of checks, in the catalog. */
  catalogIds(): readonly string[] {
    return [
      ...this.catalogServices().map(({ id }) => id),
      ...this.catalogChecks().map(({ checkId }) => checkId),
    ];
  }

  heldIds(): readonly string[] {
    return [...this.agent.services().keys(), ...this.agent.checks().keys()];
  }

  /** Serves a request as the dispatcher would. */
  async request(routes: readonly Route[], method: Method, url: string, body?: unknown): Promise<Reply> {
    const result = this.result(routes, method, url, body);
    if (result.kind === 'later') return await result.reply;
    if (result.kind !== 'reply') throw new Error(`${url} answers a ${result.kind}`);
    return result;
  }

  result(routes: readonly Route[], method: Method, url: string, body?: unknown): RouteResult {
    const request = apiRequest(method, url, body);
    const route =
      routes.find(({ path }) => path === request.path) ??
      routes
        .filter(({ path }) => path.endsWith('/') && request.path.startsWith(path))
        .toSorted((a, b) => b.path.length - a.path.length)[0];
    const handler = route?.methods[method];
    if (route === undefined || handler === undefined) throw new Error(`no route for ${method} ${url}`);
    return handler({ ...request, rest: request.path.slice(route.path.length) }, this.context);
  }

  #context(): RouteContext {
    const { gateway, store: view } = this;
    const ports = { serfLanPort: 8301, serfWanPort: 8302 };
    const fleet = soloFleet({ gateway, ...ports, view, startedMs: 0 });
    const agent: AgentPort = {
      local: this.agent,
      cluster: fleetCluster({ fleet, gateway, ...ports, resolve: () => Promise.resolve([]) }),
      fleet,
      control: {
        leave: () => {
          this.left = true;
        },
        reload: () => Promise.resolve({ kind: 'done' }),
      },
      logs: {
        subscribe: (level, line) => {
          const monitor = { level, line };
          this.monitors.add(monitor);
          return () => void this.monitors.delete(monitor);
        },
      },
      metrics: new Metrics({ prefix: 'consul', prometheusRetentionMs: 0, nowMs: () => this.ports.nowMs() }),
      host: { describe: () => Promise.resolve({ Errors: null }) },
      self: { debugConfig: () => ({ GRPCPort: -1 }), stats: () => ({ agent: { checks: '0' } }) },
    };
    // Only what the agent's routes use.
    const parts: Partial<RouteContext> = {
      view: this.store,
      gateway: this.gateway,
      limits: { kvValueBytesMax: 1024, txnBytesMax: 1024, txnOpsMax: 1, sessionTtlMsMin: 0 },
      nowMs: () => this.ports.nowMs(),
      agent,
    };
    return parts as RouteContext;
  }
}

function definitionsConfig(config: FixtureConfig): DefinitionsConfig {
  return {
    services: config.services ?? [],
    checkDefinitions: config.checkDefinitions ?? [],
    checks: {
      enableScriptChecks: config.enableScriptChecks ?? false,
      enableLocalScriptChecks: false,
      enableAgentTls: false,
      updateIntervalMs: config.updateIntervalMs ?? 300_000,
      outputBytesMax: 4096,
      discardOutput: config.discardOutput ?? false,
    },
  };
}
