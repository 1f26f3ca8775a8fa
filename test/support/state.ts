import { fleetCluster } from '../../compat/agent/fleet-cluster.ts';
import type { AgentPort } from '../../compat/agent/port.ts';
import { soloFleet } from '../../compat/fleet/solo-fleet.ts';
import type { FleetPort } from '../../compat/fleet/port.ts';
import type { GatewayFacts, RouteContext } from '../../compat/routes/context.ts';
import type { Route } from '../../compat/routes/route.ts';
import { LiveQueries } from '../../compat/watch/live-queries.ts';
import type { Answer, ApiRequest, Method, Reply, RouteResult } from '../../compat/wire/http.ts';
import { Query } from '../../compat/wire/query.ts';
import type { OriginId } from '../../src/crdt/dot.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Replica, type Step } from '../../src/node/replica.ts';
import type { Command } from '../../src/state/command.ts';

/** What came of a request: as the HTTP layer would send it, without what it adds. */
export interface Outcome {
  readonly status: number;
  readonly body: string;
  /** Of reads only. */
  readonly index: number | undefined;
}

/** A request that waits; `outcome` is there once it was answered. */
export interface Waiting {
  readonly index: number;
  outcome: Outcome | undefined;
}

/** The state of one gateway that has founded its datacenter, on a memory store, with time that tests own. */
export class StateFixture {
  readonly store = new MemoryStore();
  readonly replica: Replica;
  readonly live: LiveQueries;
  readonly context: RouteContext;
  nowUs = 1_700_000_000_000_000;
  #ids = 0;

  /** `ports`: what the routes under test need beside the state, such as a fake of the agent. */
  constructor(ports: Partial<RouteContext> = {}) {
    this.replica = new Replica({
      store: this.store,
      origin: '0123456789abcdef0123456789abcdef' as OriginId,
      nodeId: 'gateway-id',
    });
    this.store.transact(() => this.replica.found(this.nowUs));
    this.live = new LiveQueries({ view: this.store, memoBytesMax: 1024 * 1024 });
    const state: Partial<RouteContext> = {
      view: this.store,
      gateway: {
        nodeName: 'gateway',
        nodeId: 'gateway-id',
        datacenter: 'dc1',
        address: '127.0.0.1',
        nodeMeta: {},
        taggedAddresses: {},
        version: '0.0.0',
        serverPort: 8300,
      },
      limits: { kvValueBytesMax: 524_288, txnBytesMax: 524_288, txnOpsMax: 128, sessionTtlMsMin: 10_000 },
      nowMs: () => Math.floor(this.nowUs / 1000),
      newId: () => {
        this.#ids += 1;
        return `00000000-0000-4000-8000-${String(this.#ids).padStart(12, '0')}`;
      },
    };
    const context = { ...state, ...ports } as RouteContext;
    this.context = { ...context, agent: ports.agent ?? soloAgent(context) };
  }

  /** Commits one command a millisecond later, and wakes who waits for what it touched. */
  step(command: Command): Step {
    this.nowUs += 1000;
    const step = this.store.transact(() => this.replica.step(command, this.nowUs));
    this.live.touch(step.touched);
    return step;
  }

  /** Serves a request: a read is evaluated, a write is committed. */
  request(routes: readonly Route[], method: Method, url: string, body?: unknown): Outcome {
    const result = this.#handle(routes, method, url, body);
    switch (result.kind) {
      case 'reply':
        return outcomeOf(result);
      case 'read':
        return outcomeOf(this.live.answer(result).answer);
      case 'write':
        return outcomeOf(result.reply(this.step(result.command).outcome));
      default:
        throw new Error(`a ${result.kind} cannot be served here`);
    }
  }

  /** Evaluates a read anew, whatever was kept of it. */
  evaluate(routes: readonly Route[], url: string): Outcome {
    const result = this.#handle(routes, 'GET', url, undefined);
    if (result.kind !== 'read') throw new Error(`${url} is not a read`);
    return outcomeOf(result.evaluate(this.store, new Set()));
  }

  /** Starts a blocking read of the present state. */
  wait(routes: readonly Route[], url: string): Waiting {
    const result = this.#handle(routes, 'GET', url, undefined);
    if (result.kind !== 'read') throw new Error(`${url} does not block`);
    const index = Number(this.live.answer(result).answer.index);
    const waiting: Waiting = { index, outcome: undefined };
    this.live.wait(result, index, (shared) => {
      waiting.outcome = outcomeOf(shared.answer);
    });
    return waiting;
  }

  #handle(routes: readonly Route[], method: Method, url: string, body: unknown): RouteResult {
    const request = apiRequest(method, url, body);
    const route = routes.find(({ path }) =>
      path.endsWith('/') ? request.path.startsWith(path) : request.path === path,
    );
    const handler = route?.methods[method];
    if (route === undefined || handler === undefined) throw new Error(`no route for ${method} ${url}`);
    return handler({ ...request, rest: request.path.slice(route.path.length) }, this.context);
  }
}

/** A cluster of one. */
function soloAgent({ gateway, view }: RouteContext): AgentPort {
  const ports = { serfLanPort: 8301, serfWanPort: 8302 };
  return fleetAgent(soloFleet({ gateway, ...ports, view, startedMs: 0 }), gateway);
}

/** Of the agent only what is about the cluster; names of hosts are resolved by `resolve`. */
export function fleetAgent(
  fleet: FleetPort,
  gateway: Pick<GatewayFacts, 'datacenter'> = { datacenter: 'dc1' },
  resolve: (host: string) => Promise<readonly string[]> = () => Promise.resolve([]),
): AgentPort {
  const ports = { serfLanPort: 8301, serfWanPort: 8302 };
  const cluster = fleetCluster({ fleet, gateway, ...ports, resolve });
  const agent: Partial<AgentPort> = { cluster, fleet };
  return agent as AgentPort;
}

/** A request as the dispatcher hands it to a route; `rest` is left to the caller. Strings are bodies as they are. */
export function apiRequest(method: Method, url: string, body?: unknown): ApiRequest {
  const [path = '', raw = ''] = url.split('?', 2);
  const query = Query.parse(raw);
  if (query === undefined) throw new Error(`malformed query: ${raw}`);
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  return {
    method,
    path: decodeURIComponent(path),
    rest: '',
    query,
    header: () => undefined,
    body: new TextEncoder().encode(text),
    remoteAddress: '127.0.0.1',
    token: '',
  };
}

function outcomeOf(answer: Reply | Answer): Outcome {
  const { status, body } = answer;
  return {
    status,
    body: typeof body === 'string' ? body : new TextDecoder().decode(body),
    index: 'index' in answer ? Number(answer.index) : undefined,
  };
}
