import {
  type AgentOptions,
  type AgentPorts,
  type AgentProcess,
  runCommand,
  startAgent,
} from './agent-process.ts';
import type { CommandResult } from './agent-process.ts';
import { FleetClient } from './fleet-client.ts';
import { consulBinary } from './real-consul.ts';

/** One server of a real Consul cluster. */
export interface SourceServer {
  readonly name: string;
  readonly agent: AgentProcess;
  readonly client: FleetClient;
  cli(...args: readonly string[]): Promise<CommandResult>;
}

const startMsMax = 60_000;

/** A real Consul of several servers, as it is migrated away from. */
export class SourceCluster {
  readonly servers: readonly SourceServer[];

  constructor(servers: readonly SourceServer[]) {
    this.servers = servers;
  }

  /** Starts them, and waits until they have elected one of them. */
  static async start(count = 3, options: AgentOptions = {}): Promise<SourceCluster> {
    const ports: AgentPorts[] = [];
    const starting = Array.from({ length: count }, (_, n) =>
      startServer(n, count, options, (own) => ports.push(own)),
    );
    // They serve once they have a leader, and elect one once they know each other.
    const stopJoining = new AbortController();
    const joining = joinAll(ports, count, stopJoining.signal);
    const settled = await Promise.allSettled(starting);
    stopJoining.abort();
    await joining;
    const servers = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = settled.find((each) => each.status === 'rejected');
    const cluster = new SourceCluster(servers);
    if (failed !== undefined) {
      await cluster.stop();
      throw failed.reason;
    }
    return cluster;
  }

  get urls(): readonly string[] {
    return this.servers.map(({ agent }) => agent.url);
  }

  get first(): SourceServer {
    return this.servers[0] as SourceServer;
  }

  /** The server that leads now, asked of those that answer. */
  async leader(): Promise<SourceServer> {
    for (const { client } of this.servers) {
      const answer = await client.get('/v1/status/leader').catch(() => undefined);
      if (answer?.status !== 200) continue;
      const address = JSON.parse(answer.text) as string;
      const leader = this.servers.find(({ agent }) => address.endsWith(`:${agent.ports.server}`));
      if (leader !== undefined) return leader;
    }
    throw new Error('no server knows a leader');
  }

  /** Resolves once every server that runs takes a consistent read. */
  async untilLed(): Promise<void> {
    const endMs = Date.now() + startMsMax;
    for (const { client, agent } of this.servers) {
      for (;;) {
        if (agent.pid === 0) break;
        const answer = await client.get('/v1/kv/none?consistent').catch(() => undefined);
        if (answer?.status === 404) break;
        if (Date.now() > endMs) throw new Error(`no leader in time; it printed:\n${agent.output()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map(({ agent }) => agent.stop()));
  }
}

/** Makes them know each other, as soon as each of them listens. */
async function joinAll(ports: readonly AgentPorts[], count: number, signal: AbortSignal): Promise<void> {
  const joined = new Set<AgentPorts>();
  while (!signal.aborted && joined.size < count - 1) {
    const [first, ...others] = ports;
    for (const other of others) {
      if (first === undefined || joined.has(other)) continue;
      const path = `/v1/agent/join/127.0.0.1:${first.serfLan}`;
      const answer = await new FleetClient(`http://127.0.0.1:${other.http}`)
        .put(path, '', signal)
        .catch(() => undefined);
      if (answer?.status === 200) joined.add(other);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function startServer(
  n: number,
  count: number,
  options: AgentOptions,
  onPorts: (ports: AgentPorts) => void,
): Promise<SourceServer> {
  const binary = consulBinary();
  const name = `source-${n + 1}`;
  const config = ({ ports, dataDir }: { ports: AgentPorts; dataDir: string }): object => {
    onPorts(ports);
    return {
      node_name: name,
      data_dir: dataDir,
      bind_addr: '127.0.0.1',
      client_addr: '127.0.0.1',
      disable_update_check: true,
      performance: { raft_multiplier: 1 },
      limits: { http_max_conns_per_client: 15_000 },
      ports: {
        http: ports.http,
        dns: -1,
        server: ports.server,
        serf_lan: ports.serfLan,
        serf_wan: -1,
        grpc: -1,
      },
    };
  };
  const args = (configFile: string): readonly string[] => [
    'agent',
    '-server',
    `-bootstrap-expect=${count}`,
    `-config-file=${configFile}`,
  ];
  const agent = await startAgent(
    { command: binary, namePrefix: 'source', startMsMax, args, config },
    { ...options, config: { node_name: name, ...options.config } },
  );
  return {
    name,
    agent,
    client: new FleetClient(agent.url),
    cli: (...cliArgs) => runCommand(binary, cliArgs, { env: { CONSUL_HTTP_ADDR: agent.url } }),
  };
}
