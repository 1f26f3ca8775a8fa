import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import Consul from 'consul';
import { RunningCommand } from '../clients/support/running-command.ts';
import { type FleetGateway, FleetProcess } from '../support/fleet-process.ts';
import { consulBinary, describeRealConsul } from '../support/real-consul.ts';
import { counterProblems, untilEqual } from './equal.ts';

const testMsMax = 120_000;

describe('keys of several owners, through any gateway', () => {
  let fleet: FleetProcess;
  let g1: FleetGateway;
  let g2: FleetGateway;
  let g3: FleetGateway;
  beforeAll(async () => {
    fleet = await FleetProcess.start({
      regions: ['eu', 'us', 'ap'],
      config: { performance: { rpc_hold_timeout: '2s' } },
    });
    g1 = fleet.gateway('g1');
    g2 = fleet.gateway('g2');
    g3 = fleet.gateway('g3');
    await fleet.delegate('us/', 'g2');
    await fleet.delegate('ap/', 'g3');
  }, testMsMax);
  afterAll(() => fleet?.close(), testMsMax);

  const prefixes = ['eu/', 'us/', 'ap/'];

  test(
    'a write is read where it was written at once, and everywhere soon',
    async () => {
      for (const writer of fleet.gateways) {
        for (const prefix of prefixes) {
          const key = `${prefix}from-${writer.name}`;
          await writer.putKey(key, writer.name);
          expect((await writer.key(key))?.value).toBe(writer.name);
          await Promise.all(fleet.gateways.map((reader) => reader.untilKey(key, writer.name)));
          expect((await writer.ask('DELETE', `/v1/kv/${key}`)).text).toBe('true');
          expect(await writer.key(key)).toBeUndefined();
          await Promise.all(fleet.gateways.map((reader) => reader.untilKey(key, undefined)));
        }
      }
    },
    testMsMax,
  );

  test(
    'a consistent read shows what was acknowledged anywhere before it',
    async () => {
      for (let n = 0; n < 30; n++) {
        const [writer, reader] = [fleet.gateways[n % 3], fleet.gateways[(n + 1) % 3]];
        const key = `${prefixes[n % 2] ?? ''}consistent`;
        await writer?.putKey(key, `${n}`);
        expect((await reader?.key(key, 'consistent'))?.value).toBe(`${n}`);
      }
    },
    testMsMax,
  );

  test(
    'increments by compare-and-set through all gateways at once are all counted, each once',
    async () => {
      const perClient = 25;
      const granted: number[] = [];
      const increment = async (gateway: FleetGateway): Promise<void> => {
        for (let done = 0; done < perClient;) {
          const now = await gateway.key('us/counter');
          const next = Number(now?.value ?? 0) + 1;
          const answer = await gateway.put(`/v1/kv/us/counter?cas=${now?.modifyIndex ?? 0}`, `${next}`);
          if (answer.text !== 'true') {
            expect(answer.text).toBe('false');
            // What somebody else wrote is on its way here.
            await gateway.untilAnswer('/v1/kv/us/counter?raw', ({ text }) => text !== (now?.value ?? ''));
            continue;
          }
          granted.push(next);
          done += 1;
        }
      };
      await Promise.all(fleet.gateways.map(increment));
      const all = Array.from({ length: perClient * 3 }, (_, i) => i + 1);
      expect(granted.toSorted((a, b) => a - b)).toEqual(all);
      for (const gateway of fleet.gateways) await gateway.untilKey('us/counter', `${all.length}`);
    },
    testMsMax,
  );

  test(
    'a lock held through one gateway is held on all, and free when it is released or its session ends',
    async () => {
      const session = async (gateway: FleetGateway): Promise<string> =>
        (await gateway.json<{ ID: string }>('/v1/session/create', { LockDelay: '0s' })).ID;
      const lock = async (gateway: FleetGateway, verb: string, id: string): Promise<string> =>
        (await gateway.put(`/v1/kv/us/lock?${verb}=${id}`, id)).text;
      const [first, second] = [await session(g1), await session(g3)];
      expect(await lock(g1, 'acquire', first)).toBe('true');
      expect(await lock(g3, 'acquire', second)).toBe('false');
      expect((await g3.key('us/lock', 'consistent'))?.session).toBe(first);
      expect(await lock(g1, 'release', first)).toBe('true');
      expect(await lock(g3, 'acquire', second)).toBe('true');
      expect(await lock(g1, 'acquire', first)).toBe('false');
      expect((await g3.put(`/v1/session/destroy/${second}`)).text).toBe('true');
      await g1.untilAnswer('/v1/kv/us/lock', ({ text }) => !text.includes('"Session"'));
      expect(await lock(g1, 'acquire', first)).toBe('true');
      expect((await g1.key('us/lock'))?.lockIndex).toBe(3);
      // Where it was not made it can be destroyed too.
      expect((await g2.put(`/v1/session/destroy/${first}`)).text).toBe('true');
      await g3.untilAnswer('/v1/kv/us/lock', ({ text }) => !text.includes('"Session"'));
    },
    testMsMax,
  );

  test(
    'a transaction of one owner is applied through any gateway, one of two owners nowhere',
    async () => {
      const txn = (...keys: readonly string[]) =>
        JSON.stringify(keys.map((Key) => ({ KV: { Verb: 'set', Key, Value: 'dHhu' } })));
      const one = await g1.put('/v1/txn', txn('us/txn/a', 'us/txn/b'));
      expect(one.status).toBe(200);
      expect((await g1.keys('us/txn/')).size).toBe(2);
      const two = await g1.put('/v1/txn', txn('us/both', 'ap/both'));
      expect(two.status).toBe(409);
      const [error] = (JSON.parse(two.text) as { Errors: { OpIndex: number; What: string }[] }).Errors;
      expect(error?.OpIndex).toBe(1);
      expect(error?.What).toMatch(/g2.*g3|g3.*g2/);
      expect(await g1.key('us/both', 'consistent')).toBeUndefined();
      expect(await g1.key('ap/both', 'consistent')).toBeUndefined();
    },
    testMsMax,
  );

  test(
    'an npm consul client watches on one gateway what another one writes',
    async () => {
      const [writer, watcher] = [g1, g3].map(
        ({ agent }) => new Consul({ host: '127.0.0.1', port: agent.httpPort }),
      ) as [Consul, Consul];
      const seen: string[] = [];
      const watch = watcher.watch({ method: watcher.kv.get, options: { key: 'us/watched' } });
      try {
        const all = new Promise<void>((resolve, reject) => {
          watch.on('error', reject);
          watch.on('change', (data: { Value: string } | undefined) => {
            const value = data?.Value ?? '';
            if (value !== '') seen.push(value);
            if (value === 'last') resolve();
            else void writer.kv.set('us/watched', value === '3' ? 'last' : `${Number(value) + 1}`);
          });
        });
        await writer.kv.set('us/watched', '1');
        await all;
        expect(seen).toEqual(['1', '2', '3', 'last']);
      } finally {
        watch.end();
        writer.destroy();
        watcher.destroy();
      }
    },
    testMsMax,
  );

  describeRealConsul('the consul command', () => {
    const contend = (gateway: FleetGateway, ...args: readonly string[]): RunningCommand =>
      new RunningCommand(
        consulBinary(),
        ['lock', '-pass-stdin', ...args, 'echo inside; read -r line; echo leaving'],
        { CONSUL_HTTP_ADDR: gateway.agent.url },
      );

    test(
      'locks through two gateways against each other',
      async () => {
        const first = contend(g1, 'us/exclusive');
        await first.untilPrinted('inside');
        const second = contend(g3, 'us/exclusive');
        await g1.untilAnswer('/v1/session/list', ({ text }) => (JSON.parse(text) as unknown[]).length === 2);
        expect(second.stdout).not.toContain('inside');
        first.write('go\n');
        await second.untilPrinted('inside');
        expect(first.stdout).toContain('leaving');
        second.write('go\n');
        expect(await Promise.all([first.exited(), second.exited()])).toEqual([0, 0]);
        await g2.untilAnswer('/v1/kv/us/exclusive?recurse', ({ status }) => status === 404);
      },
      testMsMax,
    );

    test(
      'has two places of a semaphore for three who come through three gateways',
      async () => {
        const [first, second] = [contend(g1, '-n=2', 'ap/places'), contend(g2, '-n=2', 'ap/places')];
        await Promise.all([first.untilPrinted('inside'), second.untilPrinted('inside')]);
        const third = contend(g3, '-n=2', 'ap/places');
        await g1.untilAnswer('/v1/session/list', ({ text }) => (JSON.parse(text) as unknown[]).length === 3);
        expect(third.stdout).not.toContain('inside');
        second.write('go\n');
        await third.untilPrinted('inside');
        first.write('go\n');
        third.write('go\n');
        expect(await Promise.all([first, second, third].map((each) => each.exited()))).toEqual([0, 0, 0]);
      },
      testMsMax,
    );
  });

  test(
    'while an owner is down its keys are read and not written, and written again when it is back',
    async () => {
      await g1.putKey('us/kept', 'before');
      await g3.untilKey('us/kept', 'before');
      await g2.kill();
      await fleet.until('it counts as failed', async () => {
        const answers = await Promise.all([g1, g3].map((each) => each.put('/v1/kv/us/kept', 'during')));
        return answers.every(({ text }) => text.includes('not reachable'));
      });
      const refused = /^No cluster leader: zone "us\/" is owned by g2 \(g2 is not reachable\)$/;
      for (const gateway of [g1, g3]) {
        const write = await gateway.put('/v1/kv/us/kept', 'during');
        expect([write.status, write.text]).toEqual([500, expect.stringMatching(refused)]);
        const read = await gateway.get('/v1/kv/us/kept?raw');
        expect([read.status, read.text, read.headers['x-consul-knownleader']]).toEqual([
          200,
          'before',
          'false',
        ]);
        expect(Number(read.headers['x-consul-lastcontact'])).toBeGreaterThan(0);
        const consistent = await gateway.get('/v1/kv/us/kept?consistent');
        expect([consistent.status, consistent.text]).toEqual([500, expect.stringMatching(refused)]);
        await gateway.putKey(`ap/beside-${gateway.name}`, 'goes on');
      }
      await g2.restart();
      await fleet.until('its zone is written again', async () => {
        const answers = await Promise.all([g1, g3].map((each) => each.put('/v1/kv/us/kept', 'after')));
        return answers.every(({ text }) => text === 'true');
      });
      expect((await g2.key('us/kept'))?.value).toBe('after');
      await g2.untilKey('ap/beside-g1', 'goes on');
    },
    testMsMax,
  );

  test(
    'in the end all hold the same, nothing is missing, and nobody complains',
    async () => {
      await untilEqual(fleet);
      expect(await counterProblems(fleet.gateways)).toEqual([]);
      for (const gateway of fleet.gateways) {
        const { code, stdout, stderr } = await gateway.cli('status');
        expect([code, stdout + stderr]).toEqual([0, expect.stringContaining('g3')]);
      }
    },
    testMsMax,
  );
});
