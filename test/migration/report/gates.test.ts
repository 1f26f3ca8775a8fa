import { describe, expect, test } from '@jest/globals';
import { buildReport } from '../../../migration/report/build.ts';
import { evaluateGates, gatesState } from '../../../migration/report/gates.ts';
import type { Report } from '../../../migration/report/model.ts';
import { defaultThresholds, type GateLimits } from '../../../migration/report/thresholds.ts';
import { endMs, facts, syntheticEvidence } from './synthetic.ts';

const good = buildReport(syntheticEvidence(), facts());
const nowMs = endMs + 1000;

function gateOf(report: Report, name: string, limits: Partial<GateLimits> = {}) {
  const thresholds = { ...defaultThresholds, gate: { ...defaultThresholds.gate, ...limits } };
  const found = evaluateGates(report, thresholds, nowMs).find((each) => each.name === name);
  if (found === undefined) throw new Error(`no gate ${name}`);
  return found;
}

const operating = (given: Partial<NonNullable<Report['operations']>>): Report => ({
  ...good,
  operations: { ...(good.operations ?? never()), ...given },
});
const total = (given: Partial<Report['totals']>): Report => ({
  ...good,
  totals: { ...good.totals, ...given },
});
const covered = (given: Partial<Report['coverage']>): Report => ({
  ...good,
  coverage: { ...good.coverage, ...given },
});
const without = (name: 'sessions' | 'staleness' | 'operations'): Report => {
  const { [name]: _left, ...others } = good;
  return others;
};
const guarantee = (checked: number, violations: number): Report => {
  const sessions = good.sessions ?? never();
  const each = { ...sessions.monotonicReads, checked, violations };
  return { ...good, sessions: { ...sessions, monotonicReads: each } };
};
const stale = (low: number, high: number, n = 5000): Report => {
  const { low: l, high: h } = good.staleness ?? never();
  return { ...good, staleness: { low: { ...l, p99: low, n }, high: { ...h, p99: high, n } } };
};
const swept = (given: object): Report =>
  covered({ sweeps: (good.coverage.sweeps ?? []).map((sweep) => ({ ...sweep, ...given })) });
const rated = (hits: number, low: number, high: number): Report =>
  total({
    rate: { ...good.totals.rate, hits, upper95: high, interval95: [low, high], wilson95: [low, high] },
  });
const noisy = (differed: number, low: number, high: number): Report => {
  const noise = good.totals.noise ?? never();
  const rate = { ...noise.rate, wilson95: [low, high] as const, upper95: high };
  return total({ noise: { ...noise, differed, rate } });
};
const changedUnknown = operating({ changedSinceSweep: null });
const oldSweep = swept({ finishedAt: new Date(endMs - 7_200_000).toISOString() });

