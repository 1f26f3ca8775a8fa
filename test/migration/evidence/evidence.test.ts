import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { distinctCount } from '../../../migration/evidence/distinct.ts';
import type { Evidence } from '../../../migration/evidence/evidence.ts';
import { emptySnapshot, mergeSnapshots } from '../../../migration/evidence/merge.ts';
import { quantile } from '../../../migration/evidence/histogram.ts';
import {
  differenceKinds,
  evidenceSchema,
  type EvidencePart,
  type EvidenceSnapshot,
} from '../../../migration/evidence/snapshot.ts';
import { cellsOf, clustersOf, scopesOf, sumCells, sumScopes } from '../../../migration/evidence/sums.ts';
import { cellKey, evidenceOf, keyId } from './support.ts';

type Step = { readonly gateway: number; readonly what: number; readonly key: number; readonly ms: number };

const steps = fc.array(
  fc.record({
    gateway: fc.integer({ min: 0, max: 2 }),
    what: fc.integer({ min: 0, max: 6 }),
    key: fc.integer({ min: 0, max: 9 }),
    ms: fc.integer({ min: 0, max: 100_000 }),
  }),
  { maxLength: 120 },
);

function apply(evidence: Evidence, { what, key, ms }: Step): void {
  const at = cellKey(key % 2 === 0 ? 'a/' : 'b/');
  const kind = differenceKinds[key] ?? 'value';
  if (what === 0) evidence.matched(at, ms);
  else if (what <= 2) {
    evidence.opened(at, ms);
    evidence.settled(at, kind, what === 1 ? 'transient' : 'persistent', keyId(key), ms, ms);
  } else if (what === 3) evidence.sampled(at, keyId(key));
  else if (what === 4) evidence.stale(at, ms, ms * 2, ms);
  else if (what === 5) evidence.visible(at, 'all', ms, ms + 5);
  else evidence.guarantee(at, 'monotonicReads', key === 0, ms);
}

function snapshotOf(...parts: readonly EvidencePart[]): EvidenceSnapshot {
  return parts
    .map((part): EvidenceSnapshot => ({
      schema: evidenceSchema,
      parts: [part],
      absent: [part.gateway.name === 'a' ? 'b' : 'a'],
    }))
    .reduce(mergeSnapshots, emptySnapshot());
}

/** Sums of floating-point numbers are only nearly the same in another order. */
function rounded(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'number' ? Math.round(each * 1e3) / 1e3 : each,
    ),
  );
}

describe('gathering evidence', () => {
  test('is associative, commutative and idempotent, whichever parts of whichever epochs meet', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }), (list, takenOf) => {
        const evidences = [evidenceOf('a'), evidenceOf('b'), evidenceOf('a', 2)];
        const taken: EvidencePart[] = [];
        for (const step of list) {
          const evidence = evidences[step.gateway] as Evidence;
          apply(evidence, step);
          taken.push(evidence.part(step.ms));
        }
        const of = (at: number): EvidenceSnapshot =>
          snapshotOf(...taken.filter((_, index) => index % 3 === takenOf[at]));
        const [a, b, c] = [of(0), of(1), of(2)];
        expect(mergeSnapshots(a, mergeSnapshots(b, c))).toEqual(mergeSnapshots(mergeSnapshots(a, b), c));
        expect(mergeSnapshots(a, b)).toEqual(mergeSnapshots(b, a));
        expect(mergeSnapshots(a, a)).toEqual(a);
        expect(mergeSnapshots(a, emptySnapshot())).toEqual(a);
      }),
    );
  });

  test('of several gateways adds up to what one would have counted that saw everything', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const apart = ['a', 'b', 'c'].map((name) => evidenceOf(name));
        const alone = evidenceOf('all');
        for (const step of list) {
          apply(apart[step.gateway] as Evidence, step);
          apply(alone, step);
        }
        const sumOf = (evidences: readonly Evidence[]): unknown => {
          const snapshot = snapshotOf(...evidences.map((evidence) => evidence.part(0)));
          const cells = sumCells(cellsOf(snapshot).map(({ cell }) => cell));
          return rounded({
            cells: { ...cells, clusters: cells.clusters.toSorted((x, y) => (x.key < y.key ? -1 : 1)) },
            scopes: sumScopes(scopesOf(snapshot).map(({ scope }) => scope)),
          });
        };
        expect(sumOf(apart)).toEqual(sumOf([alone]));
      }),
    );
  });

  test('survives JSON, and a restart goes on where it was written down', () => {
    const first = evidenceOf('a');
    first.matched(cellKey(), 5);
    first.opened(cellKey(), 5);
    const written = JSON.parse(JSON.stringify(first.part(10))) as EvidencePart;
    const second = evidenceOf('a', 2, written);
    second.matched(cellKey(), 20);
    const part = second.part(30);
    expect(part).toMatchObject({ sinceMs: 1_000_000, restarts: 1, epoch: 2 });
    expect(part.cells[0]?.counts).toMatchObject({ compared: 3, matched: 2, open: 0, indeterminate: 1 });
    expect(mergeSnapshots(snapshotOf(part), snapshotOf(written))).toEqual(snapshotOf(part));
    expect(part.notes.join()).toContain('started again');
  });
});

