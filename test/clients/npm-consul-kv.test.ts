import { expect, test } from '@jest/globals';
import { npmConsul, Watched } from './support/npm-consul.ts';
import { describeServers } from './support/servers.ts';

interface SetOptions {
  readonly key: string;
  readonly value: string;
  readonly flags?: number;
  readonly cas?: number;
  readonly acquire?: string;
  readonly release?: string;
}

interface Entry {
  readonly Key: string;
  readonly Value: string | null;
  readonly Flags: number;
  readonly ModifyIndex: number;
  readonly LockIndex: number;
  readonly Session?: string;
}

describeServers('npm consul: keys, transactions and sessions', (server) => {
  const consul = npmConsul(server);

  const get = async (key: string): Promise<Entry | undefined> => (await consul().kv.get(key)) ?? undefined;
  const getter = (options: never): Promise<unknown> => consul().kv.get(options);
  /** The client makes undefined of a body of `false`, which its types do not know. */
  const set = async (options: SetOptions): Promise<boolean> => {
    const answer: unknown = await consul().kv.set(options);
    return answer === true;
  };

  test('keys are set, read, listed and deleted', async () => {
    const { kv } = consul();
    expect(await kv.set('app/a', 'one')).toBe(true);
    expect(await set({ key: 'app/b/c', value: 'two', flags: 42 })).toBe(true);
    expect(await get('app/a')).toMatchObject({ Key: 'app/a', Value: 'one', Flags: 0, LockIndex: 0 });
    expect(await kv.get({ key: 'app/', recurse: true })).toMatchObject([
      { Key: 'app/a', Value: 'one' },
      { Key: 'app/b/c', Value: 'two', Flags: 42 },
    ]);
    expect(await kv.keys('app/')).toEqual(['app/a', 'app/b/c']);
    expect(await kv.keys({ key: 'app/', separator: '/' })).toEqual(['app/a', 'app/b/']);
    expect(await kv.get({ key: 'app/a', raw: true })).toEqual(Buffer.from('one'));
    expect(await kv.get({ key: 'app/a', ...{ stale: true } })).toMatchObject({ Value: 'one' });
    expect(await kv.get({ key: 'app/a', ...{ consistent: true } })).toMatchObject({ Value: 'one' });
    expect(await kv.del('app/a')).toBe(true);
    expect(await get('app/a')).toBeUndefined();
    expect(await kv.del({ key: 'app/', recurse: true })).toBe(true);
    expect(await kv.get({ key: 'app/', recurse: true })).toBeUndefined();
  });

  test('a key that the client sends as one path segment (%2F) is that key, whatever is in it', async () => {
    for (const key of ['with space/and ünïcode', 'a+b&c=d?e#f', '100%/x', 'trailing/']) {
      expect(await consul().kv.set(key, key)).toBe(true);
      expect(await get(key)).toMatchObject({ Key: key, Value: key });
    }
  });

  test('bytes come back as they went', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await consul().kv.set('bytes', bytes);
    expect(await consul().kv.get({ key: 'bytes', ...{ buffer: true } })).toMatchObject({ Value: bytes });
    expect(await consul().kv.get({ key: 'bytes', raw: true })).toEqual(bytes);
  });

  test('check-and-set and check-and-delete take effect once', async () => {
    const { kv } = consul();
    expect(await set({ key: 'cas', value: 'a', cas: 0 })).toBe(true);
    expect(await set({ key: 'cas', value: 'b', cas: 0 })).toBe(false);
    const first = await get('cas');
    const cas = first?.ModifyIndex ?? 0;
    expect(await set({ key: 'cas', value: 'b', cas })).toBe(true);
    expect(await set({ key: 'cas', value: 'c', cas })).toBe(false);
    expect(await kv.del({ key: 'cas', cas })).not.toBe(true);
    expect(await get('cas')).toMatchObject({ Value: 'b' });
    expect(await kv.del({ key: 'cas', cas: (await get('cas'))?.ModifyIndex ?? 0 })).toBe(true);
  });

  test('a transaction is done whole or not at all', async () => {
    const value = Buffer.from('x').toString('base64');
    const done = await consul().transaction.create([
      { KV: { Verb: 'set', Key: 'txn/a', Value: value } },
      { KV: { Verb: 'check-not-exists', Key: 'txn/b' } },
      { KV: { Verb: 'get', Key: 'txn/a' } },
    ] as never);
    expect(done).toMatchObject({
      Results: [{ KV: { Key: 'txn/a', Value: null } }, { KV: { Key: 'txn/a', Value: value } }],
      Errors: null,
    });
    const refused = consul().transaction.create([
      { KV: { Verb: 'set', Key: 'txn/c', Value: value } },
      { KV: { Verb: 'cas', Key: 'txn/a', Value: value, Index: 1 } },
    ] as never);
    await expect(refused).rejects.toMatchObject({
      statusCode: 409,
      response: {
        body: { Results: null, Errors: [{ OpIndex: 1, What: expect.stringContaining('index is stale') }] },
      },
    });
    expect(await get('txn/c')).toBeUndefined();
  });

  test('sessions are made, listed, renewed and destroyed', async () => {
    const { session } = consul();
    const { ID } = await session.create({ name: 'worker', ttl: '10s', behavior: 'delete', lockdelay: '1s' });
    expect(await session.info(ID)).toMatchObject({
      ID,
      Name: 'worker',
      Node: 'agent-one',
      TTL: '10s',
      Behavior: 'delete',
      LockDelay: 1_000_000_000,
      NodeChecks: ['serfHealth'],
      ServiceChecks: null,
    });
    expect(await session.renew(ID)).toMatchObject([{ ID }]);
    expect(await session.list()).toMatchObject([{ ID }]);
    expect(await session.node('agent-one')).toMatchObject([{ ID }]);
    expect(await session.node('nobody')).toEqual([]);
    await session.destroy(ID);
    expect(await session.info(ID)).toBeUndefined();
    await expect(session.renew(ID)).rejects.toMatchObject({ statusCode: 404 });
  });

  test('a lock goes from its holder to the next, who waits for it in a watch', async () => {
    const { session } = consul();
    const [first, second] = await Promise.all([
      session.create({ name: 'first' }),
      session.create({ name: 'second' }),
    ]);
    expect(await set({ key: 'leader', value: 'first', acquire: first.ID })).toBe(true);
    expect(await set({ key: 'leader', value: 'second', acquire: second.ID })).toBe(false);
    expect(await set({ key: 'leader', value: 'second', release: second.ID })).toBe(false);

    const watch = new Watched(consul(), getter, { key: 'leader' }, (data) => (data as Entry).Session);
    await watch.until(1);
    expect(await set({ key: 'leader', value: 'bye', release: first.ID })).toBe(true);
    await watch.until(2);
    expect(await set({ key: 'leader', value: 'second', acquire: second.ID })).toBe(true);
    await watch.until(3);
    watch.end();
    expect(watch.changes).toEqual([first.ID, undefined, second.ID]);
    expect(await get('leader')).toMatchObject({ Value: 'second', LockIndex: 2 });
    await Promise.all([session.destroy(first.ID), session.destroy(second.ID)]);
  });

  test('a lock whose session is destroyed is kept from others for its lock-delay', async () => {
    const { session } = consul();
    const { ID } = await session.create({ ...{ lockdelay: '60s' } });
    await set({ key: 'delayed', value: 'x', acquire: ID });
    await session.destroy(ID);
    expect(await get('delayed')).not.toHaveProperty('Session');
    const next = await session.create();
    expect(await set({ key: 'delayed', value: 'y', acquire: next.ID })).toBe(false);
    await session.destroy(next.ID);
  });

  test('an unknown session is refused with the words that clients look for', async () => {
    const id = '6e4bba3d-1d0e-4e6f-9d3e-3a1f2a6b8f00';
    await expect(set({ key: 'unknown/session', value: 'x', acquire: id })).rejects.toMatchObject({
      statusCode: 500,
      message: `invalid session "${id}"`,
    });
  });

  test('a watch of a key tells every change of it, deletion and return included', async () => {
    const { kv } = consul();
    const watch = new Watched(
      consul(),
      getter,
      { key: 'watched' },
      (data) => (data as Entry | undefined)?.Value,
    );
    await watch.until(1);
    let told = 1;
    for (const value of ['a', 'b', undefined, 'c']) {
      await (value === undefined ? kv.del('watched') : kv.set('watched', value));
      await watch.until(++told);
    }
    watch.end();
    expect(watch.changes).toEqual([undefined, 'a', 'b', undefined, 'c']);
    expect(watch.errors).toEqual([]);
  });

  test('a watch of a prefix tells what comes and goes under it', async () => {
    const { kv } = consul();
    await kv.set('below/a', '1');
    const watch = new Watched(
      consul(),
      (options: never) => kv.keys(options),
      { key: 'below/' },
      (data) => data,
    );
    await watch.until(1);
    await kv.set('beside', 'unrelated');
    await kv.set('below/b', '2');
    await watch.until(2);
    await kv.del('below/a');
    await watch.until(3);
    watch.end();
    expect(watch.changes).toEqual([['below/a'], ['below/a', 'below/b'], ['below/b']]);
  });

  test('a watch that is answered with 400 ends', async () => {
    const watch = new Watched(consul(), getter, { key: 'x', wait: '10' }, (data) => data);
    await watch.ended();
    expect(watch.changes).toEqual([]);
    expect(watch.errors).toEqual([{ status: 400, message: 'consul: kv.get: Invalid wait time' }]);
  });
});
