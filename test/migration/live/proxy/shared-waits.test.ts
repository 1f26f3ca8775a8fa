import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { MigratingDoor } from '../dual/door.ts';
import { FakeSource } from '../dual/fake-source.ts';

let source: FakeSource;
let migrating: MigratingDoor;

beforeEach(async () => {
  source = await new FakeSource().open();
});
afterEach(async () => {
  await migrating.close();
  await source.close();
});

const open = async (connectionsMax = 64): Promise<void> => {
  const phases = new FakePhases(ruleOf('kv', '', 'passthrough'));
  migrating = await new MigratingDoor(source.address, phases, { connectionsMax }).open();
};
type Got = Awaited<ReturnType<typeof migrating.door.request>>;
const get = (path: string, more: Parameters<typeof migrating.door.request>[1] = {}): Promise<Got> =>
  migrating.door.request(path, more);
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
};
const watchers = (count: number): Promise<void> =>
  until(() => {
    const status: { readonly watchers?: number } | undefined = migrating.client?.status;
    return status?.watchers === count;
  });
const many = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at);

test('clients that wait for the same thing wait by one request at the source, and all get its answer', async () => {
  await open();
  const index = source.set('a', 'one');
  const read = await get('/v1/kv/a');
  expect(read.index).toBe(index);
  const waiting = many(100).map((at) => get(`/v1/kv/a?index=${index}&wait=${60 + at}s`));
  await watchers(100);
  expect(source.waiting).toBe(1);
  const next = source.set('a', 'two');
  const answers = await Promise.all(waiting);
  expect(new Set(answers.map((answer) => answer.index))).toEqual(new Set([next]));
  expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
  // One that was sent before most of them came, and one after.
  expect(source.seen.length).toBeLessThanOrEqual(3);
  expect(migrating.gateway.counts.get('proxy.watch_answers shared')).toBe(100);
});

test('who has another token, asks otherwise or takes another encoding does not share', async () => {
  await open();
  const index = source.set('a', 'one');
  await get('/v1/kv/a');
  const gone = new AbortController();
  const query = `index=${index}&wait=60s`;
  const each = [
    get(`/v1/kv/a?${query}`, { signal: gone.signal }),
    get(`/v1/kv/a?${query}`, { signal: gone.signal, headers: { 'X-Consul-Token': 'other' } }),
    get(`/v1/kv/a?${query}&token=third`, { signal: gone.signal }),
    get(`/v1/kv/a?${query}&raw`, { signal: gone.signal }),
    get(`/v1/kv/a?${query}`, { signal: gone.signal, headers: { 'Accept-Encoding': 'gzip' } }),
    get(`/v1/kv/a?wait=30s&index=${index}`, { signal: gone.signal, headers: { 'User-Agent': 'mine' } }),
  ];
  const ended = Promise.allSettled(each);
  await watchers(6);
  await until(() => source.waiting >= 5);
  expect(source.waiting).toBe(5);
  gone.abort();
  await ended;
  // Nobody waits any more: nothing is asked any more.
  await until(() => source.waiting === 0);
});

test('a client that goes away leaves the others waiting', async () => {
  await open();
  const index = source.set('a', 'one');
  await get('/v1/kv/a');
  const gone = new AbortController();
  const leaving = get(`/v1/kv/a?index=${index}`, { signal: gone.signal }).catch(() => 'gone');
  await watchers(1);
  const staying = get(`/v1/kv/a?index=${index}`);
  await watchers(2);
  gone.abort();
  expect(await leaving).toBe('gone');
  await watchers(1);
  expect(source.waiting).toBe(1);
  const next = source.set('a', 'two');
  expect((await staying).index).toBe(next);
});