describe('each gate', () => {
  test.each<
    readonly [name: string, what: string, report: Report, state: string, limits?: Partial<GateLimits>]
  >([
    ['persistent', 'none', good, 'green'],
    ['persistent', 'one', total({ persistent: 1 }), 'red'],
    ['persistent', 'one that a sweep found', swept({ persistent: 1 }), 'red'],
    ['persistent', 'one, and one is allowed', total({ persistent: 1 }), 'green', { persistentMax: 1 }],
    ['persistent', 'open', total({ open: 2 }), 'unknown'],
    ['persistent', 'nothing compared', total({ compared: 0 }), 'unknown'],
    ['non-transient', 'bounded well below', rated(0, 0, 1e-6), 'green'],
    ['non-transient', 'surely above', rated(90, 2e-5, 8e-5), 'red'],
    ['non-transient', 'across the limit', rated(3, 2e-6, 2e-5), 'unknown'],
    ['noise', 'little', noisy(0, 0, 1e-4), 'green', { noiseMax: 1e-3 }],
    ['noise', 'much', noisy(900, 2e-3, 3e-3), 'red', { noiseMax: 1e-3 }],
    ['noise', 'across the limit', noisy(9, 5e-4, 3e-3), 'unknown', { noiseMax: 1e-3 }],
    ['sweep', 'lately', good, 'green'],
    ['sweep', 'lately, and keys changed since: live writes', operating({ changedSinceSweep: 9 }), 'green'],
    ['sweep', 'long ago, though nothing changed since', oldSweep, 'red'],
    ['sweep', 'long ago, and it may be so', oldSweep, 'green', { sweepAgeMsMax: 9_000_000 }],
    ['sweep', 'fewer changed than may', good, 'green', { sweepChangedMax: 0 }],
    ['sweep', 'more changed than may', operating({ changedSinceSweep: 1 }), 'red', { sweepChangedMax: 0 }],
    ['sweep', 'what changed is not known', changedUnknown, 'green'],
    ['sweep', 'what changed is not known, and asked for', changedUnknown, 'unknown', { sweepChangedMax: 0 }],
    ['sweep', 'not at all', covered({ sweeps: [] }), 'unknown'],
    ['sweep', 'cut short', swept({ failure: 'the source went away' }), 'unknown'],
    ['sweep', 'filtered by ACLs', swept({ filtered: true }), 'unknown'],
    ['sessions', 'kept', good, 'green'],
    ['sessions', 'broken once', guarantee(100_000, 1), 'red'],
    ['sessions', 'hardly checked', guarantee(20, 0), 'unknown'],
    ['sessions', 'not measured', without('sessions'), 'unknown'],
    ['staleness', 'fresh', stale(10, 12), 'green'],
    ['staleness', 'stale', stale(1500, 1500), 'red'],
    ['staleness', 'bounds across the limit', stale(10, 4000), 'unknown'],
    ['staleness', 'few reads', stale(10, 12, 10), 'unknown'],
    ['staleness', 'not measured', without('staleness'), 'unknown'],
    ['repair-queue', 'empty', good, 'green'],
    ['repair-queue', 'not empty', operating({ repairQueue: { length: 1, oldestMs: 10 } }), 'red'],
    ['repair-oldest', 'too long', operating({ repairQueue: { length: 1, oldestMs: 6000 } }), 'red'],
    ['tail-lag', 'behind', operating({ tailLagP99Ms: 5001 }), 'red'],
    ['tail-lag', 'not known', operating({ tailLagP99Ms: null }), 'unknown'],
    ['copy-trouble', 'none', good, 'green'],
    ['copy-trouble', 'some', operating({ copyTroubles: ['kv "": 1 key cannot be read'] }), 'red'],
    ['copy-trouble', 'not known', operating({ copyTroubles: null }), 'unknown'],
    ['bypass-writes', 'one', operating({ bypassWrites: 1 }), 'red'],
    ['bypass-writes', 'not known', without('operations'), 'unknown'],
    ['held-locks', 'one', operating({ heldLocks: 1 }), 'red'],
    ['held-locks', 'not known', operating({ heldLocks: null }), 'unknown'],
    ['unsupported-calls', 'some', operating({ unsupportedCalls: 3 }), 'red'],
    ['dropped', 'a tenth of the limit', total({ compared: 1e6, dropped: 100 }), 'green'],
    ['dropped', 'at the limit', total({ compared: 999_000, dropped: 1000 }), 'red'],
    ['dropped', 'nothing to drop', total({ compared: 0, dropped: 0 }), 'unknown'],
    ['window', 'a day', covered({ continuousMs: 86_400_000 }), 'green'],
    ['window', 'short of a day', covered({ continuousMs: 86_399_999 }), 'unknown'],
    ['age', 'new', good, 'green'],
    ['age', 'old', { ...good, run: { ...good.run, finishedAt: iso(nowMs - 600_000) } }, 'red'],
    ['complete', 'all told', good, 'green'],
    ['complete', 'one is silent', covered({ absent: ['gw-2'] }), 'unknown'],
    ['rehearsed', 'in this term', good, 'green'],
    ['rehearsed', 'never', operating({ rehearsals: [] }), 'red'],
    ['rehearsed', 'not known', operating({ rehearsals: null }), 'unknown'],
    ['same-term', 'all', good, 'green'],
    [
      'same-term',
      'one is behind',
      operating({ terms: [{ gateway: 'gw-1', of: 'kv', prefix: 'app/', term: 1 }] }),
      'red',
    ],
    ['same-term', 'nobody told', operating({ terms: [] }), 'unknown'],
  ])('%s: %s', (name, _what, report, state, limits = {}) => {
    const judged = gateOf(report, name, limits);
    expect(judged).toMatchObject({ state });
    if (state !== 'green') expect(`${judged.observed}${judged.why}`).not.toBe('');
  });

  test('is off where its limit is null, and off decides nothing', () => {
    const limits: Partial<GateLimits> = {
      persistentMax: null,
      nonTransientUpperMax: null,
      sweepAgeMsMax: null,
      sweepChangedMax: null,
      violationsMax: null,
      stalenessP99MsMax: null,
      repairQueueMax: null,
      tailLagP99MsMax: null,
      droppedShareMax: null,
      windowMsMin: null,
      reportAgeMsMax: null,
      rehearsed: false,
      sameTerm: false,
    };
    const names = [
      'persistent',
      'non-transient',
      'sweep',
      'sessions',
      'staleness',
      'repair-queue',
      'tail-lag',
    ];
    for (const name of [...names, 'dropped', 'window', 'age', 'rehearsed', 'same-term']) {
      expect(gateOf(total({ persistent: 1 }), name, limits).state).toBe('off');
    }
  });
});

test('one red gate makes all red, one unknown keeps them from green, and nothing at all is unknown', () => {
  const states = (report: Report) => gatesState(evaluateGates(report, defaultThresholds, nowMs));
  expect(states(good)).toBe('green');
  expect(states(operating({ heldLocks: null }))).toBe('unknown');
  expect(states(operating({ tailLagP99Ms: null, heldLocks: 1 }))).toBe('red');
  expect(gatesState([])).toBe('unknown');
});

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function never(): never {
  throw new Error('the report lacks a block');
}
