import { describe, expect, test } from '@jest/globals';
import { Sweep, type CompareOptions, type SweepResult } from '../../../migration/compare/sweep.ts';
import { FakeConsul } from '../fake-consul.ts';
import { jumpingClock } from '../support.ts';

function sweep(
  source: FakeConsul,
  target: FakeConsul,
  options: Partial<CompareOptions> = {},
): Promise<SweepResult> {
  return new Sweep({
    source,
    target,
    targetSelf: { datacenter: 'dc1', nodeName: 'gateway', version: '', aclsEnabled: false },
    prefixes: [''],
    kv: true,
    catalog: false,
    recheckDelaysMs: [1000, 5000, 30_000],
    reveal: false,
    clock: jumpingClock(),
    ...options,
  }).run();
}

function pair(keys: number): [FakeConsul, FakeConsul] {
  const sides: [FakeConsul, FakeConsul] = [new FakeConsul(), new FakeConsul()];
  for (const side of sides) for (let at = 0; at < keys; at += 1) side.set(`k/${at}`, `v${at}`);
  return sides;
}

describe('a sweep', () => {
  test('a difference that clears before the last look is transient and does not count', async () => {
    const [source, target] = pair(10);
    source.set('late', 'new');
    target.beforeRead = (what, key) => {
      if (what === 'get' && key === 'late' && target.gets >= 1) target.set('late', 'new');
    };
    const { tally } = await sweep(source, target);
    expect(tally.total()).toMatchObject({ compared: 11, matched: 10, transient: 1, persistent: 0 });
    expect(tally.longestOpenMs).toBe(5000);
  });

  test('a source that changes between its two reads is no mismatch', async () => {
    const [source, target] = pair(10);
    // The target already has what the source is about to get.
    target.set('k/3', 'next');
    let lists = 0;
    source.beforeRead = (what) => {
      if (what === 'list' && ++lists === 2) source.set('k/3', 'next');
    };
    const { tally } = await sweep(source, target);
    expect(tally.total()).toMatchObject({ compared: 10, matched: 10, transient: 0, persistent: 0 });
  });

  test('a key that changes at every read ends as indeterminate, never as a mismatch', async () => {
    const [source, target] = pair(3);
    let turn = 0;
    source.beforeRead = () => source.set('k/1', `turn ${++turn}`);
    const { tally } = await sweep(source, target);
    expect(tally.total()).toMatchObject({ indeterminate: 1, persistent: 0, matched: 2 });
  });

  test('differences beyond the cap are counted without another look', async () => {
    const [source, target] = pair(2);
    for (let at = 0; at < 30; at += 1) source.set(`new/${at}`, 'v');
    const { tally } = await sweep(source, target, { suspectsMax: 5 });
    expect(tally.total()).toMatchObject({ compared: 32, persistent: 5, unchecked: 25 });
  });

  test('many suspects of one region are read again as a region, not key by key', async () => {
    const [source, target] = pair(2);
    for (let at = 0; at < 100; at += 1) source.set(`new/${at}`, 'v');
    const { tally } = await sweep(source, target);
    expect(tally.total()).toMatchObject({ persistent: 100 });
    expect(source.gets).toBe(0);
  });

  test('an answer shortened by ACLs is remembered', async () => {
    const [source, target] = pair(2);
    source.meta = { filtered: true };
    expect((await sweep(source, target)).filtered).toEqual({ source: true, target: false });
  });

  test('a key that the source holds in a session counts as session, not as missing', async () => {
    const [source, target] = pair(1);
    source.set('lock', 'v', { session: 's' });
    const { tally } = await sweep(source, target, { recheckDelaysMs: [] });
    expect(tally.total().byKind).toMatchObject({ session: 1, missing: 0 });
  });

  test('the nodes of all gateways of the target are left out, not the one that is asked alone', async () => {
    const [source, target] = pair(1);
    // The fake's service `consul` runs on s1: that is another gateway of the fleet.
    target.nodeNames = ['gateway', 'S1', 'web-1'];
    const { ignored } = await sweep(source, target, { catalog: true });
    expect(ignored).toEqual({ 'target-own-node': 2 });
  });
});
