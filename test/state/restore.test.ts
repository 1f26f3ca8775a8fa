import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kind } from '../../src/state/kinds.ts';
import { kvEntry } from '../../src/state/kv.ts';
import type { Restored } from '../../src/state/restore.ts';
import { getSession } from '../../src/state/sessions.ts';
import type { NodeValue, ServiceValue } from '../../src/state/values.ts';
import { StateFixture } from '../support/state.ts';

const text = new TextEncoder();

function put(fixture: StateFixture, key: string, value: string): void {
  fixture.step({ kind: 'kv-put', key, flags: 7n, value: text.encode(value), mode: { kind: 'plain' } });
}

function remove(fixture: StateFixture, key: string): void {
  fixture.step({ kind: 'kv-delete', key });
}

function register(fixture: StateFixture, name: string, service?: string): void {
  const node: NodeValue = { id: '', node: name, address: '10.0.0.1', taggedAddresses: null, meta: null };
  const value: ServiceValue = {
    node: name,
    id: service ?? '',
    service: service ?? '',
    tags: [],
    address: '',
    taggedAddresses: null,
    port: 0,
    meta: null,
    weights: { passing: 1, warning: 1 },
    enableTagOverride: false,
    extra: '',
  };
  fixture.step({
    kind: 'catalog-register',
    node,
    skipNodeUpdate: false,
    ...(service === undefined ? {} : { service: value }),
    checks: [],
  });
}

function lock(fixture: StateFixture, id: string, node: string, key: string): void {
  fixture.step({
    kind: 'session-create',
    session: {
      id,
      name: '',
      node,
      lockDelayNs: 0,
      behavior: 'release',
      ttl: '',
      nodeChecks: [],
      serviceChecks: null,
    },
  });
  fixture.step({
    kind: 'kv-put',
    key,
    flags: 0n,
    value: text.encode('locked'),
    mode: { kind: 'acquire', session: id },
  });
}

function restore(fixture: StateFixture, archive: StateFixture, archiveNode = 'gateway'): Restored {
  const { outcome } = fixture.step({
    kind: 'restore',
    archive: archive.store,
    ownNode: 'gateway',
    archiveNode,
  });
  if (outcome.kind !== 'restored') throw new Error(`unexpected ${outcome.kind}`);
  return outcome;
}

function keys(fixture: StateFixture): Record<string, string> {
  const entries = [...fixture.store.range(Kind.kv, '', undefined)].flatMap((row) => {
    const entry = kvEntry(row);
    return entry === undefined
      ? []
      : [[entry.key, `${new TextDecoder().decode(entry.value)} ${entry.session}`] as const];
  });
  return Object.fromEntries(entries);
}

const nodes = (fixture: StateFixture): readonly string[] =>
  [...fixture.store.range(Kind.node, '', undefined)].flatMap((row) => (row.value === null ? [] : [row.key]));