test('a client whose index is older than what is there is answered at once, and the others wait on', async () => {
  await open();
  const old = source.set('a', 'one');
  const index = source.set('a', 'two');
  await get('/v1/kv/a');
  const waiting = get(`/v1/kv/a?index=${index}&wait=60s`);
  await watchers(1);
  const late = await get(`/v1/kv/a?index=${old}&wait=60s`);
  expect(late.index).toBe(index);
  await watchers(1);
  const next = source.set('a', 'three');
  expect((await waiting).index).toBe(next);
});

test('each client has its own wait: it ends with what is there then', async () => {
  await open();
  const index = source.set('a', 'one');
  await get('/v1/kv/a');
  const long = get(`/v1/kv/a?index=${index}&wait=60s`);
  await watchers(1);
  const short = await get(`/v1/kv/a?index=${index}&wait=20ms`);
  expect([short.status, short.index]).toEqual([200, index]);
  await watchers(1);
  const next = source.set('a', 'two');
  expect((await long).index).toBe(next);
});

test('a client that waits alone costs one request, and is answered when that ends', async () => {
  await open();
  const index = source.set('a', 'one');
  await get('/v1/kv/a');
  const before = source.seen.length;
  const answer = await get(`/v1/kv/a?index=${index}&wait=30ms`);
  expect([answer.index, source.seen.length - before]).toEqual([index, 1]);
});

test('trouble reaches all who wait', async () => {
  await open();
  const index = source.set('a', 'one');
  await get('/v1/kv/a');
  const waiting = many(20).map(() => get(`/v1/kv/a?index=${index}&wait=60s`));
  await watchers(20);
  await source.close();
  const answers = await Promise.all(waiting);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([500]));
  source = await new FakeSource().open();
});

test('an answer too long to be held for many is given to each on its own', async () => {
  await open();
  const index = source.set('a', 'one');
  await get('/v1/kv/a');
  const waiting = many(3).map(() => get(`/v1/kv/a?index=${index}&wait=60s`));
  await watchers(3);
  const next = source.set('a', 'l'.repeat(9_000_000));
  for (const answer of await Promise.all(waiting)) {
    expect([answer.index, answer.bytes.length > 12_000_000]).toEqual([next, true]);
  }
}, 30_000);

test('more watches than connections take turns: none is refused, and no change is lost', async () => {
  await open(8);
  const keys = many(40).map((at) => `k${at}`);
  for (const key of keys) source.set(key, 'first');
  // The gateway has seen how far the source is.
  await get('/v1/kv/?keys');
  const seen = new Map<string, number>();
  const rounds = 1;
  let most = 0;
  source.bend = () => {
    most = Math.max(most, source.connections);
    return undefined;
  };
  const watchesIt = async (key: string): Promise<void> => {
    let index = source.entries.get(key)?.modify ?? 0;
    for (let round = 0; round < rounds; round += 1) {
      const answer = await get(`/v1/kv/${key}?index=${index}&wait=60s`);
      expect([key, answer.status, answer.index > index]).toEqual([key, 200, true]);
      index = answer.index;
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
  };
  const all = Promise.all(keys.map(watchesIt));
  for (let round = 0; round < rounds; round += 1) {
    await watchers(40);
    for (const key of keys) source.set(key, `change ${round}`);
    await until(() => [...seen.values()].filter((times) => times > round).length === keys.length);
  }
  await all;
  expect(most).toBeLessThanOrEqual(8);
  expect(migrating.gateway.counts.get('proxy.watch_turns')).toBeGreaterThan(0);
}, 30_000);

test('a list that is stitched waits at the source together with others', async () => {
  await open();
  migrating.phases.set(ruleOf('kv', '', 'passthrough'), ruleOf('kv', 'own/', 'cutover'));
  source.set('a', 'one');
  const first = await get('/v1/kv/?recurse');
  const waiting = many(30).map(() => get(`/v1/kv/?recurse&index=${first.index}&wait=60s`));
  await watchers(30);
  expect(source.waiting).toBe(1);
  source.set('b', 'two');
  for (const answer of await Promise.all(waiting)) expect(answer.index).toBeGreaterThan(first.index);
});
