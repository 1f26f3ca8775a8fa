import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { routeTable } from '../../../../compat/routes/table.ts';
import { familyOf } from '../../../../migration/live/route/family.ts';
import { spanBelow, spanOfKey } from '../../../../migration/live/route/summary.ts';
import { Kind } from '../../../../src/state/kinds.ts';
import { encodeKv } from '../../../../src/state/values.ts';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { MigratingDoor } from '../dual/door.ts';
import { FakeSource } from '../dual/fake-source.ts';

let source: FakeSource;
let phases: FakePhases;
let migrating: MigratingDoor;

beforeEach(async () => {
  source = await new FakeSource().open();
  phases = new FakePhases(
    ruleOf('kv', '', 'passthrough'),
    ruleOf('kv', 'cut/', 'cutover'),
    ruleOf('kv', 'local/', 'local-reads'),
    ruleOf('kv', 'shadow/', 'shadow'),
  );
  migrating = await new MigratingDoor(source.address, phases).open();
});
afterEach(async () => {
  await migrating.close();
  await source.close();
});

const ask = (path: string, method = 'GET', body?: string) =>
  migrating.door.request(path, body === undefined ? { method } : { method, body });
const mirror = (key: string, text: string, stamp: number, session = ''): void => {
  migrating.door.machine.step({
    ...{ kind: 'mirror-apply', source: 'dc1:test', timeline: 0, cursors: {} },
    records: [
      {
        ...{ kind: Kind.kv, key, stamp, born: stamp, ix: session === '' ? null : session },
        value: encodeKv({ flags: 0n, lockIndex: 0, session, value: Buffer.from(text) }),
      },
    ],
  });
};
const valueOf = (body: string): string =>
  Buffer.from((JSON.parse(body) as { Value: string }[])[0]?.Value ?? '', 'base64').toString();
const keysOf = (body: string): string[] => (JSON.parse(body) as { Key: string }[]).map(({ Key }) => Key);

test('the longest prefix says who answers; a list that spans rules may have both sides', () => {
  expect(spanOfKey(phases, 'cut').reader).toBe('source');
  expect(spanOfKey(phases, 'cut/x')).toMatchObject({ reader: 'here', authority: 'here' });
  expect(spanOfKey(phases, 'local/x')).toMatchObject({ reader: 'here', authority: 'source', dual: true });
  expect(spanBelow(phases, 'cut/')).toMatchObject({ reader: 'here' });
  expect(spanBelow(phases, '')).toMatchObject({ reader: undefined, authority: undefined });
  const part = new FakePhases(ruleOf('kv', 'app/', 'dual'));
  expect(spanOfKey(part, 'other')).toMatchObject({ rules: [], reader: 'here' });
  expect(spanBelow(part, '')).toMatchObject({ reader: undefined, authority: undefined });
});

test('every endpoint of an agent is its own', () => {
  for (const route of routeTable) {
    const own =
      /^\/v1\/(agent|grapevine)\//.test(route.path) || route.path.startsWith('/v1/operator/keyring');
    expect([route.path, familyOf(route) === 'own']).toEqual([route.path, own]);
  }
});

test('reads go to the source until local reads, and writes until the cutover', async () => {
  for (const key of ['a', 'shadow/a', 'local/a', 'cut/a']) source.set(key, 'there');
  mirror('local/a', 'here', 5);
  expect((await ask('/v1/kv/cut/a', 'PUT', 'here')).text).toBe('true');
  const answers = await Promise.all(['a', 'shadow/a', 'local/a', 'cut/a'].map((key) => ask(`/v1/kv/${key}`)));
  expect(answers.map(({ text }) => valueOf(text))).toEqual(['there', 'there', 'here', 'here']);
  expect(valueOf((await ask('/v1/kv/local/a?consistent')).text)).toBe('there');
  expect(source.entries.get('cut/a')?.value).toBe('there');
});

test('a key whose lock is held at the source is read there, and so is a list with it', async () => {
  source.set('local/lock', 'there');
  mirror('local/lock', 'here', 5, 'some-session');
  await migrating.part.stop();
  migrating.part.start();
  expect(valueOf((await ask('/v1/kv/local/lock')).text)).toBe('there');
  expect(valueOf((await ask('/v1/kv/local/?recurse')).text)).toBe('there');
});

test('a list over both sides takes each key from who answers for it, in order', async () => {
  for (const key of ['a', 'cut/gone-here', 'local/x', 'z']) source.set(key, 'there');
  source.set('_gw/term/', '1');
  await ask('/v1/kv/cut/b', 'PUT', 'here');
  mirror('local/y', 'here', 5);
  const all = await ask('/v1/kv/?recurse');
  expect(keysOf(all.text)).toEqual(['a', 'cut/b', 'local/y', 'z']);
  expect(JSON.parse((await ask('/v1/kv/?keys')).text)).toEqual(['a', 'cut/b', 'local/y', 'z']);
  expect(JSON.parse((await ask('/v1/kv/?keys&separator=/')).text)).toEqual(['a', 'cut/', 'local/', 'z']);
});

