import type { LookupAddress } from 'node:dns';
import { describe, expect, test } from '@jest/globals';
import { shareLookups, type SharedLookup } from '../../../compat/checks/shared-lookup.ts';
import { settle } from './fake-ports.ts';

type Asked = { readonly name: string; answer(error: Error | null, addresses: LookupAddress[]): void };

function rig(runningMax: number) {
  const asked: Asked[] = [];
  const shared = shareLookups((name, _options, answer) => asked.push({ name, answer }), runningMax);
  return { asked, shared };
}

function look(shared: SharedLookup, name: string, all = false): Promise<unknown> {
  return new Promise((resolve) => {
    shared(name, { all }, (error, address, family) => resolve(error ?? [address, family]));
  });
}

const address = { address: '10.0.0.1', family: 4 };

describe('shared lookups', () => {
  test('of one name at one time are one, answered in the form that each asked for', async () => {
    const { asked, shared } = rig(2);
    const both = Promise.all([look(shared, 'a'), look(shared, 'a', true)]);
    expect(asked).toHaveLength(1);
    asked[0]?.answer(null, [address]);
    expect(await both).toEqual([
      ['10.0.0.1', 4],
      [[address], undefined],
    ]);
    void look(shared, 'a');
    await settle();
    expect(asked).toHaveLength(2);
  });

  test('are few at once, and a failure makes room', async () => {
    const { asked, shared } = rig(1);
    const first = look(shared, 'a');
    const second = look(shared, 'b');
    expect(asked.map(({ name }) => name)).toEqual(['a']);
    const failure = new Error('not found');
    asked[0]?.answer(failure, []);
    expect(await first).toBe(failure);
    await settle();
    asked[1]?.answer(null, [address]);
    expect(await second).toEqual(['10.0.0.1', 4]);
  });
});
