import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { StatusBody } from '../../../../bin/cli/migrate-live-text.ts';
import type { StepReport } from '../../../../migration/live/control/stepper.ts';
import type { Phase } from '../../../../src/state/migration.ts';
import type { CommandResult } from '../../../support/agent-process.ts';
import { FleetClient } from '../../../support/fleet-client.ts';
import { type FleetGateway, FleetProcess, memberStatus } from '../../../support/fleet-process.ts';
import { describeRealConsul } from '../../../support/real-consul.ts';
import { SourceCluster } from '../../../support/source-cluster.ts';
import { openTcpGate, type TcpGate } from '../../../support/tcp-gates.ts';

const base = '/v1/grapevine/migration';
const testMsMax = 120_000;
const massCount = 120;

// One after the other, on the same processes: each goes on from where the one before left the rules.
describeRealConsul('operators of a migration, at three gateways before a Consul', () => {
  let source: SourceCluster;
  let other: SourceCluster;
  let gate: TcpGate;
  let fleet: FleetProcess;
  let there: FleetClient;
  let g1: FleetGateway;
  let g2: FleetGateway;
  let g3: FleetGateway;

  const said = ({ stdout, stderr }: CommandResult): string => `${stdout}${stderr}`;
  const migrate = async (gateway: FleetGateway, ...args: readonly string[]): Promise<string> => {
    const result = await gateway.cli('migrate', ...args);
    if (result.code !== 0) throw new Error(`${args.join(' ')}: ${result.code} ${said(result)}`);
    return said(result);
  };
  const step = (prefix: string, phase: Phase): Promise<void> =>
    fleet.until(`${prefix} -> ${phase}`, async () => {
      const override = phase === 'cutover' ? { override: true, reason: 'a test is short' } : {};
      const answer = await g2.put(`${base}/step`, JSON.stringify({ prefix, phase, ...override }));
      const { result, message } = JSON.parse(answer.text) as StepReport;
      if (result === 'done') return true;
      throw new Error(message);
    });
  const rule = async (prefix: string): Promise<{ readonly phase: string; readonly step: number }> => {
    const found = (await g1.json<StatusBody>(`${base}/status`)).rules.find(
      (each) => each.kind === 'kv' && each.prefix === prefix,
    );
    if (found === undefined) throw new Error(`no rule of ${prefix}`);
    return found;
  };
  const statusSays = (wanted: RegExp, isWanted = true): Promise<void> =>
    fleet.until(`the status ${isWanted ? 'says' : 'no longer says'} ${wanted}`, async () => {
      const text = await migrate(g2, 'status');
      if (wanted.test(text) === isWanted) return true;
      throw new Error(text);
    });
  const untilStatus = (gateway: FleetGateway, member: FleetGateway, status: number | undefined) =>
    fleet.until(`${gateway.name} sees ${member.name} as ${status}`, async () => {
      return (await gateway.members()).get(member.name) === status;
    });
  const putMany = async (client: FleetClient, prefix: string, count: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, (_, i) => client.putKey(`${prefix}${i}`, `value ${i}`)));
  };

  beforeAll(async () => {
    [source, other] = await Promise.all([SourceCluster.start(1), SourceCluster.start(1)]);
    there = new FleetClient(source.first.agent.url);
    gate = await openTcpGate(source.first.agent.httpPort);
    await putMany(there, 'app/', 20);
    fleet = await FleetProcess.start({
      regions: ['eu', 'eu', 'us'],
      config: { migration: { source: `http://127.0.0.1:${gate.port}`, limits: { lag: '30s' } } },
    });
    [g1, g2, g3] = fleet.gateways as unknown as [FleetGateway, FleetGateway, FleetGateway];
    // Gateways that have just started do not act on the first rules yet.
    await fleet.until('the gates of the first step are open', async () => {
      await migrate(g2, 'phase', 'app/', 'mirror', '-dry-run');
      return true;
    });
  }, testMsMax);
  afterAll(async () => {
    there?.close();
    await fleet?.close();
    await gate?.close();
    await Promise.all([source?.stop(), other?.stop()]);
  }, testMsMax);

  test(
    'of two who order a step at once one gets it, the other is told why not, and all gateways agree',
    async () => {
      const results = await Promise.all(
        [g2, g3].map((each) => each.cli('migrate', 'phase', 'app/', 'mirror')),
      );
      expect(results.map(({ code }) => code).toSorted()).toEqual([0, 1]);
      const refused = results.filter(({ code }) => code === 1).map(said);
      expect(refused.join()).toMatch(/a step is being made: .*app\/.* to mirror|is in phase mirror already/);
      expect(await rule('app/')).toMatchObject({ phase: 'mirror', step: 1 });

      // At the very same moment, to different phases: neither a mixture nor both.
      const orders = (['dual', 'passthrough'] as const).map(async (phase, i) => {
        const order = JSON.stringify({ prefix: 'app/', phase, expectStep: 1 });
        return (await (i === 0 ? g2 : g3).put(`${base}/step`, order)).status;
      });
      expect((await Promise.all(orders)).toSorted()).toEqual([200, 409]);
      const rules = await Promise.all(
        fleet.gateways.map(async (gateway) => {
          const { rules: all } = await gateway.json<StatusBody>(`${base}/status`);
          const { phase, step: at } = all.find(({ prefix }) => prefix === 'app/') ?? {};
          return `${phase} ${at}`;
        }),
      );
      expect(new Set(rules).size).toBe(1);
      expect(rules[0]).toMatch(/ 2$|^mirror 1$/);
    },
    testMsMax,
  );

  test(
    'copying that is paused waits and says so, what it misses is found by verify, and read by repair from its output',
    async () => {
      if ((await rule('app/')).phase !== 'mirror') await step('app/', 'mirror');
      await there.putKey('app/some/changed', 'before');
      await there.putKey('app/some/gone', 'before');
      // Of a part of the rule: a difference in all of it is looked at for half a minute.
      const untilEqual = (): Promise<void> =>
        fleet.until('what is here is as at the source', async () => {
          return (await g2.cli('migrate', 'verify', 'app/some/')).code === 0;
        });
      await untilEqual();
      await migrate(g2, 'pause', '-reason', 'the disk is full');
      await statusSays(/paused: the disk is full/);
      await there.putKey('app/some/changed', 'after');
      await there.putKey('app/some/new', 'after');
      await there.ask('DELETE', '/v1/kv/app/some/gone');
      const gates = await g3.cli('migrate', 'phase', 'app/', 'dual');
      expect(gates.code).toBe(1);
      expect(said(gates)).toMatch(/copying-runs: paused: the disk is full/);

      const found = await g3.cli('migrate', 'verify', 'app/some/', '-json');
      expect(found.code).toBe(1);
      const file = join(fleet.place, 'verify.json');
      await writeFile(file, found.stdout);
      expect(await migrate(g2, 'repair', `-from=${file}`)).toMatch(/3 keys are read again/);
      await untilEqual();
      await migrate(g3, 'resume');
      await statusSays(/paused/, false);
    },
    testMsMax,
  );

  test(
    'a gateway that is down stops a step, unless it is left out with a reason; when it is back it acts as the others',
    async () => {
      await g3.kill();
      await untilStatus(g1, g3, memberStatus.failed);
      const stopped = await g2.cli('migrate', 'phase', 'app/', 'dual');
      expect(stopped.code).toBe(1);
      expect(said(stopped)).toMatch(/gateways-act-on-this-step: g3 is not reachable/);
      const noReason = await g2.cli('migrate', 'phase', 'app/', 'dual', '-without', 'g3');
      expect(said(noReason)).toMatch(/needs a reason/);
      expect(noReason.code).toBe(1);
      expect((await rule('app/')).phase).toBe('mirror');
      await fleet.until('without it', async () => {
        await migrate(g2, 'phase', 'app/', 'dual', '-without', 'g3', '-reason', 'its host is down');
        return true;
      });
      await g2.putKey('app/without', 'g3');
      await g3.restart();
      await fleet.untilTogether();
      await g3.putKey('app/back', 'g3');
      expect(await g3.key('app/without')).toMatchObject({ value: 'g3' });
      await step('app/', 'shadow');
      expect((await g2.cli('migrate', 'verify', 'app/')).code).toBe(0);
    },
    testMsMax,
  );

  test(
    'a gateway that leaves for good in the midst of it is waited for no longer',
    async () => {
      await g3.kill();
      await untilStatus(g1, g3, memberStatus.failed);
      expect((await g2.cli('migrate', 'phase', 'app/', 'local-reads')).code).toBe(1);
      expect((await g2.cli('force-leave', '-prune', 'g3')).code).toBe(0);
      await untilStatus(g1, g3, undefined);
      await step('app/', 'local-reads');
      for (const phase of ['mirror', 'dual', 'shadow', 'local-reads', 'cutover'] as const) {
        await step('cut/', phase);
      }
      await g2.putKey('cut/before', 'here');
      await there.untilKey('cut/before', 'here');
    },
    testMsMax,
  );

  test(
    'a mass delete waits for an answer: what was refused stays here, and goes once it is allowed',
    async () => {
      await putMany(there, 'app/mass/', massCount);
      const copied = (count: number): Promise<void> =>
        fleet.until(`${count} of app/mass/ are here`, async () => {
          const counts = await Promise.all([g1, g2].map(async (each) => (await each.keys('app/mass/')).size));
          return counts.every((each) => each === count);
        });
      await copied(massCount);
      expect((await g2.cli('migrate', 'breaker', 'app/', 'allow')).code).toBe(1);
      await there.ask('DELETE', '/v1/kv/app/mass/?recurse');
      await statusSays(/ASKS: 120 of /);
      await migrate(g1, 'breaker', 'app/', 'refuse');
      await statusSays(/ASKS/, false);
      await copied(massCount);
      await migrate(g2, 'breaker', 'app/', 'allow');
      await copied(0);
    },
    testMsMax,
  );

  test(
    'another cluster at the address of the source is refused with its name, and nothing is deleted on either side',
    async () => {
      const foreign = new FleetClient(other.first.agent.url);
      const [{ id: ours }, { id: theirs }] = await Promise.all(
        [there, foreign].map(async (client) => {
          const [row] = await client.json<{ ID: string }[]>('/v1/catalog/service/consul');
          return { id: row?.ID ?? '' };
        }) as [Promise<{ id: string }>, Promise<{ id: string }>],
      );
      await putMany(foreign, 'cut/foreign/', 5);
      gate.lead(other.first.agent.httpPort);
      await statusSays(/other-cluster: expected dc1-\w+, found dc1-\w+/);
      await g1.putKey('cut/meanwhile', 'here');
      await statusSays(new RegExp(`another cluster answers .*${theirs}.*known are ${ours}.*accept-source`));
      expect(await g1.keys('app/')).toHaveProperty('size', 24);
      expect([...(await foreign.keys('cut/')).keys()]).toHaveLength(5);
      expect(await foreign.key('_gw/term/cut/')).toBeUndefined();
      const back = await g2.cli('migrate', 'phase', 'cut/', 'local-reads');
      expect(back.code).toBe(1);
      expect(said(back)).toMatch(/NO {2}way-back: another cluster/);

      gate.lead(source.first.agent.httpPort);
      await there.untilKey('cut/meanwhile', 'here');
      await statusSays(/other-cluster|another cluster/, false);
      const none = await g2.cli('migrate', 'accept-source', '-reason', 'there is none');
      expect(none.code).toBe(1);
      expect(said(none)).toMatch(/no other cluster answers/);
      foreign.close();
    },
    testMsMax,
  );

  test(
    'another cluster that is accepted decides what the source decided, and gets what this fleet decides',
    async () => {
      const foreign = new FleetClient(other.first.agent.url);
      await putMany(foreign, 'app/', 20);
      await foreign.putKey('app/0', 'of the other');
      gate.lead(other.first.agent.httpPort);
      await statusSays(/other-cluster/);
      await migrate(g2, 'accept-source', '-reason', 'it was rebuilt');
      // Found with timeline 0.
      await statusSays(/, timeline 1/);
      await g1.untilKey('app/0', 'of the other');
      await g1.putKey('cut/after', 'here');
      await g1.untilKey('app/some/new', undefined);
      await foreign.untilKey('cut/before', 'here');
      await foreign.untilKey('cut/foreign/0', undefined);
      await statusSays(/other-cluster|another cluster/, false);
      await step('cut/', 'local-reads');
      expect((await g2.cli('migrate', 'verify')).code).toBe(0);
      foreign.close();
    },
    testMsMax,
  );
});
