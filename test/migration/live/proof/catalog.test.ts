import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Gate } from '../../../../migration/live/control/gates.ts';
import type { StepReport } from '../../../../migration/live/control/stepper.ts';
import type { AgentProcess } from '../../../support/agent-process.ts';
import { FleetClient } from '../../../support/fleet-client.ts';
import { type FleetGateway, FleetProcess } from '../../../support/fleet-process.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../../support/real-consul.ts';
import { HostProgram, hostServices, LockHolder, startHostAgent, Watcher } from './catalog-scene.ts';
import { Registrars } from './registrars.ts';

const testMsMax = 180_000;
const base = '/v1/grapevine/migration';
const short = { override: true, reason: 'a test is short' };

describeRealConsul('the catalog of a live Consul', () => {
  let consul: RealConsul;
  let source: FleetClient;
  let host: AgentProcess;
  let fleet: FleetProcess;
  let g1: FleetGateway;
  let g2: FleetGateway;
  let web1: FleetGateway;
  let registrars: Registrars;
  let watchers: readonly Watcher[] = [];
  let program: HostProgram;
  let holder: LockHolder;

  const step = async (phase: string, more: object = {}): Promise<StepReport> => {
    let report: StepReport | undefined;
    await fleet.until(`it is in ${phase}`, async () => {
      const body = { prefix: '', kind: 'catalog', phase, ...more };
      const answer = await g1.put(`${base}/step`, JSON.stringify(body));
      if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
      report = JSON.parse(answer.text) as StepReport;
      if (report.result === 'done') return true;
      throw new Error(JSON.stringify(report));
    });
    return report as unknown as StepReport;
  };
  /** What the gate of the report says of a comparison of everything. */
  const sweepGate = async (): Promise<Gate | undefined> => {
    const body = { prefix: '', kind: 'catalog', phase: 'cutover', dryRun: true };
    const { gates } = await g1.json<StepReport>(`${base}/step`, body);
    // What is told of keys alone could never be green here.
    expect(gates.map(({ name }) => name)).not.toContain('report-sessions');
    expect(gates.map(({ name }) => name)).not.toContain('report-bypass-writes');
    return gates.find(({ name }) => name === 'report-sweep');
  };
  /** Waits until all sides show what was acknowledged. */
  const judge = async (sides: Readonly<Record<string, FleetClient>>): Promise<void> => {
    await registrars.pause();
    await fleet.until('what was acknowledged is so', async () => {
      const found = Object.entries(sides).map(([name, side]) => registrars.problems(name, side));
      const problems = (await Promise.all(found)).flat();
      if (problems.length > 0) throw new Error(problems.join('; '));
      return true;
    });
    registrars.resume();
    expect(registrars.failures).toEqual([]);
  };
  /** What those who wait for the service saw while something was done, until they see it again. */
  const seenDuring = async (work: () => Promise<void>): Promise<readonly (readonly string[])[]> => {
    const before = watchers.map(({ seen }) => seen.length);
    await work();
    await fleet.until('the service is seen again', () =>
      Promise.resolve(watchers.every(({ seen }) => seen.at(-1) === 'web1')),
    );
    return watchers.map(({ seen }, i) => seen.slice(before[i]));
  };
  /** The ids of the nodes that have the service, and its instances. */
  const instances = (side: FleetClient): Promise<readonly string[]> =>
    side
      .json<{ Node: string; ID: string; ServiceID: string }[]>('/v1/catalog/service/web')
      .then((rows) => rows.map(({ Node, ID, ServiceID }) => `${Node} ${ID} ${ServiceID}`));
  const idOf = async (agent: FleetClient): Promise<string> =>
    (await agent.json<{ Config: { NodeID: string } }>('/v1/agent/self')).Config.NodeID;

  beforeAll(async () => {
    consul = await startRealConsul();
    source = new FleetClient(consul.url);
    [host, fleet] = await Promise.all([
      startHostAgent('web1', consul),
      FleetProcess.start({
        regions: ['eu', 'us'],
        config: { migration: { source: consul.url, limits: { lag: '30s', hold: '8s' } } },
      }),
    ]);
    [g1, g2] = [fleet.gateway('g1'), fleet.gateway('g2')];
    registrars = new Registrars([g1.agent.url, g2.agent.url], 2);
    watchers = [g1, g2].map(({ agent }) => new Watcher(agent.url, 'web').start());
    program = new HostProgram([host.url]).start();
    holder = new LockHolder('lock/leader', [g1, g2]);
    await holder.acquire();
    holder.start();
  }, testMsMax);
  afterAll(async () => {
    await registrars?.stop();
    await Promise.all([...watchers, program, holder].map((each) => each?.stop()));
    source?.close();
    await fleet?.close();
    await host?.stop();
    await consul?.stop();
  }, testMsMax);

  test(
    'is copied while clients register through gateways, and verify makes the gate of its cutover green',
    async () => {
      for (const phase of ['mirror', 'dual', 'shadow', 'local-reads']) {
        await step(phase);
        await step(phase, { prefix: 'app/', kind: 'kv' });
      }
      await judge({ g1, g2, source });
      await registrars.pause();
      expect(await sweepGate()).toMatchObject({
        state: 'unknown',
        detail: expect.stringContaining('the catalog'),
      });
      const { code, stdout } = await g2.cli('migrate', 'verify', '-kind=catalog');
      expect([code, stdout]).toEqual([
        0,
        expect.stringMatching(/^(\d+) of \1 entries of the catalog are equal/),
      ]);
      expect(await sweepGate()).toMatchObject({ state: 'green' });
      registrars.resume();
    },
    testMsMax,
  );

  test(
    'shows a host whose agent is swapped for a gateway: who waits for its service misses it once, while nobody has it',
    async () => {
      const legacy = JSON.stringify({ Name: 'legacy', Port: 1 });
      expect((await new FleetClient(host.url).put('/v1/agent/service/register', legacy)).status).toBe(200);
      await g2.untilAnswer('/v1/catalog/service/legacy', ({ text }) => text !== '[]');
      const seen = await seenDuring(async () => {
        process.kill(host.pid, 'SIGTERM');
        await host.exited();
        await fleet.until('it is gone', () =>
          Promise.resolve(watchers.every((watcher) => watcher.seen.at(-1) === '')),
        );
        web1 = await fleet.add({ name: 'web1', region: 'eu', config: hostServices });
        program.agents.push(web1.agent.url);
      });
      expect(seen).toEqual([
        ['', 'web1'],
        ['', 'web1'],
      ]);
      // The node is the gateway's, with what its files say and no more.
      const id = await idOf(web1);
      for (const side of [g1, g2]) {
        expect(await instances(side)).toEqual([`web1 ${id} web`]);
        expect(await side.json('/v1/catalog/service/legacy')).toEqual([]);
      }
      await source.untilAnswer('/v1/catalog/node/grapevine-web1', ({ text }) => text.includes('"metrics"'));
    },
    testMsMax,
  );

  test(
    'moves here and back under registrations: what was answered is on both sides, and nothing comes back',
    async () => {
      for (let n = 0; n < 2; n += 1) {
        const there = await step('cutover', short);
        expect(there.heldMs).toBeGreaterThan(0);
        await registrars.atLeast(100);
        await judge({ g1, g2, source });
        const back = await step('local-reads');
        expect(back.heldMs).toBeGreaterThan(0);
        await registrars.atLeast(50);
        await judge({ g1, g2, source });
      }
    },
    testMsMax,
  );

  test(
    'shows the host again once its agent is back in place of the gateway',
    async () => {
      const seen = await seenDuring(async () => {
        expect((await web1.cli('leave')).code).toBe(0);
        await web1.agent.exited();
        await fleet.until('it is gone', () =>
          Promise.resolve(watchers.every((watcher) => watcher.seen.at(-1) === '')),
        );
        await host.restart();
      });
      expect(seen).toEqual([
        ['', 'web1'],
        ['', 'web1'],
      ]);
      const agentId = await idOf(new FleetClient(host.url));
      for (const side of [g1, g2, source]) {
        await fleet.until("its node is the agent's", async () => {
          expect(await instances(side)).toEqual([`web1 ${agentId} web`]);
          return true;
        });
      }
    },
    testMsMax,
  );

  test(
    'takes over from an agent that crashed, and is final in the end: this fleet alone has what is registered',
    async () => {
      await host.kill();
      await web1.restart();
      await web1.untilAnswer('/v1/health/service/web?passing', ({ text }) => text !== '[]');
      const id = await idOf(web1);
      for (const side of [g1, g2]) {
        await fleet.until("its node is the gateway's", async () => {
          expect(await instances(side)).toEqual([`web1 ${id} web`]);
          return true;
        });
      }
      await step('cutover', short);
      await registrars.atLeast(50);
      await step('final');
      await registrars.atLeast(50);
      await judge({ g1, g2, web1 });
      expect(await holder.holds(g1)).toBe(true);
      expect(await holder.holds(source)).toBe(true);
      expect([holder.failures, ...watchers.map(({ failures }) => failures)]).toEqual([[], [], []]);
      expect(holder.renewals).toBeGreaterThan(5);
    },
    testMsMax,
  );
});
