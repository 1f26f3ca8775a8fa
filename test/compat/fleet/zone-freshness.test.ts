import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ReadScope } from '../../../compat/fleet/port.ts';
import { zonesInScope } from '../../../compat/fleet/scopes.ts';
import { neverProvedMs, ZoneFreshness } from '../../../compat/fleet/zone-freshness.ts';
import { externalNodes } from '../../../src/state/zones.ts';
import type { ZoneValue } from '../../../src/state/values.ts';

const zone = (prefix: string, ownerId: string): ZoneValue => ({ prefix, ownerId, term: 1 });

let zones: readonly ZoneValue[];
let live: readonly string[];
let proofs: Record<string, number>;
let away: Set<string>;
let nowMs: number;
let looks: number;
let freshness: ZoneFreshness;

beforeEach(() => {
  zones = [zone('', 'a'), zone('eu/', 'b'), zone('eu/west/', 'c')];
  live = ['a', 'b', 'c', 'd'];
  proofs = { b: 9_960, c: 9_800, d: 9_000 };
  away = new Set();
  nowMs = 10_000;
  looks = 0;
  freshness = new ZoneFreshness({
    nodeId: 'a',
    nowMs: () => nowMs,
    zones: () => zones,
    live: () => live,
    provedAtMs: (nodeId) => {
      looks += 1;
      return proofs[nodeId];
    },
    reachable: (nodeId) => !away.has(nodeId),
  });
});

const key = (text: string): ReadScope => ({ kind: 'key', key: text });
const prefix = (text: string): ReadScope => ({ kind: 'prefix', prefix: text });
const catalog: ReadScope = { kind: 'catalog' };

test.each<[ReadScope, readonly string[]]>([
  [key('x'), ['']],
  [key('eu/west/1'), ['eu/west/']],
  [prefix(''), ['', 'eu/', 'eu/west/']],
  [prefix('eu'), ['', 'eu/', 'eu/west/']],
  [prefix('eu/'), ['eu/', 'eu/west/']],
  [prefix('eu/west/a'), ['eu/west/']],
  [catalog, ['']],
])('%j spans the zones %j', (scope, spanned) => {
  expect(zonesInScope(zones, scope).map((each) => each.prefix)).toEqual(spanned);
});

test('the zone of external nodes is no zone of keys, and that of the catalog', () => {
  zones = [...zones, zone(externalNodes, 'd')];
  expect(zonesInScope(zones, prefix('')).map(({ ownerId }) => ownerId)).toEqual(['a', 'b', 'c']);
  expect(zonesInScope(zones, catalog).map(({ ownerId }) => ownerId)).toEqual(['d']);
});

describe('freshness', () => {
  test.each<[ReadScope, number, boolean]>([
    [key('x'), 0, false],
    [key('eu/1'), 40, true],
    [key('eu/west/1'), 200, true],
    [prefix(''), 200, true],
    [prefix('eu/'), 200, true],
    [prefix('us/'), 0, false],
    [catalog, 1000, true],
    [{ kind: 'sessions' }, 1000, true],
  ])('of %j is that of the oldest proof, %i ms', (scope, lastContactMs, remote) => {
    expect(freshness.of(scope)).toEqual({
      knownLeader: true,
      lastContactMs,
      ...(remote ? { remote: true } : {}),
    });
  });

  test('knows no leader while one of the owners cannot be reached', () => {
    away.add('c');
    expect(freshness.of(prefix('eu/'))).toMatchObject({ knownLeader: false, lastContactMs: 200 });
    expect(freshness.of(key('eu/1')).knownLeader).toBe(true);
    expect(freshness.of(catalog).knownLeader).toBe(true);
  });

  test('that was never proved is a year', () => {
    delete proofs['c'];
    expect(freshness.of(key('eu/west/1')).lastContactMs).toBe(neverProvedMs);
    expect(freshness.of(catalog).lastContactMs).toBe(neverProvedMs);
  });

  test('of a datacenter that nobody founded knows no leader', () => {
    zones = [];
    expect(freshness.of(key('x'))).toEqual({ knownLeader: false, lastContactMs: 0 });
  });

  test('of a fleet of one is looked up nowhere', () => {
    zones = [zone('', 'a'), zone('eu/', 'a')];
    live = ['a'];
    for (const scope of [key('eu/1'), prefix(''), catalog]) {
      expect(freshness.of(scope)).toEqual({ knownLeader: true, lastContactMs: 0 });
    }
    expect(looks).toBe(0);
  });

  test('of many gateways is not worked out for every read, and never said to be younger than it is', () => {
    expect(freshness.of(catalog).lastContactMs).toBe(1000);
    const before = looks;
    nowMs += 50;
    expect(freshness.of(catalog).lastContactMs).toBe(1050);
    expect(looks).toBe(before);
    proofs = { b: 10_050, c: 10_050, d: 10_050 };
    expect(freshness.of(catalog).lastContactMs).toBe(1050);
    nowMs += 50;
    expect(freshness.of(catalog).lastContactMs).toBe(50);
  });

  test('is looked at anew at once when members or zones change', () => {
    freshness.of(catalog);
    live = ['a', 'b', 'c'];
    expect(freshness.of(catalog).lastContactMs).toBe(200);
    zones = [zone('', 'a')];
    expect(freshness.of(prefix('eu/'))).toEqual({ knownLeader: true, lastContactMs: 0 });
  });
});
