import type { Phase } from '../../src/state/migration.ts';
import { FleetClient } from '../../test/support/fleet-client.ts';
import { type GatewayProcess, startGateway } from '../../test/support/gateway-process.ts';

const base = '/v1/grapevine/migration';

interface Status {
  readonly rules: readonly { readonly of: string; readonly prefix: string }[];
}

/** A gateway whose source is a Consul. */
export interface Moving {
  readonly gateway: GatewayProcess;
  readonly client: FleetClient;
  /** To the phase, step by step from where the rule is, past gates that time alone would open. */
  walk(prefix: string, to: readonly Phase[]): Promise<void>;
  status(): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

export async function startMoving(source: string, config: object = {}): Promise<Moving> {
  const gateway = await startGateway({
    config: { migration: { source, limits: { lag: '30s' }, ...config } },
  });
  const client = new FleetClient(gateway.url);
  const moving: Moving = {
    gateway,
    client,
    walk: async (prefix, to) => {
      for (const phase of to) await step(client, prefix, phase);
    },
    status: () => client.json(`${base}/status`),
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
