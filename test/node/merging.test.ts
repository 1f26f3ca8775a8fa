import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Dot, OriginId, ReplicatedRecord } from '../../src/crdt/dot.ts';
import { aheadUsMax } from '../../src/node/merging.ts';
import { Kind } from '../../src/state/kinds.ts';
import { topic } from '../../src/state/topics.ts';
import { decodeKv, encodeKv } from '../../src/state/values.ts';
import { converge, Gateway, originOf } from './fleet.ts';
import { bytes, kvOp, put, startUs } from './machine.ts';

function pair(): readonly [Gateway, Gateway] {
  const a = new Gateway('a').found();
  const b = new Gateway('b');
  b.pull(a);
  return [a, b];
}

function kvRecord(key: string, text: string, version: Partial<ReplicatedRecord> = {}): ReplicatedRecord {
  const value = encodeKv({ flags: 0n, lockIndex: 0, session: '', value: bytes(text) });
  return {
    ...{ kind: Kind.kv, key, term: 1, timeline: 0, stamp: startUs + 1, born: startUs + 1, ix: null, value },
    ...version,
  };
}

describe('a dot of another gateway', () => {
  test('is applied once, shows its stamp as index, and wakes who watches', () => {
    const [a, b] = pair();
    a.do(put('k', '1'));
    const [dot] = a.dotsFor(b);
    expect(b.merge(dot as Dot, a)).toBe('applied');
    expect(b.replica.takeTouched()).toEqual(new Set([topic.zones, topic.key('k')]));
    const row = b.store.get(Kind.kv, 'k');
    expect(row?.modifyIndex).toBe(row?.stamp);
    expect(b.merge(dot as Dot, a)).toBe('seen');
    expect(b.replica.takeTouched().size).toBe(0);
    expect(b.state()).toEqual(a.state());
  });

  test('that comes late gets an index above all that was shown, one for all its registers', () => {
    const [a, b] = pair();
    a.do({ kind: 'txn', ops: [kvOp('set', 'x', '1'), kvOp('set', 'y', '1')] });
    a.do(put('z', '1'));
    const [late, early] = a.dotsFor(b).toReversed();
    b.merge(early as Dot, a);
    const shown = b.replica.highestIndex;
    b.merge(late as Dot, a);
    const [x, y] = ['x', 'y'].map((key) => b.store.get(Kind.kv, key)?.modifyIndex);
    expect(x).toBe(y);
    expect(x).toBeGreaterThan(shown);
    expect(b.replica.highestIndex).toBe(x);
  });

  test('is not seen after a restart unless its rows are there, and seen when they are', () => {
    const [a, b] = pair();
    for (const key of ['p', 'q', 'r']) a.do(put(key, '1'));
    const dots = a.dotsFor(b);
    b.merge(dots[0] as Dot, a);
    b.merge(dots[2] as Dot, a);
    b.restarted();
    expect(b.replica.originLog(a.replica.origin)).toEqual({
      origin: a.replica.origin,
      nodeId: a.nodeId,
      seen: [
        { from: 1, to: 2 },
        { from: 4, to: 4 },
      ],
    });
    b.pull(a);
    expect(b.state()).toEqual(a.state());
  });

  test('keeps the head of the own log, also where it overwrote the last row that carried it', () => {
    const [a, b] = pair();
    a.do({ kind: 'zone-delegate', prefix: '', toNodeId: b.nodeId });
    b.pull(a);
    b.do(put('k', '1'));
    b.do({ kind: 'zone-delegate', prefix: '', toNodeId: a.nodeId });
    a.pull(b);
    const { headSeq } = b.replica;
    a.do(put('k', '2'));
    a.do({ kind: 'kv-delete', key: 'k' });
    b.pull(a);
    expect(b.restarted().headSeq).toBe(headSeq);
  });

  test('of a kind that is not known here is kept and passed on', () => {
    const [a, b] = pair();
    const c = new Gateway('c');
    const record = { ...kvRecord('k', '1'), kind: 50, value: new Uint8Array([0xc1]) };
    expect(b.merge({ origin: a.replica.origin, seq: 9, records: [record] }, a)).toBe('applied');
    c.pull(b);
    expect(c.store.get(50 as Kind, 'k')?.value).toEqual(record.value);
    expect(c.restarted().highestIndex).toBeGreaterThanOrEqual(record.stamp);
  });

  test('from a clock a day ahead waits until the clocks agree, and does not move the clock here', () => {
    const [a, b] = pair();
    const stamp = b.nowUs + aheadUsMax + 1_000_000;
    const dot = { origin: a.replica.origin, seq: 2, records: [kvRecord('k', '1', { stamp })] };
    expect(b.merge(dot, a)).toBe('deferred');
    expect(b.replica.counts.ahead).toBe(1);
    expect(b.replica.stampNow(b.now)).toBeLessThan(stamp);
    expect(b.has(dot)).toBe(false);
    b.nowUs += 2_000_000;
    expect(b.merge(dot, a)).toBe('applied');
  });

  test('says what the clock is: no later write has a lower stamp than was told', () => {
    const [a] = pair();
    const told = a.replica.stampNow(a.now);
    a.nowUs -= 5_000_000;
    a.do(put('k', '1'));
    expect(a.store.get(Kind.kv, 'k')?.stamp).toBeGreaterThan(told);
    // But what was only told was not shown.
    expect(a.replica.highestIndex).toBe(a.store.get(Kind.kv, 'k')?.modifyIndex);
  });
});

