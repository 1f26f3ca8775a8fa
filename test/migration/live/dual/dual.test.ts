import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { leaseMs } from '../../../../migration/live/dual/leases.ts';
import { Kind } from '../../../../src/state/kinds.ts';
import { decodeKv } from '../../../../src/state/values.ts';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { MigratingDoor } from './door.ts';
import { FakeSource } from './fake-source.ts';

let source: FakeSource;
let phases: FakePhases;
let migrating: MigratingDoor;
/** Time that passes while the gateway stands still. */
let passMs = 0;

beforeEach(async () => {
  source = await new FakeSource().open();
  phases = new FakePhases(ruleOf('kv', '', 'passthrough'), ruleOf('kv', 'app/', 'dual', { term: 3 }));
  passMs = 0;
  migrating = await new MigratingDoor(source.address, phases, { passMs: () => passMs }).open();
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
/** Writes, and waits until what the source took is stored here too. */
const putStored = async (key: string, body: string): ReturnType<typeof put> => {
  const answer = await put(key, body);
  await migrating.part.settled();
  return answer;
};
const put = (key: string, body: string): ReturnType<typeof migrating.door.request> =>
  migrating.door.request(`/v1/kv/${key}`, { method: 'PUT', body });
/** Local registers touch no topic: there is no event to wait for. */
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
};
const count = (name: string): number => migrating.gateway.counts.get(name) ?? 0;

/** What this gateway is to store comes only when the answer is called. */
const holdStoring = (): (() => void) => {
  let go = (): void => {};
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  migrating.gateway.delay = ({ kind }) => (kind === 'mirror-apply' ? gone : undefined);
  return go;
};

test('a write is here under the index that the source gave it when its client, who reads here, is answered', async () => {
  phases.set(ruleOf('kv', 'app/', 'local-reads', { term: 3 }));
  const answer = await put('app/a', 'one');
  expect([answer.status, answer.text]).toEqual([200, 'true']);
  expect(stored('app/a')).toBe('one');
  const row = migrating.gateway.view.get(Kind.kv, 'app/a');
  expect(row?.stamp).toBe(source.entries.get('app/a')?.modify);
  expect(open()).toEqual([]);
  expect(migrating.acknowledged.map(({ key, index }) => [key, index])).toEqual([['app/a', row?.stamp]]);
});

test('while reads go to the source, a client is not kept waiting for what is stored here', async () => {
  const go = holdStoring();
  const answer = await put('app/a', 'one');
  expect([answer.text, stored('app/a'), open()]).toEqual(['true', undefined, ['k/app/a']]);
  go();
  await migrating.part.settled();
  expect([stored('app/a'), open()]).toEqual(['one', []]);
});

test('what a client was told, and is not here yet, is read at the source after a step to local reads', async () => {
  const go = holdStoring();
  await put('app/a', 'one');
  phases.set(ruleOf('kv', 'app/', 'local-reads', { term: 3 }));
  const body = JSON.stringify([{ KV: { Verb: 'get', Key: 'app/a' } }]);
  expect((await migrating.door.request('/v1/kv/app/a')).text).toContain('"b25l"');
  expect((await migrating.door.request('/v1/kv/app/?keys')).text).toContain('app/a');
  expect((await migrating.door.request('/v1/txn', { method: 'PUT', body })).text).toContain('"app/a"');
  go();
  await migrating.part.settled();
  const before = source.seen.length;
  expect((await migrating.door.request('/v1/kv/app/a')).text).toContain('"b25l"');
  expect(source.seen.length).toBe(before);
});

test('an intent is on its way to disk before the source is asked, and there before the client is answered', async () => {
  const proposed: string[] = [];
  let noted: () => void = () => {};
  const isNoted = new Promise<void>((resolve) => {
    noted = resolve;
  });
  migrating.gateway.delay = (command) => {
    if (command.kind !== 'local' || command.puts.length === 0) return undefined;
    proposed.push(...command.puts.map(({ key }) => key));
    return isNoted;
  };
  let asked: () => void = () => {};
  const isAsked = new Promise<readonly string[]>((resolve) => {
    asked = () => resolve([...proposed]);
  });
  source.bend = ({ url, body }) => {
    if (url === '/v1/txn' && body.includes('app/a"')) asked();
    return undefined;
  };
  let answered = false;
  const write = put('app/a', 'one').then(() => {
    answered = true;
  });
  expect(await isAsked).toEqual(['k/app/a']);
  await until(() => source.entries.has('app/a'));
  expect(answered).toBe(false);
  noted();
  await write;
});

test('a write whose answer is lost fails as at Consul, and what became of it is looked up', async () => {
  source.bend = ({ body }) => (body.includes('"app/a"') ? 'lost' : undefined);
  const answer = await put('app/a', 'one');
  expect([answer.status, answer.text.startsWith('rpc error making call: ')]).toEqual([500, true]);
  await until(() => stored('app/a') === 'one' && open().length === 0);
  expect(count('dual.unknown')).toBe(1);
});

test('a write that the source fails with 500 answers its text, and the key is looked up', async () => {
  await putStored('app/a', 'before');
  source.bend = ({ method }) => (method === 'PUT' ? { status: 500, body: 'No cluster leader' } : undefined);
  const answer = await putStored('app/a', 'after');
  expect([answer.status, answer.text]).toEqual([500, 'No cluster leader']);
  await until(() => count('dual.repaired') === 1 && open().length === 0);
  expect(stored('app/a')).toBe('before');
});

test('what a crash left open is looked up at the next start', async () => {
  await migrating.part.stop();
  source.set('app/there', 'at the source');
  const { machine } = migrating.door;
  for (const key of ['app/there', 'app/gone']) {
    machine.step({
      ...{ kind: 'mirror-apply', source: 'dc1:test', timeline: 0, cursors: {} },
      records: [
        {
          kind: Kind.kv,
          key,
          stamp: 2,
          born: 2,
          value: Buffer.from([0x94, 0, 0, 0xa0, 0xc4, 1, 0x30]),
          ix: null,
        },
      ],
    });
    const value = Buffer.from([
      0x82,
      0xa5,
      ...Buffer.from('cause'),
      0xa6,
      ...Buffer.from('intent'),
      0xa7,
      ...Buffer.from('sinceMs'),
      1,
    ]);
    machine.step({
      kind: 'local',
      puts: [{ kind: Kind.dualKey, key: `k/${key}`, value }],
      deletes: [],
      catalog: [],
    });
  }
  migrating.part.start();
  await until(() => open().length === 0);
  expect(stored('app/there')).toBe('at the source');
  expect(stored('app/gone')).toBeUndefined();
});

test('trouble on this side is never the client’s', async () => {
  migrating.gateway.refuse = ({ kind }) =>
    kind === 'mirror-apply' ? { kind: 'refused', status: 500, message: 'not today' } : undefined;
  const answer = await put('app/a', 'one');
  expect([answer.status, answer.text]).toEqual([200, 'true']);
  await until(() => count('dual.not_stored') > 0 && open().includes('k/app/a'));
  migrating.gateway.refuse = () => undefined;
  await until(() => stored('app/a') === 'one' && open().length === 0);
});

test('what the source said before authority went away and came back is not stored: it is asked again', async () => {
  source.bend = ({ url, body }) => {
    // Steps that this gateway hears of between the source's answer and what it stores.
    if (url === '/v1/txn' && body.includes('"app/a"')) phases.set(ruleOf('kv', 'app/', 'dual', { term: 5 }));
    return undefined;
  };
  const applied: string[] = [];
  migrating.gateway.refuse = (command) => {
    if (command.kind === 'mirror-apply') applied.push(`term ${phases.ofKey('app/a')?.term ?? 0}`);
    return undefined;
  };
  expect((await put('app/a', 'one')).text).toBe('true');
  await until(() => stored('app/a') === 'one' && open().length === 0);
  expect([count('dual.not_stored'), count('dual.repaired'), applied]).toEqual([1, 1, ['term 5']]);
});

test('what could not be stored here is read at the source until it was looked up', async () => {
  phases.set(ruleOf('kv', 'app/', 'local-reads', { term: 3 }));
  migrating.gateway.refuse = ({ kind }) =>
    kind === 'mirror-apply' ? { kind: 'refused', status: 500, message: 'not today' } : undefined;
  await putStored('app/a', 'one');
  expect(stored('app/a')).toBeUndefined();
  expect((await migrating.door.request('/v1/kv/app/a')).text).toContain('"b25l"');
});

test('a gateway that missed a step is refused by the source, and says so', async () => {
  await put('app/a', 'one');
  source.set('_gw/term/app/', '4');
  const answer = await put('app/a', 'two');
  expect(answer.status).toBe(500);
  expect(answer.text).toContain('the migration of "app/" moved on (term 4)');
  expect(source.entries.get('app/a')?.value).toBe('one');
  expect(open()).toEqual([]);
  phases.set(ruleOf('kv', 'app/', 'dual', { term: 4 }));
  expect((await put('app/a', 'two')).status).toBe(200);
});

test('a fence that somebody else set again with the same term, or that is gone, stops nobody', async () => {
  await putStored('app/a', 'one');
  source.set('_gw/term/app/', '3');
  expect((await putStored('app/a', 'two')).text).toBe('true');
  source.delete('_gw/term/app/');
  expect((await putStored('app/a', 'three')).text).toBe('true');
  expect(stored('app/a')).toBe('three');
});

test('the deletion of everything sets the fences again in the same transaction', async () => {
  phases.set(ruleOf('kv', '', 'dual', { term: 5 }));
  await putStored('app/a', 'one');
  const answer = await migrating.door.request('/v1/kv/?recurse', { method: 'DELETE' });
  expect(answer.text).toBe('true');
  await migrating.part.settled();
  expect(source.entries.get('_gw/term/')?.value).toBe('5');
  expect(stored('app/a')).toBeUndefined();
  const before = source.seen.length;
  expect((await putStored('app/b', 'two')).text).toBe('true');
  expect(source.seen.length).toBe(before + 1);
});

test('a token without rights on our keys writes plainly, and is remembered', async () => {
  source.bend = ({ url, headers }) => {
    if (url !== '/v1/txn' || headers['x-consul-token'] !== 'poor') return undefined;
    return { status: 409, body: '{"Results":null,"Errors":[{"OpIndex":0,"What":"Permission denied"}]}' };
  };
  const options = { method: 'PUT', body: 'one', headers: { 'X-Consul-Token': 'poor' } };
  for (const key of ['a', 'b'])
    expect((await migrating.door.request(`/v1/kv/app/${key}`, options)).text).toBe('true');
  await migrating.part.settled();
  expect([stored('app/a'), stored('app/b')]).toEqual(['one', 'one']);
  const txns = source.seen.filter(
    ({ url, headers }) => url === '/v1/txn' && headers['x-consul-token'] === 'poor',
  );
  expect(txns.length).toBe(1);
  expect(count('dual.writes plain')).toBe(2);
  const gets = source.seen.filter(({ method, url }) => method === 'GET' && url.includes('app/a?consistent'));
  expect(gets.length).toBe(1);
});

test('writes of one key go one after the other, those of other keys beside them', async () => {
  let atOnce = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  source.bend = ({ url, body }, res) => {
    if (url !== '/v1/txn' || !body.includes('app/')) return undefined;
    const key = body.includes('"app/same"') ? 'same' : 'other';
    if (key !== 'same' || body.includes('_gw/term/app/","Value"')) return undefined;
    atOnce += 1;
    most = Math.max(most, atOnce);
    waiting.push(() => {
      atOnce -= 1;
      source.index += 1;
      const fence = { KV: { Key: '_gw/term/app/', CreateIndex: 1, ModifyIndex: 1 } };
      const kv = {
        Key: 'app/same',
        Flags: 0,
        LockIndex: 0,
        CreateIndex: source.index,
        ModifyIndex: source.index,
      };
      res.writeHead(200).end(JSON.stringify({ Results: [fence, { KV: kv }], Errors: null }));
    });
    return 'handled';
  };
  await put('app/first', 'fence');
  const writes = [put('app/same', '1'), put('app/same', '2'), put('app/same', '3')];
  expect((await put('app/other', 'beside')).text).toBe('true');
  for (const write of writes) {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    waiting.shift()?.();
    void write;
  }
  expect((await Promise.all(writes)).map(({ text }) => text)).toEqual(['true', 'true', 'true']);
  expect(most).toBe(1);
});

test('a write that is held goes on, and is routed anew, when the hold is over', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isHeld = true;
  migrating.hold = { held: () => (isHeld ? held : undefined) };
  const write = put('app/a', 'mine now');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(source.seen.length).toBe(0);
  isHeld = false;
  phases.set(ruleOf('kv', 'app/', 'cutover', { step: 2 }));
  release();
  expect((await write).text).toBe('true');
  expect(source.entries.has('app/a')).toBe(false);
  expect(stored('app/a')).toBe('mine now');
});

