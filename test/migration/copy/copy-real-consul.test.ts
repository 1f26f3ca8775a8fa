import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { MemoryTarget } from '../../../migration/target/memory-target.ts';
import type { MirrorRecord, MirrorTarget } from '../../../migration/target/target.ts';
import type { CopySummary } from '../../../migration/copy/copy.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../support/real-consul.ts';
import { untilSettled } from '../../support/until-settled.ts';
import { ask, copy, deregister, put, putByTxn, readerOf, register } from '../support.ts';

// Real processes on a busy machine.
jest.setTimeout(120_000);

const maxFlags = '18446744073709551615';
const lockFlags = '3304740253564472344';

describeRealConsul('a copy from a real Consul', () => {
  let consul: RealConsul;

  beforeAll(async () => {
    consul = await startRealConsul();
    // It writes its own node once more a moment after its start: a change that no second copy could leave alone.
    await untilSettled(consul);
  });
  afterAll(async () => {
    await consul.stop();
  });

  function valueOf(record: MirrorRecord | undefined): string | undefined {
    return record !== undefined && record.kind === 'kv' && 'value' in record
      ? Buffer.from(record.value).toString()
      : undefined;
  }

  function noticed(
    summary: CopySummary,
    code: string,
  ): { action: string; count: number; examples: readonly string[] } | undefined {
    return summary.notices.find((notice) => notice.code === code);
  }

  test('copies values, flags, nodes, services and checks; a second run changes nothing', async () => {
    const { url } = consul;
    await put(url, 'app/one', 'eins', `?flags=${maxFlags}`);
    await put(url, 'app/empty', '');
    await put(url, 'app/binary', new Uint8Array([0, 255, 1, 128]));
    await put(url, 'über/schlüssel mit leerzeichen', 'ü');
    await register(url, {
      Node: 'db-1',
      Address: '10.0.0.7',
      NodeMeta: { rack: 'r1', empty: '' },
      Service: { ID: 'pg/primary', Service: 'postgres', Tags: ['primary'], Port: 5432, Meta: { v: '15' } },
      Checks: [
        { CheckID: 'pg', Name: 'pg up', Status: 'passing', ServiceID: 'pg/primary', Output: 'fine' },
        {
          CheckID: 'disk',
          Name: 'disk',
          Status: 'warning',
          Definition: { TCP: '10.0.0.7:22', Interval: '10s' },
        },
      ],
    });

    const target = new MemoryTarget();
    const source = readerOf(url);
    const first = await copy(source, target);
    expect(first.counts.kv).toMatchObject({ copied: 4, skipped: 0, unchanged: 0, deleted: 0 });
    expect(valueOf(target.live('kv', 'app/one'))).toBe('eins');
    expect(target.live('kv', 'app/one')).toMatchObject({ flags: 18446744073709551615n });
    expect(target.live('kv', 'app/binary')).toMatchObject({ value: Buffer.from([0, 255, 1, 128]) });
    expect(valueOf(target.live('kv', 'über/schlüssel mit leerzeichen'))).toBe('ü');
    const entry = JSON.parse(await ask(url, '/v1/kv/app/one')) as [{ ModifyIndex: number }];
    expect(target.version('kv', 'app/one')).toMatchObject({
      term: 0,
      timeline: 1,
      stamp: entry[0].ModifyIndex,
    });

    expect(target.liveKeys('node')).toContain('db-1');
    expect(target.live('service', 'db-1/pg/primary')).toMatchObject({
      value: { ID: 'pg/primary', Service: 'postgres', Tags: ['primary'], Port: 5432, Meta: { v: '15' } },
    });
    expect(target.live('node', 'db-1')).toMatchObject({ value: { Meta: { rack: 'r1', empty: '' } } });
    expect(target.live('check', 'db-1/disk')).toMatchObject({
      value: { Status: 'warning', Definition: { TCP: '10.0.0.7:22', Interval: '10s' } },
    });
    expect(target.liveKeys('check').some((key) => key.endsWith('/serfHealth'))).toBe(true);

    const applies = target.applies;
    const second = await copy(source, target);
    expect(second.counts.kv).toMatchObject({ copied: 0, deleted: 0, unchanged: 4 });
    expect(second.counts.service).toMatchObject({ copied: 0, deleted: 0 });
    expect(second.counts.check).toMatchObject({ copied: 0, deleted: 0 });
    expect(target.applies).toBe(applies);
  });

  test("the source servers' own service stays behind and is listed", async () => {
    const target = new MemoryTarget();
    const summary = await copy(readerOf(consul.url), target);
    expect(target.liveKeys('service').filter((key) => key.endsWith('/consul'))).toEqual([]);
    expect(noticed(summary, 'source-server')).toMatchObject({ action: 'skipped', count: 1 });
  });

  test.each([
    ["the gateway's own", new MemoryTarget('DB-1')],
    ["another gateway's", new MemoryTarget('gateway', ['DB-1'])],
  ])(
    'a source node that bears %s name is skipped with all that is on it, whatever its case',
    async (_, target) => {
      const summary = await copy(readerOf(consul.url), target);
      expect(target.liveKeys('node')).not.toContain('db-1');
      expect(target.liveKeys('service').filter((key) => key.startsWith('db-1/'))).toEqual([]);
      expect(noticed(summary, 'gateway-node')).toMatchObject({ action: 'skipped', examples: ['db-1'] });
    },
  );

  test('held locks, sessions, too large values and odd keys are listed with what was done', async () => {
    const big = await startRealConsul({ config: { limits: { kv_max_value_size: 1_000_000 } } });
    try {
      const { url } = big;
      const { ID } = JSON.parse(
        await ask(url, '/v1/session/create', 'PUT', '{"Name":"worker","TTL":"600s"}'),
      ) as { ID: string };
      await put(url, 'locks/held', 'holder', `?acquire=${ID}&flags=${lockFlags}`);
      await put(url, 'locks/free', '', `?flags=${lockFlags}`);
      await put(url, 'big', new Uint8Array(600_000));
      await putByTxn(url, {
        'odd//double': 'a',
        '/lead': 'b',
        'odd/../up': 'c',
        'odd/t\tab': 'd',
        plain: 'e',
      });
      await register(url, { Node: 'we/ird', Address: '10.0.0.9' });

      const target = new MemoryTarget();
      const summary = await copy(readerOf(url), target);
      expect(noticed(summary, 'held-lock')).toMatchObject({ action: 'skipped', examples: ['locks/held'] });
      expect(noticed(summary, 'free-lock')).toMatchObject({ action: 'copied', examples: ['locks/free'] });
      expect(noticed(summary, 'value-too-large')).toMatchObject({ action: 'skipped', examples: ['big'] });
      expect(noticed(summary, 'double-slash')).toMatchObject({ action: 'copied', examples: ['odd//double'] });
      expect(noticed(summary, 'leading-slash')).toMatchObject({ action: 'copied', examples: ['/lead'] });
      expect(noticed(summary, 'dot-segment')).toMatchObject({ action: 'copied', examples: ['odd/../up'] });
      expect(noticed(summary, 'non-printable')).toMatchObject({ action: 'copied', examples: ['odd/t\tab'] });
      expect(noticed(summary, 'session')).toMatchObject({ action: 'skipped', count: 1 });
      expect(noticed(summary, 'odd-node-name')).toMatchObject({ action: 'skipped', examples: ['we/ird'] });
      expect(target.live('kv', 'locks/held')).toBeUndefined();
      expect(target.live('kv', 'big')).toBeUndefined();
      expect(valueOf(target.live('kv', 'odd//double'))).toBe('a');
      expect(valueOf(target.live('kv', '/lead'))).toBe('b');
      expect(summary.counts.kv).toMatchObject({ copied: 6, skipped: 2 });

      // Deleted, their absence is proved although no URL can name them.
      await ask(url, '/v1/txn', 'PUT', JSON.stringify([{ KV: { Verb: 'delete', Key: 'odd//double' } }]));
      const again = await copy(readerOf(url), target, { tokenGiven: true });
      expect(again.counts.kv).toMatchObject({ deleted: 1, withheld: 0 });
      expect(target.live('kv', 'odd//double')).toBeUndefined();
    } finally {
      await big.stop();
    }
  });

  test('keys that the source deleted are deleted, keys under other prefixes are left alone', async () => {
    const { url } = consul;
    await put(url, 'del/a', '1');
    await put(url, 'del/b', '2');
    await put(url, 'delta', '3');
    const target = new MemoryTarget();
    const source = readerOf(url);
    await copy(source, target);
    await ask(url, '/v1/kv/del/?recurse', 'DELETE');
    const summary = await copy(source, target, { prefixes: ['del/'], catalog: false });
    expect(summary.counts.kv).toMatchObject({ deleted: 2, copied: 0, unchanged: 0 });
    expect(target.liveKeys('kv').filter((key) => key.startsWith('del'))).toEqual(['delta']);
    expect(target.version('kv', 'del/a')).toMatchObject({ deleted: true });
  });

  test('a node, a service and a check that are gone are deleted after two agreeing readings', async () => {
    const { url } = consul;
    const gone = { Node: 'gone-1', Address: '10.1.0.1' };
    await register(url, {
      ...gone,
      Service: { Service: 'web' },
      Check: { CheckID: 'c', Name: 'c', ServiceID: 'web' },
    });
    await register(url, { Node: 'stays', Address: '10.1.0.2', Service: { Service: 'a' } });
    await register(url, { Node: 'stays', Address: '10.1.0.2', Service: { Service: 'b' } });
    const target = new MemoryTarget();
    const source = readerOf(url);
    await copy(source, target);
    expect(target.live('service', 'gone-1/web')).toBeDefined();
    await deregister(url, { Node: 'gone-1' });
    await deregister(url, { Node: 'stays', ServiceID: 'b' });
    const summary = await copy(source, target);
    expect(target.liveKeys('node')).not.toContain('gone-1');
    expect(target.live('service', 'gone-1/web')).toBeUndefined();
    expect(target.live('check', 'gone-1/c')).toBeUndefined();
    expect(target.live('service', 'stays/a')).toBeDefined();
    expect(target.live('service', 'stays/b')).toBeUndefined();
    expect(summary.counts.service).toMatchObject({ deleted: 2 });
    expect(summary.counts.node).toMatchObject({ deleted: 1 });
  });

  test('a mass delete waits for permission', async () => {
    const { url } = consul;
    const keys = Array.from({ length: 60 }, (_, at) => `mass/${String(at).padStart(3, '0')}`);
    for (const key of keys) await put(url, key, 'x');
    const target = new MemoryTarget();
    const source = readerOf(url);
    await copy(source, target, { prefixes: ['mass/'], catalog: false });
    await ask(url, '/v1/kv/mass/?recurse', 'DELETE');

    const held = await copy(source, target, { prefixes: ['mass/'], catalog: false });
    expect(held.counts.kv).toMatchObject({ deleted: 0, withheld: 60 });
    expect(noticed(held, 'delete-withheld')).toMatchObject({ count: 60 });

    const asked: number[] = [];
    const answered = await copy(source, target, {
      prefixes: ['mass/'],
      catalog: false,
      askDeletes: async (question) => {
        asked.push(question.deletes);
        return true;
      },
    });
    expect(asked).toEqual([60]);
    expect(answered.counts.kv).toMatchObject({ deleted: 60 });
  });

  test('a restored snapshot is seen as a fork: the timeline rises and the target follows', async () => {
    const server = await startRealConsul();
    try {
      const { url } = server;
      await put(url, 'r/a', 'old');
      await put(url, 'r/b', 'old');
      const snapshot = `${server.dataDir}/fork.snap`;
      expect((await server.cli(['snapshot', 'save', snapshot])).code).toBe(0);
      await put(url, 'r/a', 'new');
      await put(url, 'r/c', 'new');
      const target = new MemoryTarget();
      const source = readerOf(url);
      await copy(source, target);
      expect(valueOf(target.live('kv', 'r/a'))).toBe('new');

      expect((await server.cli(['snapshot', 'restore', snapshot])).code).toBe(0);
      const summary = await copy(source, target);
      expect(summary.timeline).toBe(2);
      expect(summary.fork.length).toBeGreaterThan(0);
      expect(valueOf(target.live('kv', 'r/a'))).toBe('old');
      expect(target.live('kv', 'r/c')).toBeUndefined();
      expect((await copy(source, target)).timeline).toBe(2);
    } finally {
      await server.stop();
    }
  });

  test('a dry run counts and writes nothing', async () => {
    const target = new MemoryTarget();
    const summary = await copy(readerOf(consul.url), target, { dryRun: true });
    expect(summary.counts.kv.copied).toBeGreaterThan(0);
    expect(target.applies).toBe(0);
    expect(target.liveKeys('kv')).toEqual([]);
  });

  test('small answer bounds split a large key space, and everything is copied all the same', async () => {
    const { url } = consul;
    const expected: string[] = [];
    for (let at = 0; at < 24; at += 1) {
      const keys = Array.from(
        { length: 50 },
        (_, n) => `split/${at % 5 === 0 ? '' : `d${at}/`}${at}-${n * 7}`,
      );
      expected.push(...keys);
      await putByTxn(url, Object.fromEntries(keys.map((key) => [key, 'v'.repeat(200)])));
    }
    const target = new MemoryTarget();
    const source = readerOf(url, { list: 20_000, keys: 6_000 });
    await copy(source, target, { prefixes: ['split/'], catalog: false });
    expect(target.liveKeys('kv').length).toBe(expected.length);
    expect(new Set(target.liveKeys('kv'))).toEqual(new Set(expected));
  });

  test('killed in the middle it goes on where it was, and the counts add up', async () => {
    const { url } = consul;
    for (let batch = 0; batch < 8; batch += 1) {
      const keys = Array.from({ length: 50 }, (_, at) => `res/${batch}/${at}`);
      await putByTxn(url, Object.fromEntries(keys.map((key) => [key, 'v'.repeat(400)])));
    }
    const target = new MemoryTarget();
    let left = 0;
    const dying: MirrorTarget = {
      address: 'dying',
      state: target.state,
      held: target.held,
      apply: async (batch) => {
        left -= 1;
        if (left < 0) throw new Error('killed');
        return target.apply(batch);
      },
    };
    const source = readerOf(url, { list: 9_000 });
    const options = { prefixes: ['res/'], catalog: false, recordsPerBatch: 30 };
    let kills = 0;
    let summary: CopySummary | undefined;
    while (summary === undefined) {
      left = 3;
      summary = await copy(source, dying, options).catch((error: unknown) => {
        if (!String(error).includes('killed')) throw error;
        kills += 1;
        return undefined;
      });
    }
    expect(kills).toBeGreaterThanOrEqual(3);
    expect(summary.resumed).toBe(true);
    expect(summary.counts.kv).toMatchObject({ copied: 400, unchanged: 0, deleted: 0 });
    expect(target.liveKeys('kv').length).toBe(400);
  });
});