test('a list over both sides wakes when either of them changes, and its index grows each time', async () => {
  source.set('a', '1');
  await ask('/v1/kv/cut/b', 'PUT', 'here');
  const first = await ask('/v1/kv/?recurse');
  const waiting = ask(`/v1/kv/?recurse&index=${first.index}&wait=60s`);
  const isWaiting = (): boolean => source.seen.some(({ url }) => url.includes(`index=${source.index}`));
  while (!isWaiting()) await new Promise((resolve) => setTimeout(resolve, 2));
  source.set('a', '2');
  const second = await waiting;
  expect(second.index).toBeGreaterThan(first.index);
  const again = ask(`/v1/kv/?recurse&index=${second.index}&wait=60s`);
  while (!isWaiting()) await new Promise((resolve) => setTimeout(resolve, 2));
  await ask('/v1/kv/cut/c', 'PUT', 'here');
  const third = await again;
  expect(third.index).toBeGreaterThan(second.index);
  expect(keysOf(third.text)).toEqual(['a', 'cut/b', 'cut/c']);
  // An index that nobody remembers is answered at once.
  expect((await ask('/v1/kv/?recurse&index=12345&wait=60s')).index).toBe(third.index);
});

test('a transaction over keys that are decided on both sides is refused, and both are named', async () => {
  const set = (Key: string): object => ({ KV: { Verb: 'set', Key, Value: 'MQ==' } });
  const mixed = await ask('/v1/txn', 'PUT', JSON.stringify([set('a'), set('cut/b')]));
  expect(mixed.status).toBe(409);
  const { Errors } = JSON.parse(mixed.text) as { Errors: { OpIndex: number; What: string }[] };
  expect(Errors[0]?.OpIndex).toBe(1);
  expect(Errors[0]?.What).toContain(
    '"a" by the source Consul (phase passthrough), and "cut/b" by this fleet (phase cutover)',
  );
  expect((await ask('/v1/txn', 'PUT', JSON.stringify([set('a'), set('shadow/b')]))).status).toBe(200);
  expect((await ask('/v1/txn', 'PUT', JSON.stringify([set('cut/a'), set('cut/b')]))).status).toBe(200);
  expect(source.entries.has('cut/a')).toBe(false);
  await migrating.part.settled();
  expect(migrating.gateway.view.get(Kind.kv, 'shadow/b')).toBeDefined();
  expect((await ask('/v1/kv/?recurse', 'DELETE')).status).toBe(409);
});

test('a query that waits at the source is answered from here when its rule moves', async () => {
  source.set('shadow/a', 'there');
  mirror('shadow/a', 'here', 11);
  const first = await ask('/v1/kv/shadow/a');
  const waiting = ask(`/v1/kv/shadow/a?index=${first.index}&wait=60s`);
  while (source.seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  phases.set(ruleOf('kv', '', 'passthrough'), ruleOf('kv', 'shadow/', 'local-reads', { step: 2 }));
  const moved = await waiting;
  expect(valueOf(moved.text)).toBe('here');
  expect(moved.index).toBeGreaterThan(first.index);
});

test('sessions, catalog and all else are the source’s while it decides any key; an agent is always its own', async () => {
  source.bend = ({ url }) => ({ status: 200, body: `source ${url}` });
  for (const path of ['/v1/session/list', '/v1/catalog/nodes', '/v1/health/state/any', '/v1/status/leader']) {
    expect((await ask(path)).text).toBe(`source ${path}`);
  }
  expect((await ask('/v1/agent/metrics')).text).not.toContain('source');
  phases.set(ruleOf('kv', '', 'cutover'));
  expect((await ask('/v1/catalog/nodes')).text).toBe('[]');
  phases.set(ruleOf('kv', '', 'cutover'), ruleOf('catalog', '', 'dual'));
  expect((await ask('/v1/catalog/nodes')).text).toBe('source /v1/catalog/nodes');
});

test('another datacenter is the source’s to find', async () => {
  source.bend = () => ({ status: 500, body: 'No path to datacenter' });
  await ask('/v1/kv/cut/a?dc=elsewhere');
  expect(source.seen.at(-1)?.url).toBe('/v1/kv/cut/a?dc=elsewhere');
});

test('a gateway without a source refuses what is the source’s to answer', async () => {
  const lonely = await new MigratingDoor(undefined, phases).open();
  const asked = async (path: string, method = 'GET'): Promise<unknown> => {
    const { status, text } = await lonely.door.request(path, { method });
    return [status, text.startsWith('No cluster leader: ')];
  };
  expect(await asked('/v1/kv/shadow/a')).toEqual([500, true]);
  expect(await asked('/v1/kv/shadow/a', 'PUT')).toEqual([500, true]);
  expect(await asked('/v1/kv/?keys')).toEqual([500, true]);
  expect(await asked('/v1/catalog/nodes')).toEqual([500, true]);
  expect(await asked('/v1/kv/cut/a')).toEqual([404, false]);
  await lonely.close();
});

test('reads in shadow and in local reads are told of, each with who answered', async () => {
  source.set('shadow/a', 'there');
  mirror('local/a', 'here', 5);
  await ask('/v1/kv/shadow/a');
  await ask('/v1/kv/local/a');
  await ask('/v1/kv/other');
  while (migrating.observed.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(
    migrating.observed.map(({ answeredBy, request, status }) => [answeredBy, request.rest, status]),
  ).toEqual([
    ['source', 'shadow/a', 200],
    ['here', 'local/a', 200],
  ]);
});

test('a lock that is taken here waits for its session', async () => {
  const adopted: string[] = [];
  const adopt = async (id: string): Promise<void> => void adopted.push(id);
  const with2 = await new MigratingDoor(source.address, phases, { strategies: { adopt } }).open();
  const id = '00000000-0000-4000-8000-0000000000aa';
  await with2.door.request(`/v1/kv/cut/lock?acquire=${id}`, { method: 'PUT', body: 'x' });
  expect(adopted).toEqual([id]);
  expect(with2.part.open('kv', '')).toBe(0);
  await with2.close();
});