test('a transaction is one at the source, its own answer is given, and all of it is here', async () => {
  await putStored('app/old', 'x');
  const set = (Key: string, text: string): object => ({
    KV: { Verb: 'set', Key, Value: Buffer.from(text).toString('base64') },
  });
  const body = JSON.stringify([
    set('app/a', 'one'),
    { KV: { Verb: 'delete', Key: 'app/old' } },
    set('app/a', 'two'),
  ]);
  const answer = await migrating.door.request('/v1/txn', { method: 'PUT', body });
  const { Results, Errors } = JSON.parse(answer.text) as {
    Results: { KV: { Key: string } }[];
    Errors: unknown;
  };
  await migrating.part.settled();
  expect([answer.status, Errors, Results.map(({ KV }) => KV.Key)]).toEqual([200, null, ['app/a', 'app/a']]);
  expect([stored('app/a'), stored('app/old')]).toEqual(['two', undefined]);
  const failing = JSON.stringify([
    set('app/b', 'x'),
    { KV: { Verb: 'cas', Key: 'app/a', Value: '', Index: 1 } },
  ]);
  const failed = await migrating.door.request('/v1/txn', { method: 'PUT', body: failing });
  expect([failed.status, failed.text]).toEqual([
    409,
    '{"Results":null,"Errors":[{"OpIndex":1,"What":"failed to set key \\"app/a\\", index is stale"}]}',
  ]);
  expect(stored('app/b')).toBeUndefined();
});

