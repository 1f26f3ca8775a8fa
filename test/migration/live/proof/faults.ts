import { authorityOf } from '../../../../src/state/migration.ts';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceServer } from '../../../support/source-cluster.ts';
import { type Scene, isUp, signal } from './scene.ts';

// What goes wrong while a Consul is moved. Each fault is begun, worked under, and healed.

/** kill -9 of the gateway that copies, with writes under way; it comes back. */
export async function killRunner(scene: Scene): Promise<void> {
  const gateway = await scene.runner();
  scene.log(`kill -9 of the runner ${gateway.name}`);
  await gateway.kill();
  await scene.work(20);
  await gateway.restart();
  await allTogether(scene);
}

/** The same in the middle of a step that it directs; the step is then made, or it is not. */
export async function killDirector(
  scene: Scene,
  prefix: string,
  step: () => Promise<unknown>,
): Promise<void> {
  const gateway = await scene.owner();
  const stepping = step().catch((error: unknown) => error);
  await scene
    .until(
      'the step is under way',
      async () => {
        const body = await gateway
          .json<{ gateways: { status: { steps?: { busy: string | null } } | null }[] }>(
            '/v1/grapevine/migration/status',
          )
          .catch(() => ({ gateways: [] }));
        return body.gateways.some(({ status }) => (status?.steps?.busy ?? null) !== null);
      },
      15_000,
    )
    .catch(() => scene.log('the step was over before anybody saw it'));
  scene.log(`kill -9 of ${gateway.name}, which directs the step of ${prefix}`);
  await gateway.kill();
  await gateway.restart();
  await allTogether(scene);
  await stepping;
}

export async function killLeader(scene: Scene): Promise<void> {
  const leader = await scene.cluster.leader();
  scene.log(`kill -9 of Consul's leader ${leader.name}`);
  await leader.agent.kill();
  await untilLed(scene);
  await scene.work(20);
  await leader.agent.restart();
  await untilLed(scene);
  scene.log(`${leader.name} is back`);
}

/** A server that stands still, and does not close what is open. */
export async function freezeServer(scene: Scene): Promise<void> {
  const server = scene.rng.pick(scene.cluster.servers);
  scene.log(`${server.name} stands still`);
  signal(server, 'SIGSTOP');
  await scene.work(20);
  signal(server, 'SIGCONT');
  await untilLed(scene);
}

/** Between all gateways and some servers of Consul, or all. */
export async function cutLinks(scene: Scene, all = scene.rng.chance(0.5)): Promise<void> {
  const cut = all ? scene.gates : [scene.rng.pick(scene.gates)];
  scene.log(`links to ${cut.length} servers of Consul are cut`);
  for (const gate of cut) gate.cut();
  await scene.work(20);
  for (const gate of cut) gate.heal();
}

/** The source becomes what it was a while ago, but for what this fleet decides; clients write all the time. */
export async function restoreSnapshot(scene: Scene): Promise<void> {
  const file = join(scene.fleet.place, `snapshot-${Date.now()}`);
  const leader = await scene.cluster.leader();
  await scene.settle('before the snapshot');
  await scene.clients.pause();
  await cli(leader, 'snapshot', 'save', file);
  const page = scene.ledger.page();
  scene.clients.resume();
  await scene.work(60);
  scene.log('consul snapshot restore, with writes under way');
  scene.ledger.beginFog((key) => authorityOf(scene.phaseOf(key)) === 'source');
  await cli(leader, 'snapshot', 'restore', file);
  await untilLed(scene);
  await rm(file);
  scene.ledger.rewind(page);
  await scene.work(40);
}

const bulk = 300;

/** Somebody deletes all of a directory at the source: nothing is deleted here before an operator says so. */
export async function deleteMuch(scene: Scene, rule: string): Promise<void> {
  const prefix = `${rule}mass/`;
  const leader = await scene.cluster.leader();
  for (let i = 0; i < bulk; i += 60) {
    const ops = Array.from({ length: 60 }, (_, n) => ({
      KV: { Verb: 'set', Key: `${prefix}${String(i + n).padStart(4, '0')}`, Value: 'eA==' },
    }));
    await leader.client.json('/v1/txn', ops);
  }
  await copied(scene, prefix, bulk);
  scene.log(`hostile delete of ${bulk} keys at the source`);
  await leader.client.ask('DELETE', `/v1/kv/${prefix}?recurse`);
  await scene.until('the breaker asks', async () => (await asked(scene)).length > 0);
  scene.log(`it asks: ${(await asked(scene)).join('; ')}`);
  await scene.work(30);
  const left = await leftHere(scene, prefix);
  if (left.some((count) => count !== bulk)) {
    scene.problems.push(
      `mass delete: of ${bulk} keys gateways have ${left.join(', ')} before they were told`,
    );
  }
  await scene.until('the breaker is answered', async () => {
    const { code, text } = await scene.migrate('breaker', rule, 'allow');
    if (code !== 0) throw new Error(text);
    return true;
  });
  await copied(scene, prefix, 0);
  scene.log('it was allowed');
}

/** How many keys each gateway has below a prefix: by itself where reads are answered here, else as compared for us. */
async function leftHere(scene: Scene, prefix: string): Promise<readonly number[]> {
  if (scene.phaseOf(prefix) === 'local-reads') {
    return Promise.all(scene.living.map(async (gateway) => (await gateway.keys(prefix)).size));
  }
  const { text } = await scene.migrate('verify', prefix, '-json');
  const { equal, extra } = JSON.parse(text) as { equal: number; extra: number };
  return [equal + extra];
}

async function copied(scene: Scene, prefix: string, count: number): Promise<void> {
  await scene.until(`gateways have ${count} keys of ${prefix}`, async () => {
    const left = await leftHere(scene, prefix);
    if (left.every((each) => each === count)) return true;
    throw new Error(left.join(', '));
  });
}

async function asked(scene: Scene): Promise<readonly string[]> {
  const { gateways } = await scene.status();
  return gateways.flatMap(({ status }) =>
    (status?.rules ?? []).flatMap(({ tail }) => (typeof tail?.breaker === 'string' ? [tail.breaker] : [])),
  );
}

async function cli(server: SourceServer, ...args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await server.cli(...args);
  if (code !== 0) throw new Error(`consul ${args.join(' ')}: ${stdout}${stderr}`);
}

/** Until every server that runs takes consistent reads. */
async function untilLed(scene: Scene): Promise<void> {
  await scene.until('Consul has a leader', async () => {
    const up = scene.cluster.servers.filter(isUp);
    const answers = await Promise.all(
      up.map(({ client }) => client.get('/v1/kv/none?consistent', AbortSignal.timeout(2000))),
    );
    return answers.every(({ status }) => status === 404);
  });
}

async function allTogether(scene: Scene): Promise<void> {
  await scene.fleet.untilTogether();
  await scene.until('there is a runner', async () => (await scene.status()).runner !== null);
}
