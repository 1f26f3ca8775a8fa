import { describe, expect, test } from '@jest/globals';
import { gatesOf, notGreen, type GateFacts } from '../../../../migration/live/control/gates.ts';
import type { TailProgress } from '../../../../migration/live/ports.ts';

const tail: TailProgress = {
  ...{ backfilled: true, items: 10, bytes: 100, itemsTotal: 10, itemsPerSecond: 1, lagMs: 20, etaMs: 0 },
  ...{ throttledBy: [], breaker: undefined, verifiedThroughIndex: 5, problem: undefined },
};

const allGreen: GateFacts = {
  ...{ of: 'kv', prefix: 'app/', from: 'local-reads', to: 'cutover', step: 5 },
  gateways: [
    { name: 'g1', alive: true, without: false, step: 5, older: 0, problem: undefined },
    { name: 'g2', alive: true, without: false, step: 5, older: 0, problem: undefined },
  ],
  ...{ sourceProblem: undefined, tail, paused: undefined, lagMsMax: 1000 },
  repairs: { keys: 0, oldestMs: 0 },
  locked: { count: 0, some: [] },
  rehearsal: { atMs: 1, ok: true, current: true },
  reverse: undefined,
  indexes: { source: 100, lowestHere: 200 },
  evidence: [{ name: 'mismatches', state: 'green', detail: 'none' }],
};

const red = (more: Partial<GateFacts>): readonly string[] => notGreen(gatesOf({ ...allGreen, ...more }));

describe('the gates of a cutover', () => {
  test('are all green where nothing is in the way', () => {
    expect(red({})).toEqual([]);
  });

  test.each<[string, string, Partial<GateFacts>]>([
    [
      'a gateway is away',
      'gateways-act-on-this-step',
      { gateways: [{ ...allGreen.gateways[0]!, alive: false }] },
    ],
    [
      'a gateway is behind',
      'gateways-act-on-this-step',
      { gateways: [{ ...allGreen.gateways[0]!, step: 4 }] },
    ],
    [
      'old requests go on',
      'gateways-act-on-this-step',
      { gateways: [{ ...allGreen.gateways[0]!, older: 2 }] },
    ],
    ['the source does not answer', 'source-reachable', { sourceProblem: 'ECONNREFUSED' }],
    ['not all is copied', 'mirror-complete', { tail: { ...tail, backfilled: false } }],
    ['copying lags', 'mirror-lag', { tail: { ...tail, lagMs: 5000 } }],
    ['the lag is not known', 'mirror-lag', { tail: { ...tail, lagMs: Infinity } }],
    ['the breaker asks', 'mass-delete-breaker', { tail: { ...tail, breaker: '900 deletes?' } }],
    ['copying is paused', 'copying-runs', { paused: 'lunch' }],
    ['keys wait for repair', 'repair-queue-empty', { repairs: { keys: 1, oldestMs: 10 } }],
    ['a lock is held', 'no-held-locks', { locked: { count: 1, some: ['app/lock'] } }],
    ['indexes would fall', 'indexes-grow', { indexes: { source: 300, lowestHere: 200 } }],
    ['the index is not known', 'indexes-grow', { indexes: { source: 0, lowestHere: 200 } }],
    ['nothing was rehearsed', 'rollback-rehearsed', { rehearsal: undefined }],
    ['a rehearsal failed', 'rollback-rehearsed', { rehearsal: { atMs: 1, ok: false, current: true } }],
    ['a rehearsal is old', 'rollback-rehearsed', { rehearsal: { atMs: 1, ok: true, current: false } }],
    ['there is no report', 'report', { evidence: [] }],
  ])('one is not green where %s', (_, name, more) => {
    expect(red(more)).toEqual([name]);
  });

  test('a gateway that is left out is named, and not waited for', () => {
    const gateways = [allGreen.gateways[0]!, { ...allGreen.gateways[1]!, alive: false, without: true }];
    const [gate] = gatesOf({ ...allGreen, gateways });
    expect(gate).toMatchObject({ state: 'green', detail: '1, without g2' });
  });
});

describe('the gates of the way back', () => {
  const back = { from: 'cutover', to: 'local-reads' } as const;
  const reverse = { pending: 0, lagMs: 0, quarantined: 0, lost: false, problem: undefined };

  test('need copying back to work, and nobody to have written past the gateways', () => {
    expect(red({ ...back, reverse })).toEqual([]);
    expect(red({ ...back, reverse: { ...reverse, lost: true } })).toEqual(['way-back']);
    expect(red({ ...back, reverse: { ...reverse, quarantined: 3 } })).toEqual([
      'no-writes-past-the-gateways',
    ]);
    expect(red({ ...back, reverse: undefined })).toEqual(['way-back']);
  });

  test('none but the gateways stand between any phase of the source and passthrough', () => {
    for (const from of ['mirror', 'dual', 'shadow', 'local-reads'] as const) {
      const facts = { ...allGreen, from, to: 'passthrough' as const };
      expect(gatesOf(facts).map(({ name }) => name)).toEqual(['gateways-act-on-this-step']);
    }
  });
});
