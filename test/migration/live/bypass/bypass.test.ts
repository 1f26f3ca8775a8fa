import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openBypass, type BypassPart } from '../../../../migration/live/bypass/bypass.ts';
import { OwnWrites } from '../../../../migration/live/bypass/own-writes.ts';
import { kvAbsence, kvRecord } from '../../../../migration/live/dual/kv-record.ts';
import type { GatewayPort } from '../../../../migration/live/gateway-port.ts';
import type { OriginId } from '../../../../src/crdt/dot.ts';
import type { MirrorRecord } from '../../../../src/state/mirror.ts';
import { FakePhases, partContext, ruleOf, sourceSettings } from '../../../support/live-gateway.ts';
import { MigratingDoor } from '../dual/door.ts';
import { FakeSource } from '../dual/fake-source.ts';

let source: FakeSource;
let doors: readonly MigratingDoor[];
let marks: string[] = [];
let parts: readonly BypassPart[];
const names = ['a', 'b', 'c'];
let silent: string | undefined;
let away: string | undefined;
let asked = 0;
/** Was started again: what it wrote before that it knows from its store only. */
let forgetful: string | undefined;

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
};
const runner = (): BypassPart => parts[0] as BypassPart;
const status = (): {
  readonly looksAt: readonly string[];
  readonly waiting: number;
  readonly total: number;
} => runner().status() as ReturnType<typeof status>;
const found = (): readonly string[] =>
  runner()
    .bypass('')
    .some.map(({ key, deleted }) => `${deleted ? '-' : '+'}${key}`)
    .toSorted();

/** A fleet in one process: each gateway with its own store, and all with the same source. */
beforeEach(async () => {
  silent = undefined;
  away = undefined;
  asked = 0;
  forgetful = undefined;
  source = await new FakeSource().open();
  source.set('app/before', 'x');
  const made = names.map(
    () => new MigratingDoor(source.address, new FakePhases(ruleOf('kv', 'app/', 'dual', { term: 3 }))),
  );
  doors = made;
  for (const door of doors) await door.open();
  parts = doors.map((door, at) => {
    door.gateway.base.serve('acting', () => Promise.resolve({}));
    const gateway = Object.assign(Object.create(door.gateway) as GatewayPort, {
      gateways: () =>
        names
          .filter((nodeName) => nodeName !== away)
          .map((nodeName) => ({ nodeId: nodeName, nodeName, region: '', alive: true })),
      call: (nodeName: string, topic: string, body: unknown) => {
        if (topic === 'bypass-known') asked += 1;
        if (nodeName === silent) return Promise.reject(new Error('it does not answer'));
        return made[names.indexOf(nodeName)]?.gateway.base.call('gateway', topic, body);
      },
    });
    const context = partContext(gateway, door.phases, sourceSettings(source.address));
    const runs = { isHere: at === 0, nodeName: 'a', onChange: () => () => {} };
    return openBypass(
      {
        ...{ ...context, client: door.client, runner: runs },
        evidence: { ...context.evidence, mark: (_what, detail) => void marks.push(detail) },
      },
      {
        own: {
          latest: (key, index) => (names[at] === forgetful ? undefined : door.part.own.latest(key, index)),
        },
        isOpen: (key) => door.part.isOpen(key),
        graceMs: 20,
      },
    );
  });
  marks = [];
  for (const part of parts) part.start();
  await until(() => status().looksAt.length === 1);
});
afterEach(async () => {
  for (const part of parts) await part.stop();
  for (const door of doors) await door.close();
  await source.close();
});

/** What a tail finds since it looked the last time. */
class Tail {
  #seen = new Map<string, number>();