describe('a record that breaks the rules', () => {
  test('sets its whole dot aside where it cannot be read, and stops nothing', () => {
    const [a, b] = pair();
    const { origin } = a.replica;
    const poison = kvRecord('bad', 'x', { value: new Uint8Array([0xc1]) });
    const dot = { origin, seq: 2, records: [kvRecord('fine', '1'), poison] };
    expect(b.merge(dot, a)).toBe('applied');
    expect(b.store.get(Kind.kv, 'fine')).toBeUndefined();
    expect(b.merge({ origin, seq: 3, records: [kvRecord('next', '1')] }, a)).toBe('applied');
    expect(b.text('next')).toBe('1');
    expect(b.store.setAside('quarantine', 0, 10).map(({ why, key, seq }) => [why, key, seq])).toEqual([
      ['malformed', 'bad', 2],
      ['beside-malformed', 'fine', 2],
    ]);
    expect(b.replica.counts.malformed).toBe(1);
    // And others get it from here, to judge for themselves.
    const c = new Gateway('c');
    converge([b, c]);
    expect(c.store.setAsideCount('quarantine').now).toBe(2);
    expect(c.state()).toEqual(b.state());
  });

  test('gives what came beside it free once it is overwritten, in whatever order that comes', () => {
    const [a, b] = pair();
    const { origin } = a.replica;
    const poison = kvRecord('bad', 'x', { value: new Uint8Array([0xc1]) });
    const whole = { origin, seq: 2, records: [kvRecord('fine', '1'), poison] };
    const over = { origin, seq: 3, records: [kvRecord('bad', 'ok', { stamp: startUs + 5 })] };
    const part = { ...whole, records: [kvRecord('fine', '1')] };
    const [c, d] = [new Gateway('c'), new Gateway('d')];
    for (const each of [c, d]) each.pull(a);
    for (const dot of [whole, over]) b.merge(dot, a);
    for (const dot of [over, whole]) c.merge(dot, a);
    for (const dot of [over, part]) d.merge(dot, a);
    expect(b.text('fine')).toBe('1');
    expect(c.state()).toEqual(b.state());
    expect(d.state()).toEqual(b.state());
    b.restarted();
    expect(b.store.setAside('quarantine', 0, 10)).toEqual([]);
  });

  test('of the same version with other bytes leaves the greater bytes everywhere, the other set aside', () => {
    const [a, b] = pair();
    const c = new Gateway('c');
    c.pull(a);
    const { origin } = a.replica;
    const low = { origin, seq: 2, records: [kvRecord('k', 'a')] };
    const high = { origin, seq: 3, records: [kvRecord('k', 'b')] };
    for (const dot of [low, high]) b.merge(dot, a);
    for (const dot of [high, low]) c.merge(dot, a);
    for (const each of [b, c]) {
      expect(each.text('k')).toBe('b');
      expect(each.store.setAside('quarantine', 0, 10).map(({ why, seq }) => [why, seq])).toEqual([
        ['forked', 2],
      ]);
    }
    expect(b.state()).toEqual(c.state());
  });

  test('of a gateway that does not own its zone at that term is set aside', () => {
    const [a, b] = pair();
    const stranger = new Gateway('stranger');
    const dot = { origin: stranger.replica.origin, seq: 1, records: [kvRecord('k', '1')] };
    expect(b.merge(dot, stranger)).toBe('applied');
    expect(b.store.get(Kind.kv, 'k')).toBeUndefined();
    expect(b.store.setAside('quarantine', 0, 10)).toMatchObject([{ why: 'stranger', key: 'k' }]);
    expect(a.replica.counts.strangers).toBe(0);
  });

  test.each([
    ['a kind that is never replicated', { kind: Kind.memberHealth }],
    ['a version that is no number', { stamp: Number.NaN }],
    ['a value of another form', { value: new Uint8Array([0x80]) }],
  ] as const)('is malformed with %s', (_title, fields) => {
    const [a, b] = pair();
    const dot = { origin: a.replica.origin, seq: 2, records: [{ ...kvRecord('k', '1'), ...fields }] };
    expect(b.merge(dot as Dot, a)).toBe('applied');
    expect(b.store.setAside('quarantine', 0, 10)).toMatchObject([{ why: 'malformed' }]);
  });
});