describe('restoring an archive', () => {
  test('afterwards the keys are those of the archive; what was equal keeps its index, what was not gets a higher one', () => {
    const writes = fc.array(
      fc.tuple(fc.constantFrom('a', 'b', 'b/c', 'd', 'é', '😀'), fc.option(fc.constantFrom('1', '2'))),
      { maxLength: 15 },
    );
    fc.assert(
      fc.property(writes, writes, (archived, present) => {
        const [archive, fixture] = [archived, present].map((list) => {
          const made = new StateFixture();
          for (const [key, value] of list) {
            if (value === null) remove(made, key);
            else put(made, key, value);
          }
          return made;
        }) as [StateFixture, StateFixture];
        const before = new Map([...fixture.store.range(Kind.kv, '', undefined)].map((row) => [row.key, row]));
        const tableIndex = fixture.store.tableIndex(Kind.kv);
        const shown = keys(fixture);
        restore(fixture, archive);
        expect(keys(fixture)).toEqual(keys(archive));
        for (const row of fixture.store.range(Kind.kv, '', undefined)) {
          const held = before.get(row.key);
          const same = shown[row.key] === keys(archive)[row.key];
          const rose = row.modifyIndex > Math.max(tableIndex, held?.modifyIndex ?? 0);
          expect(same ? row.modifyIndex === held?.modifyIndex : rose).toBe(true);
        }
        const again = restore(fixture, archive);
        expect(again).toMatchObject({ written: 0, deleted: 0 });
      }),
    );
  });

  test('the own node stays as it is, the node of a gateway that is gone does not come back', () => {
    const archive = new StateFixture();
    for (const name of ['gateway', 'old-gateway', 'web-1']) register(archive, name, 'archived');
    const fixture = new StateFixture();
    register(fixture, 'gateway', 'present');
    register(fixture, 'web-2', 'present');
    restore(fixture, archive, 'old-gateway');
    expect(nodes(fixture)).toEqual(['gateway', 'web-1']);
    const services = [...fixture.store.range(Kind.service, '', undefined)];
    const live = services.flatMap((row) => (row.value === null ? [] : [row.key]));
    expect(live).toEqual(['gateway\u0001present', 'web-1\u0001archived']);
  });

  test('locks come back with their sessions, and are free where the session cannot come back', () => {
    const archive = new StateFixture();
    register(archive, 'old-gateway');
    register(archive, 'web-1');
    const [gone, kept] = ['1', '2'].map((digit) => `${digit.repeat(8)}-1111-1111-1111-111111111111`) as [
      string,
      string,
    ];
    lock(archive, gone, 'old-gateway', 'a');
    lock(archive, kept, 'web-1', 'b');
    const fixture = new StateFixture();
    register(fixture, 'gateway');
    restore(fixture, archive, 'old-gateway');
    expect(keys(fixture)).toEqual({ a: 'locked ', b: `locked ${kept}` });
    expect(getSession(fixture.store, gone)).toBeUndefined();
    expect(getSession(fixture.store, kept)).toBeDefined();
  });

  test('zones stay: the gateway owns what it owned', () => {
    const archive = new StateFixture();
    const fixture = new StateFixture();
    put(archive, 'a', '1');
    restore(fixture, archive);
    put(fixture, 'b', '2');
    expect(keys(fixture)).toEqual({ a: '1 ', b: '2 ' });
  });

  test('what was mirrored keeps its version, so that mirroring goes on', () => {
    const archive = new StateFixture();
    const value = (word: string): Uint8Array => text.encode(word);
    archive.step({
      kind: 'mirror-apply',
      source: 's',
      timeline: 3,
      records: [{ kind: Kind.kv, key: 'a', stamp: 41, born: 40, value: value('raw'), ix: null }],
      cursors: { root: '41' },
    });
    const fixture = new StateFixture();
    restore(fixture, archive);
    expect(fixture.store.get(Kind.kv, 'a')).toMatchObject({ term: 0, timeline: 3, stamp: 41 });
    const { outcome } = fixture.step({
      kind: 'mirror-apply',
      source: 's',
      timeline: 3,
      records: [{ kind: Kind.kv, key: 'a', stamp: 42, born: 40, value: value('next'), ix: null }],
      cursors: {},
    });
    expect(outcome).toMatchObject({ applied: 1, conflicts: [] });
  });

  test('watchers of what changed are woken, others are not', () => {
    const archive = new StateFixture();
    put(archive, 'same', '1');
    put(archive, 'new', '1');
    const fixture = new StateFixture();
    put(fixture, 'same', '1');
    put(fixture, 'gone', '1');
    const { touched } = fixture.step({
      kind: 'restore',
      archive: archive.store,
      ownNode: 'gateway',
      archiveNode: 'gateway',
    });
    expect([...touched].filter((topic) => topic.startsWith('k/')).toSorted()).toEqual(['k/gone', 'k/new']);
  });
});