describe('what is counted', () => {
  test('stays within bounds, and sums hold all the same', () => {
    const evidence = evidenceOf('a');
    for (let at = 0; at < 20_000; at += 1) {
      const key = cellKey(`p${at % 900}/`);
      evidence.opened(key, at * 10_000);
      evidence.settled(key, 'value', 'persistent', keyId(at), at, at * 10_000);
      evidence.guarantee(key, 'monotonicReads', true, at * 10_000);
      evidence.mark({ atMs: at, what: 'w', detail: '' });
    }
    for (let at = 0; at < 100; at += 1) evidence.note(`note ${at}`);
    const part = evidence.part(0);
    expect(part.cells.length).toBeLessThanOrEqual(513);
    expect(part.scopes.length).toBeLessThanOrEqual(257);
    expect(part.timeline.length).toBeLessThanOrEqual(4_096);
    expect(part.notes.length).toBeLessThanOrEqual(64);
    expect(part.marks).toHaveLength(512);
    expect(part.notes.join()).toContain('(others)');
    const sum = sumCells(part.cells);
    expect(sum.counts.persistent).toBe(20_000);
    expect(clustersOf(sum, 'persistent').reduce((all, { hits }) => all + hits, 0)).toBe(20_000);
    expect(sumScopes(part.scopes).sessions.monotonicReads.violations).toBe(20_000);
  });

  test('a timeline of hours is counted in wider spans when old, and loses nothing', () => {
    const evidence = evidenceOf('a');
    for (let at = 0; at < 10_000; at += 1) evidence.matched(cellKey(), at * 10_000);
    const { timeline } = evidence.part(0);
    expect(timeline.length).toBeLessThanOrEqual(4_096);
    expect(timeline.reduce((all, { compared }) => all + compared, 0)).toBe(10_000);
    expect(timeline[0]?.widthMs).toBeGreaterThan(10_000);
    expect(timeline.at(-1)?.widthMs).toBe(10_000);
  });

  test('distinct keys are known within a quarter, exactly when few', () => {
    const evidence = evidenceOf('a');
    for (let at = 0; at < 100; at += 1) evidence.sampled(cellKey('few/'), keyId(at % 50));
    for (let at = 0; at < 20_000; at += 1) evidence.sampled(cellKey('many/'), keyId(at % 5_000));
    const [few, many] = evidence.part(0).scopes.map((scope) => distinctCount(scope.coverage.keys));
    expect(few).toBe(50);
    expect(Math.abs((many ?? 0) - 5_000)).toBeLessThan(1_250);
  });

  test('a write that is seen between two bounds is fresh above them, stale below, undecided between', () => {
    const evidence = evidenceOf('a');
    evidence.visible(cellKey(), 'own', 15, 60);
    evidence.visible(cellKey(), 'own', 70_000, Infinity);
    const bins = evidence.part(0).scopes[0]?.visibility.own ?? [];
    const bin = (tMs: number): object | undefined => bins.find((each) => each.tMs === tMs);
    expect(bin(10)).toEqual({ tMs: 10, fresh: 0, stale: 2, unknown: 0 });
    expect(bin(20)).toEqual({ tMs: 20, fresh: 0, stale: 1, unknown: 1 });
    expect(bin(100)).toEqual({ tMs: 100, fresh: 1, stale: 1, unknown: 0 });
  });

  test('of samples the longest open and the newest of each kind are kept, each key once', () => {
    const evidence = evidenceOf('a');
    for (let at = 0; at < 100; at += 1) {
      evidence.sample({
        ...cellKey(),
        atMs: at,
        outcome: 'persistent',
        kind: 'value',
        key: { prefix: 'app/', hmac: `k${at % 50}` },
        source: null,
        here: null,
        fields: [],
        looks: 1,
        openMs: (at * 37) % 101,
      });
    }
    const { samples } = evidence.part(0);
    expect(samples.length).toBeLessThanOrEqual(12);
    expect(samples[0]?.atMs).toBe(99);
    expect(new Set(samples.map(({ key }) => key.hmac)).size).toBe(samples.length);
    expect(Math.max(...samples.map(({ openMs }) => openMs))).toBeGreaterThan(90);
  });

  test('staleness of writes that went past is counted at both of its bounds', () => {
    const evidence = evidenceOf('a');
    evidence.stale(cellKey(), 0, 0, 1);
    evidence.stale(cellKey(), 100, 900, 1);
    const staleness = evidence.part(0).scopes[0]?.staleness;
    expect(staleness).toMatchObject({ exact: 1, bounded: 1 });
    expect(quantile(staleness?.low ?? { count: 0, sum: 0, max: 0, zero: 0, buckets: [] }, 1)).toBeCloseTo(
      100,
      -1,
    );
    expect(staleness?.high.max).toBe(900);
  });
});
