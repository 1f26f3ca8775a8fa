import { FleetClient } from '../../../support/fleet-client.ts';
import { FleetProcess } from '../../../support/fleet-process.ts';
import { SourceCluster } from '../../../support/source-cluster.ts';

const base = '/v1/grapevine/migration';
const master = '6d6f6e69-0000-4000-8000-000000000001';
/** Fewer than what the breaker asks about: it is the proof of absence that must not come from a list that was shortened. */
const hiddenCount = 40;
const openCount = 120;
const passMsMax = 20_000;

/**
 * The token of the gateways may no longer read a part of the tree, as a Consul of that age says nothing of: its lists
 * are shorter. Answers what is wrong with what gateways show.
 */
export async function loseRights(log: (text: string) => void): Promise<readonly string[]> {
  const acl = { enabled: true, default_policy: 'allow', tokens: { master } };
  const cluster = await SourceCluster.start(1, { config: { acl } });
  let fleet: FleetProcess | undefined;
  const source = new FleetClient(cluster.first.agent.url);
  try {
    const asMaster = async <T>(method: string, path: string, body: object): Promise<T> => {
      const answer = await source.ask(method, `${path}?token=${master}`, JSON.stringify(body));
      if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
      return JSON.parse(answer.text) as T;
    };
    const rules = (hidden: string): string =>
      `key_prefix "" { policy = "write" } key_prefix "app/hidden/" { policy = "${hidden}" } ` +
      'node_prefix "" { policy = "read" } service_prefix "" { policy = "read" } ' +
      'session_prefix "" { policy = "write" } agent_prefix "" { policy = "read" }';
    const policy = await asMaster<{ ID: string }>('PUT', '/v1/acl/policy', {
      ...{ Name: 'gateways', Rules: rules('write') },
    });
    const { SecretID: token } = await asMaster<{ SecretID: string }>('PUT', '/v1/acl/token', {
      Policies: [{ ID: policy.ID }],
    });
    for (let i = 0; i < openCount; i++) await source.putKey(`app/open/${i}`, 'open');
    for (let i = 0; i < hiddenCount; i++) await source.putKey(`app/hidden/${i}`, 'hidden');
    fleet = await FleetProcess.start({
      regions: ['eu', 'us'],
      config: { migration: { source: cluster.first.agent.url, token, limits: { lag: '30s' } } },
    });
    const running = fleet;
    const g1 = running.gateway('g1');
    const step = (phase: string): Promise<void> =>
      running.until(phase, async () => {
        const answer = await g1.put(`${base}/step`, JSON.stringify({ prefix: 'app/', phase }));
        if (answer.status === 200 && (JSON.parse(answer.text) as { result: string }).result === 'done')
          return true;
        throw new Error(answer.text);
      });
    for (const phase of ['mirror', 'dual', 'shadow', 'local-reads']) {
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      await step(phase);
    }
    const problems: string[] = [];
    const hiddenAt = async (gateway: FleetClient): Promise<number> =>
      (await gateway.keys('app/hidden/')).size;
    const check = async (when: string): Promise<void> => {
      for (const gateway of running.gateways) {
        const count = await hiddenAt(gateway);
        if (count !== hiddenCount)
          problems.push(`${gateway.name} ${when}: ${count} of ${hiddenCount} keys are left`);
      }
    };
    /** Everything that the source said before this was looked at. */
    const pass = async (value: string): Promise<void> => {
      await source.putKey('app/open/0', value);
      await Promise.all(running.gateways.map((gateway) => gateway.untilKey('app/open/0', value, passMsMax)));
    };
    await check('before');
    await asMaster('PUT', `/v1/acl/policy/${policy.ID}`, {
      ...{ ID: policy.ID, Name: 'gateways', Rules: rules('deny') },
    });
    log('the token may not read app/hidden/ any more');
    await running.until('the source shows the token less', async () => {
      const seen = await source.get(`/v1/kv/app/hidden/?keys&token=${token}`);
      return seen.status !== 200 || (JSON.parse(seen.text) as string[]).length === 0;
    });
    for (let n = 0; n < 5; n++) {
      // oxlint-disable-next-line no-await-in-loop -- a change, and a look, after the other
      await pass(`without rights ${n}`).catch((error: unknown) => problems.push(String(error)));
    }
    await check('without rights');
    const troubles = async (): Promise<Troubles> => troublesAt(g1);
    const isTold = ({ status, gate, report }: Troubles): boolean =>
      status.includes(`${hiddenCount} keys under`) &&
      gate === 'red' &&
      report.includes(`${hiddenCount} keys`);
    let told: Troubles | undefined;
    await running
      .until('trouble is told of', async () => isTold((told = await troubles())), passMsMax)
      .catch(() => problems.push(`of keys that cannot be read is told: ${JSON.stringify(told)}`));
    log(`without rights: ${JSON.stringify(told)}`);
    await asMaster('PUT', `/v1/acl/policy/${policy.ID}`, {
      ...{ ID: policy.ID, Name: 'gateways', Rules: rules('write') },
    });
    log('it may again');
    await source.ask('DELETE', '/v1/kv/app/hidden/0');
    await pass('with rights').catch((error: unknown) => problems.push(String(error)));
    await running
      .until(
        'a key that is really deleted goes',
        async () => (await hiddenAt(g1)) === hiddenCount - 1,
        30_000,
      )
      .catch(async (error: unknown) => {
        problems.push(
          `${await hiddenAt(g1)} keys are left of ${hiddenCount - 1}: ${String(error).slice(0, 300)}`,
        );
      });
    await running
      .until(
        'trouble is over',
        async () => {
          told = await troubles();
          return told.status === '' && told.gate === 'green' && told.report === '';
        },
        passMsMax,
      )
      .catch(() => problems.push(`with rights again it is told: ${JSON.stringify(told)}`));
    return problems;
  } finally {
    source.close();
    await fleet?.close();
    await cluster.stop();
  }
}

/** What is said of keys that cannot be read, at three places. */
interface Troubles {
  readonly status: string;
  readonly gate: string | undefined;
  readonly report: string;
}

async function troublesAt(gateway: FleetClient): Promise<Troubles> {
  const { gateways } = await gateway.json<{
    gateways: { status: { rules: { prefix: string; tail: { problem?: string } | null }[] } }[];
  }>(`${base}/status`);
  const said = gateways.flatMap(({ status }) =>
    status.rules.flatMap(({ tail }) => (typeof tail?.problem === 'string' ? [tail.problem] : [])),
  );
  const order = { prefix: 'app/', phase: 'cutover', dryRun: true };
  const { gates } = await gateway.json<{ gates: { name: string; state: string }[] }>(`${base}/step`, order);
  const { operations } = await gateway.json<{ operations: { copyTroubles?: string[] | null } }>(
    `${base}/report`,
  );
  return {
    status: said.join('; '),
    gate: gates.find(({ name }) => name === 'mirror-complete')?.state,
    report: operations.copyTroubles?.join('; ') ?? 'not known',
  };
}
