import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Response } from '../../../compat/http/harness.ts';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../../support/real-consul.ts';
import { MigratingDoor } from './door.ts';

interface Plain {
  readonly status: number;
  readonly type: string | null;
  readonly body: string;
  readonly index: number;
}

describeRealConsul('requests in the phases of a migration, beside a real Consul', () => {
  let consul: RealConsul;
  let migrating: MigratingDoor;
  let phases: FakePhases;

  const direct = async (path: string, init: { method?: string; body?: string } = {}): Promise<Plain> => {
    const response = await fetch(`${consul.url}${path}`, init);
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: await response.text(),
      index: Number(response.headers.get('x-consul-index') ?? 0),
    };
  };
  const here = (
    path: string,
    options: Parameters<typeof migrating.door.request>[1] = {},
  ): Promise<Response> => migrating.door.request(path, options);

  beforeAll(async () => {
    consul = await startRealConsul();
    phases = new FakePhases(
      ruleOf('kv', '', 'passthrough'),
      ruleOf('kv', 'dual/', 'dual'),
      ruleOf('kv', 'local/', 'local-reads'),
      ruleOf('kv', 'own/', 'cutover'),
    );
    migrating = await new MigratingDoor(consul.url, phases).open();
  }, 90_000);
  afterAll(async () => {
    await migrating?.close();
    await consul?.stop();
  });

  /** Session ids and indexes differ from one side to the other by nature. */
  const session = async (lockDelay = '0s'): Promise<string> => {
    const body = JSON.stringify({ NodeChecks: [], LockDelay: lockDelay });
    const answer = await direct('/v1/session/create', { method: 'PUT', body });
    return (JSON.parse(answer.body) as { ID: string }).ID;
  };

  test('writes of each kind answer as Consul does, and leave the same behind', async () => {
    const [one, two] = [await session(), await session()];
    const unknown = '11111111-1111-1111-1111-111111111111';
    type Step = readonly [method: string, key: string, query: string, body?: string];
    const steps: readonly Step[] = [
      ['PUT', 'a', '', 'first'],
      ['PUT', 'a', '?flags=18446744073709551615', 'second'],
      ['PUT', 'a', '?flags=nope', 'x'],
      ['PUT', 'a', '?cas=0', 'x'],
      ['PUT', 'a', '?cas=1', 'x'],
      ['PUT', 'a', '?cas=INDEX', 'by cas'],
      ['PUT', 'a', '?cas=nope', 'x'],
      ['PUT', 'a', '?cas=1&acquire=x', 'x'],
      ['PUT', 'new', '?cas=0&pretty', 'made'],
      ['PUT', 'empty', '', ''],
      ['PUT', 'bytes', '', '\u0000\uffff<&>'],
      ['PUT', 'sp ace/ü%25?', '', 'odd'],
      ['PUT', 'lock', `?acquire=${one}&flags=3304740253564472344`, 'held'],
      ['PUT', 'lock', `?acquire=${one}`, 'again'],
      ['PUT', 'lock', `?acquire=${two}`, 'other'],
      ['PUT', 'lock', `?release=${two}`, 'other'],
      ['PUT', 'lock', '', 'past the lock'],
      ['PUT', 'lock', `?release=${one}`, 'released'],
      ['PUT', 'lock', `?acquire=${unknown}`, 'x'],
      ['PUT', 'lock', '?acquire=short', 'x'],
      ['PUT', 'lock', '?acquire=', 'x'],
      ['PUT', 'lock', `?release=${unknown}`, 'x'],
      ['PUT', 'nolock', `?release=${unknown}`, 'x'],
      ['DELETE', 'missing', ''],
      ['DELETE', 'missing', '?cas=7'],
      ['DELETE', 'a', '?cas=0'],
      ['DELETE', 'a', '?cas=1'],
      ['DELETE', 'a', '?cas=INDEX&pretty'],
      ['DELETE', 'a', '?cas=x'],
      ['DELETE', 'a', '?recurse&cas=1'],
      ['PUT', 'tree/x', '', '1'],
      ['PUT', 'tree/y', '', '2'],
      ['DELETE', 'tree/', '?recurse'],
      ['DELETE', 'notree/', '?recurse'],
      ['PUT', 'large', '', 'l'.repeat(450_000)],
      ['PUT', 'large', '?cas=INDEX', 'm'.repeat(450_000)],
      ['PUT', 'too-large', '', 'l'.repeat(600_000)],
    ];
    const keyPath = (key: string): string => key.split('/').map(encodeURIComponent).join('/');
    const indexOf = async (key: string): Promise<string> => String((await direct(`/v1/kv/${key}`)).index);
    for (const [method, key, query, body] of steps) {
      const init = body === undefined ? { method } : { method, body };
      const [x, y] = [`plain/${keyPath(key)}`, `dual/${keyPath(key)}`];
      const filled = async (path: string): Promise<string> => query.replace('INDEX', await indexOf(path));
      const expected = await direct(`/v1/kv/${x}${await filled(x)}`, init);
      const got = await here(`/v1/kv/${y}${await filled(y)}`, init);
      const shown = `${method} ${key}${query}`;
      expect([shown, got.status, got.text.replaceAll('dual/', 'plain/')]).toEqual([
        shown,
        expected.status,
        expected.body,
      ]);
      if (expected.status === 200) expect(got.headers['content-type']).toBe(expected.type);
    }
    type Entry = Readonly<Record<string, unknown>>;
    const bare = (body: string, prefix: string): Entry[] =>
      (JSON.parse(body) as Entry[]).map((rest) => ({
        ...rest,
        CreateIndex: 0,
        ModifyIndex: 0,
        Key: String(rest['Key']).slice(prefix.length),
      }));
    const atSource = await direct('/v1/kv/dual/?recurse');
    expect(bare(atSource.body, 'dual/')).toEqual(
      bare((await direct('/v1/kv/plain/?recurse')).body, 'plain/'),
    );
    phases.set(
      ...phases.rules.map((rule) =>
        rule.prefix === 'dual/' ? { ...rule, phase: 'local-reads' as const } : rule,
      ),
    );
    const stored = await here('/v1/kv/dual/?recurse');
    phases.set(
      ...phases.rules.map((rule) => (rule.prefix === 'dual/' ? { ...rule, phase: 'dual' as const } : rule)),
    );
    expect(bare(stored.text, 'dual/')).toEqual(bare(atSource.body, 'dual/'));
    expect(migrating.part.open('kv', '')).toBe(0);
    expect(migrating.part.repairs('')).toEqual({ keys: 0, oldestMs: 0 });
  });

  test('transactions of clients answer as Consul does, and leave the same behind', async () => {
    const value = Buffer.from('v').toString('base64');
    type Op = Readonly<Record<string, unknown>>;
    const txns: readonly (readonly Op[])[] = [
      [
        { Verb: 'set', Key: 't/a', Value: value, Flags: 7 },
        { Verb: 'set', Key: 't/b', Value: value },
        { Verb: 'get', Key: 't/a' },
      ],
      [{ Verb: 'cas', Key: 't/a', Value: value, Index: 1 }],
      [
        { Verb: 'check-not-exists', Key: 't/c' },
        { Verb: 'cas', Key: 't/c', Value: value, Index: 0 },
      ],
      [
        { Verb: 'delete', Key: 't/b' },
        { Verb: 'get', Key: 't/b' },
      ],
      [
        { Verb: 'delete', Key: 't/b' },
        { Verb: 'set', Key: 't/d/x', Value: value },
        { Verb: 'get-tree', Key: 't/' },
      ],
      [{ Verb: 'delete-tree', Key: 't/d/' }],
      [{ Verb: 'lock', Key: 't/l', Value: value, Session: await session() }],
      [{ Verb: 'nonsense', Key: 't/a' }],
    ];
    const bare = (text: string): string =>
      text.replaceAll(/"(CreateIndex|ModifyIndex|Index)":\d+/g, '"$1":0').replaceAll(/index \d+/g, 'index N');
    for (const ops of txns) {
      const body = (prefix: string): string =>
        JSON.stringify(ops.map((op) => ({ KV: { ...op, Key: `${prefix}${String(op['Key'])}` } })));
      const expected = await direct('/v1/txn', { method: 'PUT', body: body('plain/') });
      const got = await here('/v1/txn', { method: 'PUT', body: body('dual/') });
      const shown = JSON.stringify(ops);
      expect([shown, got.status, bare(got.text).replaceAll('dual/', 'plain/')]).toEqual([
        shown,
        expected.status,
        bare(expected.body),
      ]);
    }
    const names = async (prefix: string): Promise<readonly string[]> =>
      (JSON.parse((await direct(`/v1/kv/${prefix}?keys`)).body) as readonly string[]).map((key) =>
        key.slice(prefix.length),
      );
    expect(await names('dual/t/')).toEqual(await names('plain/t/'));
    expect(migrating.part.repairs('')).toEqual({ keys: 0, oldestMs: 0 });
  });

  test('a list over keys of both sides has each from the one who answers for it, and waits on both', async () => {
    for (const key of ['list/z', 'own/list', 'list/a']) {
      // What is below own/ at the source is out of date: it is decided here.
      await direct(`/v1/kv/${key}`, { method: 'PUT', body: `source ${key}` });
    }
    await here('/v1/kv/own/list', { method: 'PUT', body: 'here' });
    await here('/v1/kv/own/made', { method: 'PUT', body: 'here' });
    const listed = await here('/v1/kv/?recurse');
    const entries = JSON.parse(listed.text) as readonly { readonly Key: string; readonly Value: string }[];
    const found = new Map(entries.map(({ Key, Value }) => [Key, atob(Value ?? '')]));
    expect([found.get('list/z'), found.get('own/list'), found.get('own/made')]).toEqual([
      'source list/z',
      'here',
      'here',
    ]);
    const keys = entries.map(({ Key }) => Key);
    expect(keys).toEqual(keys.toSorted());
    const tops = JSON.parse((await here('/v1/kv/?keys&separator=/')).text) as readonly string[];
    expect(tops).toEqual(expect.arrayContaining(['list/', 'own/']));
    const waitsFor = async (change: () => Promise<unknown>): Promise<void> => {
      const { index } = await here('/v1/kv/?keys');
      const waiting = here(`/v1/kv/?keys&index=${index}&wait=60s`);
      await change();
      expect((await waiting).index).toBeGreaterThan(index);
    };
    await waitsFor(() => direct('/v1/kv/list/new', { method: 'PUT', body: 'x' }));
    await waitsFor(() => here('/v1/kv/own/new', { method: 'PUT', body: 'x' }));
  });
});