  look(): void {
    const records: MirrorRecord[] = [];
    const now = new Map([...source.entries].map(([key, { modify }]) => [key, modify]));
    for (const [key, { modify, create, value }] of source.entries) {
      if (this.#seen.get(key) === modify) continue;
      const entry = { key, modifyIndex: modify, createIndex: create, flags: 0n, lockIndex: 0, session: '' };
      records.push(kvRecord({ ...entry, value: Buffer.from(value) }));
    }
    for (const key of this.#seen.keys()) if (!now.has(key)) records.push(kvAbsence(key, source.index));
    this.#seen = now;
    runner().applying(records);
  }
}

const write = async (at: number, method: string, path: string, body?: string): Promise<void> => {
  const init = body === undefined ? { method } : { method, body };
  const answer = await (doors[at] as MigratingDoor).door.request(path, init);
  expect([path, answer.status]).toEqual([path, 200]);
};

test('what three gateways write is theirs, however it is written, and what comes past them is found', async () => {
  const tail = new Tail();
  tail.look();
  const injected = new Set<string>();
  for (let round = 0; round < 12; round += 1) {
    await Promise.all(
      names.map(async (name, at) => {
        await write(at, 'PUT', `/v1/kv/app/${name}/${round}`, `value ${round}`);
        await write(at, 'PUT', `/v1/kv/app/shared`, `${name} ${round}`);
        if (round % 3 === 0) await write(at, 'DELETE', `/v1/kv/app/${name}/${round}`);
        if (round % 4 === 3) await write(at, 'DELETE', `/v1/kv/app/${name}/?recurse`);
        const ops = [{ KV: { Verb: 'set', Key: `app/${name}/txn`, Value: 'eA==' } }];
        await write(at, 'PUT', '/v1/txn', JSON.stringify(ops));
        // Too large for a transaction: it goes the plain way.
        if (round === 5) await write(at, 'PUT', `/v1/kv/app/${name}/large`, 'l'.repeat(400_000));
        tail.look();
      }),
    );
    if (round % 5 === 2) {
      source.set(`app/past/${round}`, 'past');
      injected.add(`+app/past/${round}`);
    }
    if (round === 8) {
      source.delete('app/past/2');
      injected.add('-app/past/2');
    }
    tail.look();
  }
  await until(() => status().waiting === 0);
  expect(found()).toEqual([...injected].toSorted());
  expect(runner().bypass('app/past/').count).toBe(injected.size);
  // What stands in reports names no keys.
  expect(marks).toHaveLength(injected.size);
  expect(marks.every((mark) => /^a key below "app\/" was (written|deleted) at/.test(mark))).toBe(true);
  expect(runner().bypass('other/').count).toBe(0);
  expect(parts[1]?.bypass('').count).toBe(0);
  expect(doors[0]?.gateway.counts.get('bypass.writes')).toBe(injected.size);
}, 30_000);

test('a write of a gateway that is past its answer, and past its deletion, is told from one that is not its own', async () => {
  const tail = new Tail();
  tail.look();
  await write(1, 'PUT', '/v1/kv/app/k', 'ours');
  source.set('app/k', 'theirs');
  tail.look();
  await until(() => found().length === 1);
  await write(2, 'DELETE', '/v1/kv/app/k');
  tail.look();
  await until(() => status().waiting === 0);
  await write(1, 'PUT', '/v1/kv/app/k', 'again');
  tail.look();
  source.delete('app/k');
  tail.look();
  await until(() => status().waiting === 0);
  expect(found()).toEqual(['+app/k', '-app/k']);
});

test('a gateway that does not answer is waited for', async () => {
  const tail = new Tail();
  silent = 'b';
  await write(1, 'PUT', '/v1/kv/app/k', 'ours');
  tail.look();
  await new Promise((resolve) => setImmediate(resolve));
  expect([status().waiting, found()]).toEqual([1, []]);
  silent = undefined;
  await until(() => status().waiting === 0);
  expect(found()).toEqual([]);
});

test('a write of a gateway that is started again just then is its own', async () => {
  const tail = new Tail();
  const { store } = (doors[1] as MigratingDoor).door.machine;
  store.transact(() =>
    store.putOrigin({
      ref: 1,
      id: '0123456789abcdef0123456789abcdef' as OriginId,
      nodeId: 'gateway-id',
      seen: [],
    }),
  );
  await write(1, 'PUT', '/v1/kv/app/k', 'ours');
  await doors[1]?.part.settled();
  forgetful = 'b';
  away = 'b';
  source.set('app/past', 'theirs');
  tail.look();
  // It is looked at, while nobody can say whose it is.
  await until(() => asked > 1);
  expect([status().waiting, found()]).toEqual([2, []]);
  away = undefined;
  await until(() => status().waiting === 0);
  expect(found()).toEqual(['+app/past']);
});

test('what was there before all gateways wrote to both sides is nobody’s; nor is what other rules are about', async () => {
  const tail = new Tail();
  source.set('elsewhere', 'x');
  tail.look();
  expect(status().waiting).toBe(0);
});

test('a gateway remembers so many writes of a key, and which of them is the latest at an index', () => {
  const own = new OwnWrites(() => 0);
  own.note('k', { index: 5, deleted: false });
  own.note('k', { index: 9, deleted: true });
  own.noteTree('k', 7);
  own.noteTree('t/', 12);
  own.note('t/again', { index: 12, deleted: false });
  expect([own.latest('k', 4), own.latest('k', 6), own.latest('k', 8), own.latest('k', 99)]).toEqual([
    undefined,
    { index: 5, deleted: false },
    { index: 7, deleted: true },
    { index: 9, deleted: true },
  ]);
  expect([own.latest('t/x', 20)?.deleted, own.latest('t/again', 20)?.deleted]).toEqual([true, false]);
});