describe('reading a log', () => {
  test('answers newest first, superseded numbers without records, whole dots within the limits', () => {
    const [a] = pair();
    for (const text of ['1', '2', '3']) a.do(put('k', text));
    a.do({ kind: 'txn', ops: ['x', 'y', 'z'].map((key) => kvOp('set', key, '1')) });
    const { origin } = a.replica;
    const range = { from: 1, to: 5 };
    const shape = (dots: readonly Dot[]): unknown => dots.map(({ seq, records }) => [seq, records.length]);
    expect(shape(a.replica.read(origin, range, 100, 1e6))).toEqual([
      [5, 3],
      [4, 1],
      [3, 0],
      [2, 0],
      [1, 1],
    ]);
    expect(shape(a.replica.read(origin, range, 2, 1e6))).toEqual([
      [5, 3],
      [4, 1],
    ]);
    expect(shape(a.replica.read(origin, range, 100, 1))).toEqual([[5, 3]]);
    expect(shape(a.replica.read(origin, { from: 2, to: 3 }, 100, 1))).toEqual([
      [3, 0],
      [2, 0],
    ]);
    expect(a.replica.read('0'.repeat(32) as OriginId, range, 10, 10)).toEqual([]);
  });
});

describe('a restored backup', () => {
  test('goes on under a new origin, logs again what it wrote since, and asks for what it had written before', () => {
    const [a, b] = pair();
    a.do(put('kept', '1'));
    const head = a.replica.headSeq;
    b.pull(a);
    // What the backup does not have.
    const lost = { origin: a.replica.origin, seq: head + 1, records: [kvRecord('lost', '1')] };
    b.merge(lost, a);
    a.do({ kind: 'txn', ops: [kvOp('set', 'm', '1'), kvOp('set', 'n', '1')] });
    a.remint(head);
    expect(a.replica.origin).toBe(originOf('a', 1));
    expect(a.replica.headSeq).toBe(1);
    expect(a.restarted().headSeq).toBe(1);
    expect(a.replica.originLog(originOf('a', 0))?.seen).toEqual([{ from: 1, to: head }]);
    converge([a, b]);
    expect(a.text('lost')).toBe('1');
    expect(b.text('m')).toBe('1');
    expect(a.state()).toEqual(b.state());
    // And it still owns its zone.
    expect(a.do(put('kept', '2'))).toMatchObject({ kind: 'kv', applied: true });
    b.pull(a);
    expect(b.text('kept')).toBe('2');
  });
});

describe('any delivery', () => {
  const writes = fc.array(
    fc.record({
      at: fc.nat(2),
      keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 3 }),
      text: fc.constantFrom('1', '2', '3', ''),
      restart: fc.boolean(),
    }),
    { minLength: 1, maxLength: 25 },
  );

  test('of the same dots, reordered, doubled and in parts, ends in the same state, that of a fold of all writes', () => {
    fc.assert(
      fc.property(writes, fc.array(fc.nat(), { maxLength: 60 }), (list, choices) => {
        const gateways = ['a', 'b', 'c'].map((name) => new Gateway(name));
        const [root] = gateways as [Gateway, Gateway, Gateway];
        root.found();
        // Each owns the keys that it alone writes.
        gateways.forEach((each, i) => {
          if (i > 0) root.do({ kind: 'zone-delegate', prefix: `${i}/`, toNodeId: each.nodeId });
        });
        converge(gateways);
        const log: Dot[] = [];
        const model = new Map<string, string | undefined>();
        for (const { at, keys, text } of list) {
          const writer = gateways[at] as Gateway;
          const before = writer.replica.headSeq;
          writer.do({
            kind: 'txn',
            ops: keys.map((key) => kvOp(text === '' ? 'delete' : 'set', `${at}/${key}`, text)),
          });
          for (const key of keys) model.set(`${at}/${key}`, text === '' ? undefined : text);
          const { origin, headSeq } = writer.replica;
          if (headSeq > before)
            log.push(...writer.replica.read(origin, { from: headSeq, to: headSeq }, 9, 1e6));
        }
        // Some of them arrive, anywhere, in any order, more than once.
        choices.forEach((choice, i) => {
          const dot = log[choice % log.length];
          const to = gateways[(choice >> 8) % 3] as Gateway;
          if (dot !== undefined && dot.origin !== to.replica.origin)
            to.merge(dot, gateways.find(({ replica }) => replica.origin === dot.origin) as Gateway);
          if (list[i]?.restart === true) to.restarted();
        });
        converge(gateways);
        const expected = [...model].filter(([, text]) => text !== undefined).toSorted();
        for (const each of gateways) {
          expect(each.state()).toEqual(root.state());
          const held = [...each.store.range(Kind.kv, '', undefined)].filter((row) => row.value !== null);
          const texts = held.map((row) => new TextDecoder().decode(decodeKv(row.value as Uint8Array).value));
          expect(held.map((row, i) => [row.key, texts[i]])).toEqual(expected);
          expect(each.store.setAsideCount('quarantine').ever).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });
});
