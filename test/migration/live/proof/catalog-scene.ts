import { FleetClient } from '../../../support/fleet-client.ts';
import type { FleetGateway } from '../../../support/fleet-process.ts';
import { type AgentProcess, startAgent } from '../../../support/agent-process.ts';
import { consulBinary, type RealConsul } from '../../../support/real-consul.ts';

/** What a host's agent is configured with, be it Consul's or a gateway. */
export const hostServices = {
  services: [
    { name: 'web', port: 80, tags: ['v1'], check: { ttl: '20s', status: 'passing' } },
    { name: 'metrics', port: 9100 },
  ],
} as const;

/** Consul's client agent of a host. */
export function startHostAgent(name: string, server: RealConsul): Promise<AgentProcess> {
  return startAgent(
    {
      command: consulBinary(),
      namePrefix: 'host',
      startMsMax: 60_000,
      args: (configFile) => ['agent', `-config-file=${configFile}`],
      config: ({ ports, dataDir }) => ({
        node_name: name,
        data_dir: dataDir,
        bind_addr: '127.0.0.1',
        client_addr: '127.0.0.1',
        disable_update_check: true,
        performance: { leave_drain_time: '0s' },
        retry_join: [`127.0.0.1:${server.ports.serfLan}`],
        retry_interval: '1s',
        ports: { http: ports.http, dns: -1, serf_lan: ports.serfLan, server: ports.server, grpc: -1 },
        ...hostServices,
      }),
    },
    { config: { node_name: name } },
  );
}

/** Something that goes on until it is stopped. */
abstract class Worker {
  readonly #over = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  start(): this {
    this.#loop = this.run(this.#over.signal);
    return this;
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#loop;
  }

  protected abstract run(signal: AbortSignal): Promise<void>;
}

/** The program behind a service with a TTL check: says that it is well to whichever agent its host has. */
export class HostProgram extends Worker {
  /** Of the agents that the host may have. */
  readonly agents: string[];

  constructor(agents: readonly string[]) {
    super();
    this.agents = [...agents];
  }

  protected async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const url of this.agents) {
        const client = new FleetClient(url);
        // One of them is down always.
        await client.put('/v1/agent/check/pass/service:web').catch(() => undefined);
        client.close();
      }
      await sleep(1000, signal);
    }
  }
}

/** Holds a lock by a session that it renews, through one gateway and the other by turns. */
export class LockHolder extends Worker {
  readonly failures: string[] = [];
  renewals = 0;
  session = '';
  readonly #key: string;
  readonly #clients: readonly FleetClient[];

  constructor(key: string, gateways: readonly FleetGateway[]) {
    super();
    this.#key = key;
    this.#clients = gateways;
  }

  async acquire(): Promise<void> {
    const [client] = this.#clients as [FleetClient];
    const made = await client.json<{ ID: string }>('/v1/session/create', { TTL: '10s', LockDelay: '0s' });
    this.session = made.ID;
    const answer = await client.put(`/v1/kv/${this.#key}?acquire=${this.session}`, 'leader');
    if (answer.text !== 'true') throw new Error(answer.text);
  }

  /** Whether a side shows that it holds the lock, and has held it without a break. */
  async holds(side: FleetClient): Promise<boolean> {
    const entry = await side.key(this.#key, 'consistent');
    return entry?.session === this.session && entry.lockIndex === 1;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    for (let n = 0; !signal.aborted; n += 1) {
      const client = this.#clients[n % this.#clients.length] as FleetClient;
      const answer = await client.put(`/v1/session/renew/${this.session}`).catch(String);
      if (typeof answer !== 'string' && answer.status === 200) this.renewals += 1;
      else this.failures.push(typeof answer === 'string' ? answer : `${answer.status} ${answer.text}`);
      await sleep(1000, signal);
    }
  }
}

/** A client that waits for changes of a service's passing instances, as load balancers do. */
export class Watcher extends Worker {
  /** Each answer that differs from the one before: the nodes. */
  readonly seen: string[] = [];
  /** Answers that were none. */
  readonly failures: string[] = [];
  readonly #client: FleetClient;
  readonly #path: string;

  constructor(url: string, service: string) {
    super();
    this.#client = new FleetClient(url);
    this.#path = `/v1/health/service/${service}?passing`;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    let index = 0;
    while (!signal.aborted) {
      try {
        const answer = await this.#client.get(`${this.#path}&index=${index}&wait=10s`, signal);
        if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
        // As Consul's documentation asks of clients.
        index = answer.index < index ? 0 : answer.index;
        const rows = JSON.parse(answer.text) as { Node: { Node: string } }[];
        const nodes = rows.map(({ Node }) => Node.Node).join(' ');
        if (this.seen.length === 0 || nodes !== this.seen.at(-1)) this.seen.push(nodes);
      } catch (error) {
        if (!signal.aborted) this.failures.push(String(error));
        await sleep(50, signal);
      }
    }
    this.#client.close();
  }
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
