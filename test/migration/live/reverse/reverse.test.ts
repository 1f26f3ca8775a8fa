import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Kind } from '../../../../src/state/kinds.ts';
import { encodeKv } from '../../../../src/state/values.ts';
import { openReverse, type ReversePart } from '../../../../migration/live/reverse/reverse.ts';
import { SourceClient } from '../../../../migration/live/proxy/source-client.ts';
import { Fences } from '../../../../migration/live/dual/fence.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../../support/real-consul.ts';
import {
  FakePhases,
  LiveGateway,
  partContext,
  ruleOf,
  sourceSettings,
} from '../../../support/live-gateway.ts';

const copied = encodeKv({ value: Buffer.from('copied'), flags: 7n, lockIndex: 0, session: '' });

describeRealConsul('after a cutover', () => {
  let consul: RealConsul;
  let gateway: LiveGateway;
  let phases: FakePhases;
  let client: SourceClient;
  let part: ReversePart;
  let bypassed: string[];
  let lost: Promise<void>;
  let onLost: () => void;
  let emptySnapshot: ArrayBuffer;
  let run = 0;
  let prefix = '';

  const open = (): ReversePart => {
    const context = partContext(gateway, phases, sourceSettings(consul.url));
    return openReverse({
      ...context,
      client,
      evidence: {
        ...context.evidence,
        mark: (what, detail) => (what === 'fork' ? onLost() : void bypassed.push(detail)),
      },
    });
  };
  const put = (key: string, value: string): Promise<unknown> =>
    gateway.propose({
      ...{ kind: 'kv-put', key: prefix + key, value: Buffer.from(value), flags: 7n },
      mode: { kind: 'plain' },
    });
  const remove = (key: string): Promise<unknown> => gateway.propose({ kind: 'kv-delete', key: prefix + key });
  const there = async (key: string): Promise<string | undefined> => {
    const answer = await fetch(`${consul.url}/v1/kv/${prefix}${key}?raw`);
    return answer.status === 404 ? undefined : answer.text();
  };
  const putThere = async (key: string, value: string): Promise<void> => {
    await fetch(`${consul.url}/v1/kv/${prefix}${key}?flags=7`, { method: 'PUT', body: value });
  };

  beforeAll(async () => {
    consul = await startRealConsul();
    emptySnapshot = await (await fetch(`${consul.url}/v1/snapshot`)).arrayBuffer();
  });
  afterAll(async () => {
    await consul.stop();
  });
  beforeEach(async () => {
    run += 1;
    prefix = `run${run}/`;
    bypassed = [];
    lost = new Promise((resolve) => {
      onLost = resolve;
    });
    gateway = new LiveGateway();
    phases = new FakePhases(ruleOf('kv', prefix, 'cutover', { term: 1, byNode: gateway.nodeId }));
    client = new SourceClient(gateway, sourceSettings(consul.url));
    await putThere('old', 'before');
    await putThere('gone', 'before');
    // As a cutover does it: the fence is set when all that was written before is there.
    await new Fences(client, () => '').check({ prefix, term: 1 });
    part = open();
  });
  afterEach(async () => {
    await part.stop();
    client.close();
  });

  test('what is written here gets to the source: changed, new and removed keys, with their flags', async () => {
    await put('old', 'after');
    await put('new', 'after');
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    await put('new', 'later');
    await put('short-lived', 'x');
    await remove('short-lived');
    expect(await part.drained(prefix, 10_000)).toBe(true);

    expect(await there('old')).toBe('after');
    expect(await there('new')).toBe('later');
    expect(await there('short-lived')).toBeUndefined();
    // The fleet never had it: it is gone here.
    expect(await there('gone')).toBeUndefined();
    const [row] = (await (await fetch(`${consul.url}/v1/kv/${prefix}new`)).json()) as { Flags: number }[];
    expect(row?.Flags).toBe(7);
    expect(part.state(prefix)).toMatchObject({ pending: 0, lagMs: 0, quarantined: 0, lost: false });
  });

  test('a write past the gateways is kept, counted and shown, and everything else goes on', async () => {
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    await put('a', 'ours');
    expect(await part.drained(prefix, 10_000)).toBe(true);
    await putThere('a', 'theirs');
    await put('a', 'ours again');
    await put('b', 'ours');
    expect(await part.drained(prefix, 10_000)).toBe(true);

    expect(await there('a')).toBe('theirs');
    expect(await there('b')).toBe('ours');
    expect(part.quarantined(prefix, '', 10)).toMatchObject([{ key: `${prefix}a`, why: 'changed' }]);
    // A report shows it: without the name of the key.
    expect(bypassed).toEqual([`a key below "${prefix}" was changed at the source, past the gateways`]);

    await part.keepHere([`${prefix}a`]);
    expect(await part.drained(prefix, 10_000)).toBe(true);
    expect(await there('a')).toBe('ours again');
    expect(part.quarantined(prefix, '', 10)).toEqual([]);
  });

  test('a sweep finds keys that somebody made or removed past the gateways', async () => {
    await put('a', 'ours');
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    await putThere('foreign', 'theirs');
    await fetch(`${consul.url}/v1/kv/${prefix}a`, { method: 'DELETE' });
    expect(await part.sweep(prefix)).toMatchObject({ differing: 2, bypassed: 2 });
    expect(part.quarantined(prefix, '', 10)).toMatchObject([
      { key: `${prefix}a`, why: 'deleted' },
      { key: `${prefix}foreign`, why: 'created' },
    ]);
  });

  test('what was written while this gateway was down is copied when it is back, and its own writes are known', async () => {
    await put('a', 'one');
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    await part.stop();
    await put('a', 'two');
    await put('b', 'two');
    part = open();
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    expect(await there('a')).toBe('two');
    expect(await there('b')).toBe('two');
    expect(part.state(prefix)).toMatchObject({ quarantined: 0 });
  });

  test.each(['before the cutover', 'after it'])(
    'a source that is restored from a snapshot of %s gets what is here, and nothing of it counts as somebody’s write',
    async (when) => {
      const save = async (): Promise<ArrayBuffer> => (await fetch(`${consul.url}/v1/snapshot`)).arrayBuffer();
      const before = when === 'after it' ? undefined : emptySnapshot;
      await gateway.propose({
        ...{ kind: 'mirror-apply', source: 'dc1:test', timeline: 0, cursors: {} },
        records: [
          { kind: Kind.kv, key: `${prefix}copied`, stamp: 1, born: 1, value: copied, ix: null },
          { kind: Kind.kv, key: `${prefix}old`, stamp: 1, born: 1, value: copied, ix: null },
        ],
      });
      await putThere('copied', 'copied');
      await new Fences(client, () => '').check({ prefix, term: 1 });
      part.start();
      expect(await part.drained(prefix, 10_000)).toBe(true);
      for (const key of ['a', 'b', 'late']) await put(key, 'first');
      expect(await part.drained(prefix, 10_000)).toBe(true);
      const snapshot = before ?? (await save());
      await put('a', 'second');
      await put('c', 'second');
      await remove('b');
      expect(await part.drained(prefix, 10_000)).toBe(true);
      await fetch(`${consul.url}/v1/snapshot`, { method: 'PUT', body: snapshot });
      // Somebody else goes on writing at the source: its indexes are soon as high as before.
      for (let i = 0; i < 30; i++)
        await fetch(`${consul.url}/v1/kv/other/${i}`, { method: 'PUT', body: 'x' });
      await put('late', 'third');
      // A round that finds it, and one that compares everything.
      await lost;
      expect(await part.drained(prefix, 20_000)).toBe(true);

      expect(part.quarantined(prefix, '', 10)).toEqual([]);
      const keys = ['a', 'b', 'c', 'late', 'copied'];
      expect(await Promise.all(keys.map(there))).toEqual(['second', undefined, 'second', 'third', 'copied']);
      await putThere('copied', 'theirs');
      expect(await part.sweep(prefix)).toMatchObject({ bypassed: 1 });
    },
  );

  test('a large value that a restored source has not got any more is copied there again', async () => {
    await put('large', 'first'.repeat(90_000));
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    const snapshot = await (await fetch(`${consul.url}/v1/snapshot`)).arrayBuffer();
    await put('large', 'other'.repeat(90_000));
    expect(await part.drained(prefix, 10_000)).toBe(true);
    await fetch(`${consul.url}/v1/snapshot`, { method: 'PUT', body: snapshot });
    await put('large', 'third'.repeat(90_000));
    await lost;
    expect(await part.drained(prefix, 20_000)).toBe(true);
    expect(await there('large')).toBe('third'.repeat(90_000));
    expect(part.quarantined(prefix, '', 10)).toEqual([]);
  });

  test('nothing is written any more once the source knows a later term', async () => {
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    await new Fences(client, () => '').check({ prefix, term: 2 });
    await put('a', 'too late');
    expect(await part.drained(prefix, 1000)).toBe(false);
    expect(await there('a')).toBeUndefined();
    expect(part.state(prefix)?.problem).toMatch(/term 2/);
  });

  test('large values go one by one', async () => {
    const large = 'x'.repeat(450_000);
    await put('large', large);
    await put('small', 'x');
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    expect(await there('large')).toBe(large);
    expect(await there('small')).toBe('x');
  });

  test('many keys go in transactions', async () => {
    part.start();
    expect(await part.drained(prefix, 10_000)).toBe(true);
    for (let i = 0; i < 500; i++) await put(`many/${i}`, String(i));
    expect(await part.drained(prefix, 20_000)).toBe(true);
    const names = (await (await fetch(`${consul.url}/v1/kv/${prefix}many/?keys`)).json()) as string[];
    expect(names).toHaveLength(500);
  });
});
