import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type AliasedCheck, evaluateAlias } from '../../../compat/checks/alias.ts';
import { clip, TailBuffer } from '../../../compat/checks/output.ts';
import { observeResult, publishDue, startThrottle } from '../../../compat/checks/output-throttle.ts';
import { servicesDue } from '../../../compat/checks/reap.ts';
import {
  type CheckStatus,
  countResult,
  startThresholds,
  type Thresholds,
} from '../../../compat/checks/thresholds.ts';
import { beatTtl, expireTtl, startTtl } from '../../../compat/checks/ttl.ts';

const statuses = fc.constantFrom<CheckStatus>('passing', 'warning', 'critical');

function shownBy(limits: Thresholds, results: readonly CheckStatus[]): (CheckStatus | undefined)[] {
  let state = startThresholds(limits);
  return results.map((result) => {
    const counted = countResult(limits, state, result);
    state = counted.state;
    return counted.status;
  });
}

describe('thresholds', () => {
  test('follow the sequence that a real 1.8.7 shows', () => {
    const limits = { successBeforePassing: 2, failuresBeforeWarning: 0, failuresBeforeCritical: 3 };
    const [p, w, c] = ['passing', 'warning', 'critical'] as const;
    const results = [p, c, c, c, c, p, w, w, p, c, w, c, c, c, p, p];
    const no = undefined;
    const shown = [p, no, no, c, c, no, w, w, p, no, no, no, no, c, no, p];
    expect(shownBy(limits, results)).toEqual(shown);
  });

  test('a warning comes before critical when asked for', () => {
    const limits = { successBeforePassing: 0, failuresBeforeWarning: 2, failuresBeforeCritical: 4 };
    const results: CheckStatus[] = ['passing', 'critical', 'critical', 'critical', 'critical'];
    expect(shownBy(limits, results)).toEqual(['passing', undefined, 'warning', 'warning', 'critical']);
  });

  test('without limits every result shows', () => {
    const limits = { successBeforePassing: 0, failuresBeforeWarning: 0, failuresBeforeCritical: 0 };
    fc.assert(
      fc.property(fc.array(statuses), (results) => {
        expect(shownBy(limits, results)).toEqual(results);
      }),
    );
  });
});

describe('a TTL check', () => {
  test('runs out once and remembers what was last said', () => {
    const silent = startTtl(0, 1000);
    expect(expireTtl(silent, 999)).toBeUndefined();
    expect(expireTtl(silent, 1000)).toMatchObject({ status: 'critical', output: 'TTL expired' });
    const { state } = beatTtl(500, 1000, 'hello', 100);
    const expired = expireTtl(state, 1500);
    expect(expired?.output).toBe('TTL expired (last output before timeout follows): hello');
    expect(expired && expireTtl(expired.state, 99_999)).toBeUndefined();
  });

  test('cuts long outputs at bytes with a note', () => {
    expect(beatTtl(0, 1, '0123456789abcdef', 10).output).toBe('0123456789 ... (captured 10 of 16 bytes)');
    expect(beatTtl(0, 1, 'abcüüüüüüüüüüüüü', 10).output).toBe('abcüüü\ufffd ... (captured 10 of 29 bytes)');
  });
});

function check(fields: Partial<AliasedCheck>): AliasedCheck {
  const plain = { checkId: 'c', serviceId: 's', isAlias: false, name: 'c', output: '' };
  return { ...plain, status: 'passing', ...fields };
}

describe('an alias', () => {
  const target = { node: '', serviceId: 's' };
  const look = (checks: readonly AliasedCheck[], exists = true) =>
    evaluateAlias('me', target, { exists, checks });

  test('takes the worst status of the service and its node', () => {
    const warning = check({ checkId: 'w', name: 'w', status: 'warning', output: 'hm' });
    const nodeBad = check({ checkId: 'n', serviceId: '', name: 'node', status: 'critical', output: 'bad' });
    expect(look([check({}), warning])).toEqual({
      status: 'warning',
      output: 'Aliased check "w" failing: hm',
    });
    expect(look([warning, nodeBad])).toEqual({
      status: 'critical',
      output: 'Aliased check "node" failing: bad',
    });
    expect(look([check({})])).toEqual({ status: 'passing', output: 'All checks passing.' });
  });

  test('passes over other services, itself, and other aliases of the node', () => {
    const passedOver = [
      check({ serviceId: 'other', status: 'critical' }),
      check({ checkId: 'me', serviceId: '', isAlias: true, status: 'critical' }),
      check({ checkId: 'alias', serviceId: '', isAlias: true, status: 'critical' }),
    ];
    expect(look(passedOver)).toEqual({ status: 'passing', output: 'No checks found.' });
  });

  test('is critical when its service is not there, even beside good node checks', () => {
    expect(look([check({ serviceId: '' })], false)).toEqual({
      status: 'critical',
      output: 'Service s could not be found on node ',
    });
  });
});

