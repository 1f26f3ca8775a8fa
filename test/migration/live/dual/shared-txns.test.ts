import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Kind } from '../../../../src/state/kinds.ts';
import { decodeKv } from '../../../../src/state/values.ts';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { MigratingDoor } from './door.ts';
import { FakeSource } from './fake-source.ts';

let source: FakeSource;
let migrating: MigratingDoor;

beforeEach(async () => {
  source = await new FakeSource().open();
  const phases = new FakePhases(ruleOf('kv', '', 'passthrough'), ruleOf('kv', 'app/', 'dual', { term: 3 }));
  migrating = await new MigratingDoor(source.address, phases).open();
});
afterEach(async () => {
  await migrating.close();
  await source.close();
});

const stored = (key: string): string | undefined => {
  const value = migrating.gateway.view.get(Kind.kv, key)?.value;
  return value ? Buffer.from(decodeKv(value).value).toString() : undefined;
};
const open = (): readonly string[] =>
  [...migrating.gateway.view.range(Kind.dualKey, '', undefined)].flatMap(({ key, value }) =>
    value === null ? [] : [key],
  );
const put = (key: string, body: string): ReturnType<typeof migrating.door.request> =>
  migrating.door.request(`/v1/kv/${key}`, { method: 'PUT', body });
/** Local registers touch no topic: there is no event to wait for. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
};

/** The source does not say what the fence is until the answer is called: who writes waits. */
const holdFence = (): ((bend?: typeof source.bend) => void) => {
  let go: (bend: typeof source.bend) => void = () => {};
  source.bend = ({ method, url }, res) => {
    if (method !== 'GET' || !url.startsWith('/v1/kv/_gw/term/')) return undefined;
    go = (bend) => {
      source.bend = bend;
      res.writeHead(404, { 'X-Consul-Index': '5' }).end();
    };
    return 'handled';
  };
  return (bend = () => undefined) => go(bend);
};

test('writes that come while others are under way share a transaction, and each is answered and stored', async () => {
  const names = Array.from({ length: 100 }, (_, n) => `app/shared-${n}`);
  const go = holdFence();
  const writes = names.map((name) => put(name, `value of ${name}`));
  await until(() => migrating.part.open('kv', 'app/') === names.length);
  go();
  const answers = await Promise.all(writes);
  expect(answers.map(({ text }) => text)).toEqual(names.map(() => 'true'));
  await migrating.part.settled();
  expect(names.map(stored)).toEqual(names.map((name) => `value of ${name}`));
  expect(open()).toEqual([]);
  const txns = source.seen.filter(({ url, body }) => url === '/v1/txn' && body.includes('app/shared-'));
  // 32 at most wait for the fence; all who come later share what is asked then.
  expect(txns.length).toBeLessThanOrEqual(34);
  for (const { body } of txns) expect((JSON.parse(body) as unknown[]).length).toBeLessThanOrEqual(64);
});

test('a write that the source denies costs those that shared its transaction nothing', async () => {
  const go = holdFence();
  const deny: typeof source.bend = ({ url, body }) => {
    if (url.startsWith('/v1/kv/app/denied')) return { status: 403, body: 'Permission denied' };
    if (url !== '/v1/txn' || !body.includes('"app/denied"')) return undefined;
    const at = (JSON.parse(body) as { KV: { Key: string } }[]).findIndex(({ KV }) => KV.Key === 'app/denied');
    return {
      status: 409,
      body: JSON.stringify({ Results: null, Errors: [{ OpIndex: at, What: 'Permission denied' }] }),
    };
  };
  const names = ['a', 'b', 'denied', 'c', 'd', 'e'].map((name) => `app/${name}`);
  const writes = names.map((name) => put(name, 'x'));
  await until(() => migrating.part.open('kv', 'app/') === names.length);
  go(deny);
  const answers = await Promise.all(writes);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 403, 200, 200, 200]);
  await migrating.part.settled();
  expect(names.map((name) => source.entries.has(name))).toEqual([true, true, false, true, true, true]);
  expect(names.map(stored)).toEqual(['x', 'x', undefined, 'x', 'x', 'x']);
});
