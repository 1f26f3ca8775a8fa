import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kind } from '../../src/state/kinds.ts';
import { mirrorState, type MirrorApplied, type MirrorRecord } from '../../src/state/mirror.ts';
import { getSession } from '../../src/state/sessions.ts';
import { catalogKey } from '../../src/state/topics.ts';
import { decodeKv, encodeKv, encodeValue, type CheckValue } from '../../src/state/values.ts';
import { StateFixture } from '../support/state.ts';

const text = new TextEncoder();

function kv(key: string, stamp: number, value: string | null): MirrorRecord {
  const encoded =
    value === null ? null : encodeKv({ flags: 0n, lockIndex: 0, session: '', value: text.encode(value) });
  return { kind: Kind.kv, key, stamp, born: 1, value: encoded, ix: null };
}

function apply(
  fixture: StateFixture,
  records: readonly MirrorRecord[],
  { timeline = 0, cursors = {} }: { timeline?: number; cursors?: Record<string, string> } = {},
): MirrorApplied {
  const { outcome } = fixture.step({ kind: 'mirror-apply', source: 's', timeline, records, cursors });
  if (outcome.kind !== 'mirror') throw new Error(`unexpected ${outcome.kind}`);
  return outcome;
}

function shown(fixture: StateFixture): Record<string, string> {
  const entries = [...fixture.store.range(Kind.kv, '', undefined)]
    .filter((row) => row.value !== null)
    .map((row) => [row.key, new TextDecoder().decode(decodeKv(row.value as Uint8Array).value)]);
  return Object.fromEntries(entries) as Record<string, string>;
}

const node = { id: '', node: 'Web-1', address: '10.0.0.1', taggedAddresses: null, meta: null };

function nodeRecord(stamp: number, alive = true): MirrorRecord {
  const key = catalogKey('Web-1');
  const value = alive ? encodeValue(node) : null;
  return { kind: Kind.node, key, stamp, born: 1, value, ix: null, ...(alive ? {} : { name: 'Web-1' }) };
}

