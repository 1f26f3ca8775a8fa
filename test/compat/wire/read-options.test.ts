import { describe, expect, test } from '@jest/globals';
import { parseReadOptions, type WaitLimits } from '../../../compat/wire/read-options.ts';
import { apiRequest } from '../../support/state.ts';

function waitMs(query: string, waits?: WaitLimits): number {
  const parsed = parseReadOptions(apiRequest('GET', `/v1/kv/a?index=1${query}`), waits);
  if (!parsed.ok) throw new Error(String(parsed.error.body));
  return parsed.value.waitMs;
}

describe('how long a query blocks', () => {
  test.each([
    ['', 300_000],
    ['&wait=0s', 300_000],
    ['&wait=-1s', 300_000],
    ['&wait=10s', 10_000],
    ['&wait=1h', 600_000],
  ])('%j is as in Consul', (query, expected) => {
    expect(waitMs(query)).toBe(expected);
  });

  test('follows the configuration', () => {
    const waits = { defaultMs: 60_000, maxMs: 120_000 };
    expect([waitMs('', waits), waitMs('&wait=1h', waits)]).toEqual([60_000, 120_000]);
    expect(waitMs('', { defaultMs: 60_000, maxMs: 1000 })).toBe(1000);
  });
});