test('an index that this gateway showed is the source’s when it comes back in a cas', async () => {
  await putStored('app/a', 'one');
  phases.set(ruleOf('kv', 'app/', 'local-reads', { term: 3 }));
  const read = await migrating.door.request('/v1/kv/app/a');
  expect(read.index).toBeGreaterThan(1e12);
  const cas = await migrating.door.request(`/v1/kv/app/a?cas=${read.index}`, { method: 'PUT', body: 'two' });
  expect(cas.text).toBe('true');
  const again = await migrating.door.request(`/v1/kv/app/a?cas=${read.index}`, {
    method: 'PUT',
    body: 'three',
  });
  expect(again.text).toBe('false');
  const shown = (await migrating.door.request('/v1/kv/app/a')).index;
  const body = JSON.stringify([{ KV: { Verb: 'cas', Key: 'app/a', Value: 'NA==', Index: shown } }]);
  expect((await migrating.door.request('/v1/txn', { method: 'PUT', body })).status).toBe(200);
  expect(stored('app/a')).toBe('4');
});

test('requests count as under way with the step under which they were routed', async () => {
  let answer = (): void => {};
  const asked = new Promise<void>((resolve) => {
    source.bend = ({ url }, res) => {
      if (!url.startsWith('/v1/kv/app/slow')) return undefined;
      answer = () => void res.writeHead(404, { 'X-Consul-Index': '5' }).end();
      resolve();
      return 'handled';
    };
  });
  const read = migrating.door.request('/v1/kv/app/slow');
  await asked;
  expect([migrating.part.older('kv', 'app/', 1), migrating.part.older('kv', 'app/', 2)]).toEqual([0, 1]);
  answer();
  expect((await read).status).toBe(404);
  expect(migrating.part.older('kv', 'app/', 2)).toBe(0);
});

