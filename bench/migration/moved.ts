import type { Phase } from '../../src/state/migration.ts';
import { FleetClient } from '../../test/support/fleet-client.ts';
import { startAgent } from '../../test/support/agent-process.ts';
import { gatewayCommand, type GatewayProcess } from '../../test/support/gateway-process.ts';

const base = '/v1/grapevine/migration';

interface Status {
  readonly rules: readonly { readonly of: string; readonly prefix: string }[];
}

/** A gateway whose source is a Consul. */
export interface Moving {
  readonly gateway: GatewayProcess;
  readonly client: FleetClient;
  /** To the phase, step by step from where the rule is, past gates that time alone would open. */
  readonly walk: (prefix: string, to: readonly Phase[]) => Promise<void>;
  stop(): Promise<void>;
}

export async function startMoving(source: string, config: object = {}): Promise<Moving> {
  const gateway = await startGateway({ source, limits: { lag: '30s' }, ...config });
  const client = new FleetClient(gateway.url);
  const moving: Moving = {
    gateway,
    client,
    walk: async (prefix, to) => {
      for (const phase of to) await step(client, prefix, phase);
    },
    stop: async () => {
      client.close();
      await gateway.stop();
    },
  };
  await until('the first rules are written', 30, async () => {
    const { rules } = await client.json<Status>(`${base}/status`).catch(() => ({ rules: [] }));
    return rules.length >= 2;
  });
  return moving;
}

/** The catalog is the source's, and with it the health of nodes: that it serves is to be seen otherwise. */
function startGateway(migration: object): Promise<GatewayProcess> {
  const [command, ...before] = gatewayCommand();
  return startAgent({
    ...{ command, namePrefix: 'gateway', startMsMax: 30_000 },
    args: (configFile) => [...before, 'agent', '-server', '-bootstrap', `-config-file=${configFile}`],
    config: ({ ports, dataDir, nodeName }) => ({
      node_name: nodeName,
      data_dir: dataDir,
      bind_addr: '127.0.0.1',
      client_addr: '127.0.0.1',
      limits: { http_max_conns_per_client: 15_000 },
      ports: {
        ...{ http: ports.http, dns: ports.dns, server: ports.server, grpc: -1 },
        ...{ serf_lan: ports.serfLan, serf_wan: ports.serfWan },
      },
      migration,
    }),
    isServing: async (url, signal) => {
      const answer = await fetch(`${url}/v1/agent/self`, { signal }).catch(() => undefined);
      await answer?.text();
      return answer?.status === 200;
    },
  });
}

async function step(client: FleetClient, prefix: string, phase: Phase): Promise<void> {
  let last = '';
  await until(`${phase} of ${prefix}`, 120, async () => {
    const order = { prefix, phase, reason: 'a bench has no time', override: false };
    const answer = await client.put(`${base}/step`, JSON.stringify(order));
    last = answer.text;
    return answer.status === 200 && (JSON.parse(answer.text) as { result: string }).result === 'done';
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${last}`, { cause: error });
  });
}

/** Asks every 50 ms. */
export async function until(what: string, secondsMax: number, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + secondsMax * 1000;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`not within ${secondsMax} s: ${what}`);
    await pause(50);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
