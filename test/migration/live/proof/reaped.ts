import { FleetClient } from '../../../support/fleet-client.ts';
import { type FleetGateway, FleetProcess } from '../../../support/fleet-process.ts';
import { SourceCluster } from '../../../support/source-cluster.ts';
import { openTcpGate } from '../../../support/tcp-gates.ts';

const base = '/v1/grapevine/migration';
/** Fewer go than what the breaker asks about. */
const keptCount = 200;
const goneCount = 40;
/** Consul reaps what was deleted fifteen minutes ago, and cannot be told another time. */
const reapMsMax = 25 * 60_000;
const pollMs = 10_000;
const comesMsMax = 60_000;

/**
 * Keys are deleted at the source while nobody looks, and Consul forgets that it had them before anybody looks again:
 * once gateways that were stopped are started, and once those that were cut off reach it, exactly those keys are to
 * disappear. Takes about seventeen minutes. Answers what is wrong.
 */
export async function outlastTombstones(log: (text: string) => void): Promise<readonly string[]> {
  const awake = setInterval(() => {}, 60_000);
  const cluster = await SourceCluster.start(1);
  const gate = await openTcpGate(cluster.first.agent.httpPort);
  const source = new FleetClient(cluster.first.agent.url);
  const fleets: FleetProcess[] = [];
  const problems: string[] = [];
  try {
    for (let i = 0; i < keptCount; i++) await source.putKey(`app/${i % 8}/kept-${i}`, 'kept');
    // Written last: their stamps are above all that the list of the directory shows once they are forgotten.
    for (let i = 0; i < goneCount; i++) await source.putKey(`app/${i % 8}/gone-${i}`, 'gone');
    await source.putKey('app/again', 'before');
    const stopped = await follow(['eu', 'us'], 'stopped', cluster.first.agent.url);
    fleets.push(stopped);
    const cut = await follow(['eu'], 'cut', `http://127.0.0.1:${gate.port}`);
    fleets.push(cut);
    const all = [...stopped.gateways, ...cut.gateways];
    const before = await source.keys('app/');
    for (const gateway of all) await judge(gateway, 'before', before, problems);
    log(`${all.length} gateways have ${before.size} keys`);

    await Promise.all(stopped.gateways.map((gateway) => gateway.terminate()));
    gate.cut();
    for (let i = 0; i < goneCount; i++) await source.ask('DELETE', `/v1/kv/app/${i % 8}/gone-${i}`);
    await source.ask('DELETE', '/v1/kv/app/again');
    const marked = (await source.get('/v1/kv/app/?keys')).index;
    log(`nobody looks; ${goneCount + 1} keys are deleted at the source, which shows index ${marked} of them`);
    for (const gateway of cut.gateways) await judge(gateway, 'cut off', before, problems);

    const endMs = Date.now() + reapMsMax;
    for (;;) {
      const { index } = await source.get('/v1/kv/app/?keys');
      if (index < marked) {
        log(`reaped: the source shows index ${index} of the same keys`);
        break;
      }
      if (Date.now() > endMs) throw new Error(`Consul has not reaped in ${reapMsMax / 60_000} minutes`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    const after = await source.keys('app/');
    gate.heal();
    await Promise.all(stopped.gateways.map((gateway) => gateway.restart()));
    log('the gateways are back');
    for (const [fleet, name] of [
      [stopped, 'stopped'],
      [cut, 'cut off'],
    ] as const) {
      await fleet
        .until(
          'they have what the source has',
          async () => {
            const sizes = await Promise.all(fleet.gateways.map((each) => each.keys('app/')));
            return sizes.every(({ size }) => size <= after.size);
          },
          comesMsMax,
        )
        .catch((error: unknown) => problems.push(String(error)));
      for (const gateway of fleet.gateways) await judge(gateway, `was ${name}`, after, problems);
    }
    // Anew: what is written after it was forgotten comes, and nothing else changes.
    await source.putKey('app/again', 'after');
    await Promise.all(all.map((gateway) => gateway.untilKey('app/again', 'after', comesMsMax)));
    const last = await source.keys('app/');
    for (const gateway of all) await judge(gateway, 'in the end', last, problems);
    log(`each has the ${last.size} keys of the source: ${problems.length === 0 ? 'well' : 'FOUND'}`);
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    source.close();
    await Promise.all(fleets.map((fleet) => fleet.close()));
    await cluster.stop();
    await gate.close();
    clearInterval(awake);
  }
  return problems;
}

/** A fleet that reads what it copied. */
async function follow(regions: readonly string[], name: string, url: string): Promise<FleetProcess> {
  const migration = { source: url, limits: { lag: '30s' } };
  const fleet = await FleetProcess.start({ regions, namePrefix: `${name}-`, config: { migration } });
  const [first] = fleet.gateways;
  for (const phase of ['mirror', 'dual', 'shadow', 'local-reads']) {
    await fleet.until(phase, async () => {
      const answer = await first?.put(`${base}/step`, JSON.stringify({ prefix: 'app/', phase }));
      if (answer?.status === 200 && (JSON.parse(answer.text) as { result: string }).result === 'done')
        return true;
      throw new Error(answer?.text);
    });
  }
  return fleet;
}

async function judge(
  gateway: FleetGateway,
  when: string,
  wanted: ReadonlyMap<string, { readonly value: string }>,
  problems: string[],
): Promise<void> {
  const found = await gateway.keys('app/');
  const wrong = [...new Set([...wanted.keys(), ...found.keys()])].filter(
    (key) => wanted.get(key)?.value !== found.get(key)?.value,
  );
  if (wrong.length > 0)
    problems.push(`${gateway.name} ${when}: ${wrong.length} keys are wrong: ${wrong.slice(0, 5).join(', ')}`);
}