const large = 'l'.repeat(400_000);

test('a write that no transaction takes is sent while the term is proved, and refused where it has risen', async () => {
  expect((await putStored('app/large', large)).text).toBe('true');
  expect(stored('app/large')).toBe(large);
  const reads = (): number =>
    source.seen.filter(({ method, url }) => method === 'GET' && url.includes('/_gw/term/')).length;
  expect(reads()).toBeGreaterThan(0);
  source.set('_gw/term/app/', '4');
  await new Promise((resolve) => setTimeout(resolve, leaseMs));
  const refused = await putStored('app/large', `${large}2`);
  expect([refused.status, refused.text.includes('moved on (term 4)')]).toEqual([500, true]);
  expect(source.entries.get('app/large')?.value).toBe(large);
  expect(open()).toEqual([]);
});

test('a write that outlives its lease, as of a gateway that was paused, is not acknowledged after a cutover', async () => {
  await put('app/large', large);
  source.bend = ({ method, url }) => {
    if (method !== 'PUT' || url !== '/v1/kv/app/large') return undefined;
    // The gateway stands still meanwhile: the fence is raised, and the time of the lease is over.
    source.set('_gw/term/app/', '4');
    passMs += leaseMs + 1;
    return undefined;
  };
  const late = await put('app/large', `${large}2`);
  expect([late.status, late.text.includes('moved on (term 4)')]).toEqual([500, true]);
  expect(stored('app/large')).not.toBe(`${large}2`);
  source.bend = () => undefined;
});

test('a write that is slow, and came in time, is acknowledged', async () => {
  await putStored('app/large', large);
  source.bend = ({ method }) => {
    if (method === 'PUT') passMs += leaseMs + 1;
    return undefined;
  };
  expect((await putStored('app/large', `${large}2`)).text).toBe('true');
  expect(stored('app/large')).toBe(`${large}2`);
});