describe('the output throttle', () => {
  const intervalMs = 1000;
  const ok = { status: 'passing', output: 'a' } as const;

  test('a status change is published at once and takes the waiting output along', () => {
    const kept = observeResult(startThrottle(ok), { status: 'passing', output: 'b' }, 0, 0, intervalMs);
    expect(kept).toMatchObject({ verdict: 'keep', state: { dueMs: 500 } });
    const changed = observeResult(kept.state, { status: 'critical', output: 'c' }, 1, 0, intervalMs);
    expect(changed).toMatchObject({ verdict: 'publish', state: { dueMs: undefined } });
  });

  test('outputs alone are published at most once per half interval, whatever they do', () => {
    const outputs = fc.constantFrom('a', 'b', 'c', 'd');
    const steps = fc.array(
      fc.tuple(outputs, fc.integer({ min: 0, max: 400 }), fc.double({ min: 0, max: 0.999, noNaN: true })),
    );
    fc.assert(
      fc.property(steps, (all) => {
        let state = startThrottle(ok);
        let nowMs = 0;
        const publishedMs: number[] = [];
        for (const [output, waitMs, chance] of all) {
          nowMs += waitMs;
          const due = publishDue(state, nowMs);
          if (due !== undefined) publishedMs.push(nowMs);
          state = due ?? state;
          const { verdict, state: next } = observeResult(
            state,
            { status: 'passing', output },
            nowMs,
            chance,
            intervalMs,
          );
          expect(verdict).not.toBe('publish');
          state = next;
          // Nothing is lost: what is known and not published has its time.
          expect(state.dueMs !== undefined).toBe(state.local.output !== state.published.output);
        }
        const gapsMs = publishedMs.slice(1).map((atMs, i) => atMs - (publishedMs[i] ?? 0));
        expect(gapsMs.filter((gapMs) => gapMs < intervalMs / 2)).toEqual([]);
      }),
    );
  });

  test('an interval of 0 publishes everything', () => {
    expect(observeResult(startThrottle(ok), { status: 'passing', output: 'b' }, 0, 0, 0).verdict).toBe(
      'publish',
    );
    expect(observeResult(startThrottle(ok), ok, 0, 0, 0).verdict).toBe('same');
  });
});

describe('reaping', () => {
  const entry = { checkId: 'c', serviceId: 's', deregisterCriticalServiceAfterNs: 120e9, criticalSinceMs: 0 };

  test('a service is due after its time, once, and never before a minute', () => {
    expect(servicesDue(120_000, [entry])).toEqual([]);
    expect(servicesDue(120_001, [entry, { ...entry, checkId: 'd' }])).toEqual([
      { serviceId: 's', checkId: 'c', criticalMs: 120_001 },
    ]);
    const hasty = { ...entry, deregisterCriticalServiceAfterNs: 1e9 };
    expect(servicesDue(60_000, [hasty])).toEqual([]);
    expect(servicesDue(60_001, [hasty])).toHaveLength(1);
  });

  test.each([
    { ...entry, serviceId: '' },
    { ...entry, deregisterCriticalServiceAfterNs: 0 },
    { ...entry, criticalSinceMs: undefined },
  ])('%j is never due', (never) => {
    expect(servicesDue(1e12, [never])).toEqual([]);
  });
});

describe('bounded output', () => {
  test('a tail buffer keeps the last bytes of any stream', () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 30 }));
    fc.assert(
      fc.property(chunks, fc.integer({ min: 1, max: 20 }), (all, max) => {
        const tail = new TailBuffer(max);
        const whole = Buffer.concat(all.map((chunk) => Buffer.from(chunk.map((byte) => byte % 128))));
        for (const chunk of all) tail.push(chunk.map((byte) => byte % 128));
        expect(tail.text()).toBe(whole.subarray(Math.max(0, whole.length - max)).toString());
        expect(tail.textWithNote().startsWith('Captured')).toBe(whole.length > max);
      }),
    );
  });

  test('clipping counts bytes', () => {
    expect(clip('abc', 3)).toBe('abc');
    expect(clip('üü', 3)).toBe('ü\ufffd');
  });
});