function checkRecord(stamp: number, status: string | null): MirrorRecord {
  const check: CheckValue = {
    node: 'Web-1',
    checkId: 'alive',
    name: 'alive',
    status: status ?? '',
    notes: '',
    output: '',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
  const key = catalogKey('Web-1', 'alive');
  const value = status === null ? null : encodeValue(check);
  return { kind: Kind.check, key, stamp, born: 1, value, ix: null };
}

describe('applying what a source decided', () => {
  test('the greatest version of each key stands, in whatever order and however often records come', () => {
    const records = fc
      .uniqueArray(
        fc.record({ key: fc.constantFrom('a', 'b', 'c'), stamp: fc.integer({ min: 1, max: 20 }) }),
        { selector: ({ key, stamp }) => `${key}/${stamp}`, maxLength: 20 },
      )
      .map((all) => all.map(({ key, stamp }) => kv(key, stamp, stamp % 3 === 0 ? null : `v${stamp}`)));
    fc.assert(
      fc.property(records, fc.infiniteStream(fc.nat()), fc.nat(3), (all, chance, repeats) => {
        const expected: Record<string, string> = {};
        for (const key of ['a', 'b', 'c']) {
          const last = all.filter((record) => record.key === key).toSorted((x, y) => y.stamp - x.stamp)[0];
          if (last?.value) expected[key] = `v${last.stamp}`;
        }
        const fixture = new StateFixture();
        const shuffled = all
          .flatMap((record) => Array.from({ length: 1 + repeats }, () => record))
          .map((record) => ({ record, at: chance.next().value as number }))
          .toSorted((x, y) => x.at - y.at)
          .map(({ record }) => record);
        for (const record of shuffled) apply(fixture, [record]);
        expect(shown(fixture)).toEqual(expected);
      }),
    );
  });

  test('a second run of the same batch changes nothing and wakes nobody', () => {
    const fixture = new StateFixture();
    const batch = [kv('a', 5, '1'), kv('b', 6, null), nodeRecord(7)];
    expect(apply(fixture, batch)).toMatchObject({ applied: 3, unchanged: 0, older: 0 });
    const { outcome, touched } = fixture.step({
      kind: 'mirror-apply',
      source: 's',
      timeline: 0,
      records: batch,
      cursors: {},
    });
    expect(outcome).toMatchObject({ applied: 0, unchanged: 3, older: 0 });
    expect(touched.size).toBe(0);
  });

  test('what was written here is kept, and so is a lock that is held here', () => {
    const fixture = new StateFixture();
    apply(fixture, [kv('a', 5, 'source'), nodeRecord(5)]);
    const id = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';
    fixture.step({
      kind: 'session-create',
      session: {
        id,
        name: '',
        node: 'Web-1',
        lockDelayNs: 0,
        behavior: 'delete',
        ttl: '',
        nodeChecks: [],
        serviceChecks: null,
      },
    });
    fixture.step({
      kind: 'kv-put',
      key: 'a',
      flags: 0n,
      value: text.encode('local'),
      mode: { kind: 'acquire', session: id },
    });
    const outcome = apply(fixture, [kv('a', 9, null), kv('b', 9, 'new')]);
    expect(outcome).toMatchObject({ applied: 1, conflicts: [{ key: 'a', held: { term: 1 } }] });
    expect(shown(fixture)).toEqual({ a: 'local', b: 'new' });
    expect(decodeKv(fixture.store.get(Kind.kv, 'a')?.value as Uint8Array).session).toBe(id);
  });

  test('the same value at a newer version is noted, and counts as unchanged', () => {
    const fixture = new StateFixture();
    apply(fixture, [kv('a', 5, '1')]);
    expect(apply(fixture, [kv('a', 8, '1')])).toMatchObject({ applied: 0, unchanged: 1 });
    expect(fixture.store.get(Kind.kv, 'a')?.stamp).toBe(8);
    expect(apply(fixture, [kv('a', 7, '2')])).toMatchObject({ older: 1 });
  });

  test('a timeline that is over is refused with what it brings, a new one wins over any stamp', () => {
    const fixture = new StateFixture();
    apply(fixture, [kv('a', 50, 'old')], { timeline: 1, cursors: { root: '1', leaf: '2' } });
    apply(fixture, [kv('a', 3, 'restored')], { timeline: 2, cursors: { root: '9' } });
    expect(shown(fixture)).toEqual({ a: 'restored' });
    const { outcome } = fixture.step({
      kind: 'mirror-apply',
      source: 's',
      timeline: 1,
      records: [kv('b', 60, 'late')],
      cursors: {},
    });
    expect(outcome).toEqual({
      kind: 'refused',
      status: 409,
      message: 'timeline 1 of source "s" is over: 2 is the current one',
    });
    expect(shown(fixture)).toEqual({ a: 'restored' });
    expect(mirrorState(fixture.store.get(Kind.mirror, 's')?.value ?? null, 's')).toEqual({
      source: 's',
      timeline: 2,
      cursors: { root: '9', leaf: '2' },
    });
  });

  test('a session here ends when a mirrored check of its node turns critical or goes', () => {
    for (const status of ['critical', null]) {
      const fixture = new StateFixture();
      apply(fixture, [nodeRecord(1), checkRecord(2, 'passing')]);
      const id = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';
      fixture.step({
        kind: 'session-create',
        session: {
          id,
          name: '',
          node: 'web-1',
          lockDelayNs: 0,
          behavior: 'release',
          ttl: '',
          nodeChecks: ['alive'],
          serviceChecks: null,
        },
      });
      expect(getSession(fixture.store, id)).toBeDefined();
      apply(fixture, [checkRecord(3, status)]);
      expect(getSession(fixture.store, id)).toBeUndefined();
    }
  });

  test('a node stays while it has an entry that was registered here', () => {
    const fixture = new StateFixture();
    apply(fixture, [nodeRecord(1)]);
    fixture.step({
      kind: 'catalog-register',
      node,
      skipNodeUpdate: true,
      service: {
        node: 'Web-1',
        id: 'own',
        service: 'own',
        tags: [],
        address: '',
        taggedAddresses: null,
        port: 0,
        meta: null,
        weights: { passing: 1, warning: 1 },
        enableTagOverride: false,
        extra: '',
      },
      checks: [],
    });
    expect(apply(fixture, [nodeRecord(9, false)]).conflicts).toHaveLength(1);
    expect(fixture.store.get(Kind.node, 'web-1')?.value).not.toBeNull();
    fixture.step({ kind: 'catalog-deregister', node: 'Web-1', serviceId: 'own', checkId: '' });
    expect(apply(fixture, [nodeRecord(9, false)]).applied).toBe(1);
    expect(fixture.store.get(Kind.node, 'web-1')?.value).toBeNull();
  });

  test('the end of an old spelling of a name does not delete the entry under its new one', () => {
    const fixture = new StateFixture();
    apply(fixture, [nodeRecord(1)]);
    const gone: MirrorRecord = { ...nodeRecord(9, false), name: 'WEB-1' };
    expect(apply(fixture, [gone])).toMatchObject({ applied: 0, older: 1 });
    expect(fixture.store.get(Kind.node, 'web-1')?.value).not.toBeNull();
  });
});
