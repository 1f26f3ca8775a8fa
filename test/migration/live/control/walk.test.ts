import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Report } from '../../../../migration/report/model.ts';
import type { StepReport } from '../../../../migration/live/control/stepper.ts';
import { FleetClient } from '../../../support/fleet-client.ts';
import { type FleetGateway, FleetProcess } from '../../../support/fleet-process.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../../support/real-consul.ts';

const testMsMax = 120_000;
const base = '/v1/grapevine/migration';

/** Clients that write keys of their own through gateways, and remember what they were told. */
class Writers {
  readonly acknowledged = new Map<string, string | null>();
  readonly unsure = new Map<string, Set<string | null>>();
  readonly failures: string[] = [];
  count = 0;
  isRunning = true;
  readonly #loops: Promise<void>[];

  constructor(clients: readonly FleetClient[], prefix: string) {
    this.#loops = clients.map((client, n) => this.#work(client, `${prefix}writer${n}/`));
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    await Promise.all(this.#loops);
  }

  async #work(client: FleetClient, prefix: string): Promise<void> {
    for (let n = 0; this.isRunning; n += 1) {
      const key = `${prefix}${n % 40}`;
      const value = n % 7 === 6 ? null : `value ${n}`;
      try {
        const answer =
          value === null
            ? await client.ask('DELETE', `/v1/kv/${key}`)
            : await client.put(`/v1/kv/${key}`, value);
        if (answer.text === 'true') {
          this.acknowledged.set(key, value);
          this.unsure.delete(key);
          this.count += 1;
        } else this.#unsure(key, value, `${answer.status} ${answer.text}`);
      } catch (error) {
        this.#unsure(key, value, String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  #unsure(key: string, value: string | null, why: string): void {
    this.failures.push(why);
    this.unsure.set(key, (this.unsure.get(key) ?? new Set()).add(value));
  }

  /** What is not as it was acknowledged. */
  problems(found: ReadonlyMap<string, string>): readonly string[] {
    const problems: string[] = [];
    for (const [key, value] of this.acknowledged) {
      const now = found.get(key) ?? null;
      if (now === value || this.unsure.get(key)?.has(now) === true) continue;
      problems.push(`${key} is ${JSON.stringify(now)}, and ${JSON.stringify(value)} was acknowledged`);
    }
    return problems;
  }
}

describeRealConsul('a prefix of a live Consul', () => {
  let consul: RealConsul;
  let fleet: FleetProcess;
  let g1: FleetGateway;
  let source: FleetClient;
  let writers: Writers;

  const step = async (phase: string, more: object = {}): Promise<StepReport> => {
    const body = { prefix: 'app/', phase, ...more };
    const answer = await g1.put(`${base}/step`, JSON.stringify(body));
    if (answer.status !== 200) throw new Error(`${phase}: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text) as StepReport;
  };
  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    for (let i = 0; i < 200; i += 1) {
      if (await isSo()) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`never: ${what}`);
  };
  const walkTo = async (phase: string, more: object = {}): Promise<StepReport> => {
    let report: StepReport | undefined;
    await until(`${phase}: ${JSON.stringify(report)}`, async () => {
      report = await step(phase, more);
      return report.result === 'done';
    }).catch((error: unknown) => {
      throw new Error(`${String(error)} ${JSON.stringify(report, null, 1)}`);
    });
    return report as unknown as StepReport;
  };
  const valuesOf = async (client: FleetClient): Promise<ReadonlyMap<string, string>> => {
    const found = await client.keys('app/');
    return new Map([...found].map(([key, { value }]) => [key, value]));
  };

  beforeAll(async () => {
    consul = await startRealConsul();
    source = new FleetClient(consul.url);
    for (let i = 0; i < 100; i += 1) await source.putKey(`app/before/${i}`, `${i}`);
    await source.putKey('other/key', 'stays');
    fleet = await FleetProcess.start({
      regions: ['eu', 'us'],
      config: { migration: { source: consul.url, limits: { lag: '30s' } } },
    });
    g1 = fleet.gateway('g1');
    await until('rules are written', async () => {
      const status = await g1.json<{ rules: unknown[] }>(`${base}/status`);
      return status.rules.length === 2;
    });
  }, testMsMax);
  afterAll(async () => {
    await writers?.stop();
    source?.close();
    await fleet?.close();
    await consul?.stop();
  }, testMsMax);

  test(
    'is answered by the source through every gateway as soon as they serve',
    async () => {
      for (const gateway of fleet.gateways) {
        expect((await gateway.key('other/key'))?.value).toBe('stays');
        await gateway.putKey(`other/${gateway.name}`, 'through');
        expect((await source.key(`other/${gateway.name}`))?.value).toBe('through');
      }
    },
    testMsMax,
  );

  test(
    'says what is there before anything is done',
    async () => {
      const plan = await g1.json<{ keys: number; prefixes: { prefix: string; keys: number }[] }>(
        `${base}/plan`,
      );
      expect(plan.keys).toBeGreaterThanOrEqual(103);
      expect(plan.prefixes[0]).toEqual({ prefix: 'app/', keys: 100 });
    },
    testMsMax,
  );

  test(
    'is not moved on before its gates are green, and a dry run changes nothing',
    async () => {
      expect(
        (await g1.put(`${base}/step`, JSON.stringify({ prefix: 'app/', phase: 'cutover' }))).text,
      ).toMatch(/one step at a time/);
      await until('every gateway answers', async () => {
        const { gates } = await step('mirror', { dryRun: true });
        return gates.every(({ state }) => state === 'green');
      });
      const would = await step('mirror', { dryRun: true });
      expect(would).toMatchObject({ result: 'would', from: 'passthrough', to: 'mirror' });
      expect(would.gates.map(({ name, state }) => `${name} ${state}`)).toEqual([
        'gateways-act-on-this-step green',
        'source-reachable green',
      ]);
      const status = await g1.json<{ rules: { prefix: string }[] }>(`${base}/status`);
      expect(status.rules.map(({ prefix }) => prefix)).toEqual(['', '']);
    },
    testMsMax,
  );

  test(
    'is moved over under live writes, without one lost, and its way back is walked as well',
    async () => {
      writers = new Writers(fleet.gateways, 'app/');
      await walkTo('mirror');
      await walkTo('dual');
      await walkTo('shadow');
      await walkTo('local-reads');

      const blocked = await step('cutover');
      expect(blocked).toMatchObject({ result: 'blocked' });
      expect(blocked.message).toMatch(/rollback-rehearsed/);
      const rehearsal = await g1.json<{ ok: boolean; text: string }>(`${base}/rehearse`, {});
      expect(rehearsal).toMatchObject({ ok: true });
      // Nothing of it stays but that it went well, and every gateway knows that.
      for (const gateway of fleet.gateways) {
        await until('the rule of the rehearsal is gone', async () => {
          const { rules } = await gateway.json<{ rules: { prefix: string }[] }>(`${base}/status`);
          return rules.every(({ prefix }) => !prefix.startsWith('_gw/'));
        });
        const status = await gateway.json<{ rehearsal: unknown }>(`${base}/status`);
        expect(status.rehearsal).toMatchObject({ ok: true, by: 'g1' });
        expect((await gateway.keys('_gw/rehearsal/')).size).toBe(0);
      }

      const cutover = await walkTo('cutover', { override: true, reason: 'no day of evidence in a test' });
      expect(cutover.overridden).not.toContain('rollback-rehearsed');
      expect(cutover.heldMs).toBeLessThan(2000);
      const counted = writers.count;
      await until('writes go on', () => Promise.resolve(writers.count > counted + 50));

      // What is written here gets to the source.
      await until('the source follows', async () => {
        const [theirs, ours] = [await source.key('app/writer0/1'), await g1.key('app/writer0/1')];
        return theirs !== undefined && theirs.value === ours?.value;
      });

      await walkTo('local-reads');
      const again = writers.count;
      await until('writes go on', () => Promise.resolve(writers.count > again + 50));
      await walkTo('cutover', { override: true, reason: 'once more' });
      await walkTo('local-reads');
      await walkTo('shadow');
      await walkTo('dual');
      await walkTo('mirror');
      await walkTo('passthrough');
      await writers.stop();

      expect(writers.problems(await valuesOf(source))).toEqual([]);
      expect((await valuesOf(source)).size).toBeGreaterThanOrEqual(100);
      // A hold lets writes wait, and the moment of a step refuses a few at most.
      expect(writers.failures.slice(0, 5)).toEqual([]);
    },
    testMsMax,
  );

  test(
    'loses nothing when the gateway that directs its cutover is killed in the middle of it',
    async () => {
      const prefix = 'kill/';
      for (let i = 0; i < 24; i += 1) await source.putKey(`${prefix}before/${i}`, `${i}`);
      for (const phase of ['mirror', 'dual', 'shadow', 'local-reads']) await walkTo(phase, { prefix });
      await g1.json(`${base}/verify`, { prefix });
      for (const n of [0, 1, 2]) await g1.putKey(`${prefix}before/${n}`, 'changed');
      await g1.ask('DELETE', `/v1/kv/${prefix}before/3`);
      await source.putKey(`${prefix}past`, 'the gateways');
      await until('the report knows what changed since it was swept', async () => {
        const { operations } = await g1.json<Report>(`${base}/report?prefix=${prefix}`);
        return operations?.changedSinceSweep === 5;
      });
      const { gates } = await step('cutover', { prefix, dryRun: true });
      expect(gates.find(({ name }) => name === 'report-sweep')).toMatchObject({
        state: 'green',
        detail: expect.stringMatching(/^1 of 1 rules, .*; 5 keys changed since \(wanted: every rule/),
      });
      writers = new Writers([fleet.gateway('g2')], prefix);
      const order = { prefix, phase: 'cutover', override: true, reason: 'test' };
      const ordered = g1.put(`${base}/step`, JSON.stringify(order)).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 40));
      await g1.kill();
      await ordered;
      await g1.restart();
      const counted = writers.count;
      await until('writes go on', () => Promise.resolve(writers.count > counted + 30));
      await writers.stop();

      const { rules } = await g1.json<{ rules: { prefix: string; phase: string }[] }>(`${base}/status`);
      const phase = rules.find((rule) => rule.prefix === prefix)?.phase;
      expect(['local-reads', 'cutover']).toContain(phase);
      await until('whoever decides has everything', async () => {
        const found = await (phase === 'cutover' ? g1 : source).keys(prefix);
        const values = new Map([...found].map(([key, { value }]) => [key, value]));
        return writers.problems(values).length === 0 && found.size >= 20;
      });
    },
    testMsMax,
  );

  test(
    'is final in the end: this fleet alone has what is written',
    async () => {
      writers = new Writers(fleet.gateways, 'app/final/');
      for (const phase of ['mirror', 'dual', 'shadow', 'local-reads']) await walkTo(phase);
      await walkTo('cutover', { override: true, reason: 'test' });
      await walkTo('final');
      const counted = writers.count;
      await until('writes go on', () => Promise.resolve(writers.count > counted + 50));
      await writers.stop();
      for (const gateway of fleet.gateways) {
        await until('it has everything', async () => writers.problems(await valuesOf(gateway)).length === 0);
      }
      expect((await g1.key('other/key'))?.value).toBe('stays');
    },
    testMsMax,
  );
});
