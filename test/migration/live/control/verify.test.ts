import { expect, test } from '@jest/globals';
import { renderVerification } from '../../../../bin/cli/migrate-live-text.ts';
import { catalogSide } from '../../../../migration/compare/entries.ts';
import { Tally } from '../../../../migration/compare/tally.ts';
import type { SweepResult } from '../../../../migration/compare/sweep.ts';
import { isEqual } from '../../../../migration/live/control/verification.ts';
import { verify, type SweepRule } from '../../../../migration/live/control/verify.ts';
import type { ConsulReader } from '../../../../migration/source/consul-reader.ts';
import {
  FakePhases,
  LiveGateway,
  partContext,
  ruleOf,
  sourceSettings,
} from '../../../support/live-gateway.ts';

const none = { node: 0, service: 0, check: 0, kv: 0 };

/** A comparison of the catalog that found one entry of each kind of difference. */
const sweep =
  (failure = ''): SweepRule =>
  (of, prefix, onDone) => {
    const tally = new Tally();
    const side = (port: number) =>
      catalogSide(
        'service',
        'n/web',
        { createIndex: 1, modifyIndex: 1, raw: { ID: 'web', Port: port } },
        false,
      );
    const suspect = { openSinceMs: 0, dueMs: 0, round: 0, looks: 2, resets: 0 };
    tally.matched('node', 'n');
    tally.settled(
      'transient',
      'check',
      'n/c',
      { ...suspect, kind: 'status', source: undefined, target: undefined },
      1,
    );
    tally.settled(
      'persistent',
      'service',
      'n/web',
      { ...suspect, kind: 'value', source: side(1), target: side(2) },
      1,
    );
    tally.settled(
      'persistent',
      'node',
      'm',
      { ...suspect, kind: 'missing', source: side(1), target: undefined },
      1,
    );
    const result: SweepResult = {
      ...{ tally, seen: { source: none, target: none }, bytes: { source: 0, target: 0 } },
      ...{ filtered: { source: false, target: false }, ignored: {}, leaves: 2 },
    };
    if (failure === '') onDone?.(result);
    return Promise.resolve({
      ...{
        of,
        prefix,
        startedMs: 1000,
        finishedMs: 1500,
        throughIndex: 7,
        compared: 4,
        matched: 1,
        transient: 1,
      },
      ...{ persistent: 2, indeterminate: 0, unchecked: 0, kinds: {}, longestOpenMs: 1, filtered: false },
      ...{ ignored: {}, failure },
    });
  };

const context = partContext(
  new LiveGateway(),
  new FakePhases(ruleOf('catalog', '', 'local-reads')),
  sourceSettings('http://127.0.0.1:1'),
);
const reader = {} as ConsulReader;

test('the catalog is compared, with what differs by kind, by name, and by field', async () => {
  const found = await verify(context, { reader, sweep: sweep() }, { prefix: '', kind: 'catalog' });
  expect(found).toMatchObject({ of: ['catalog'], compared: 0, keys: [] });
  expect(found.catalog).toMatchObject({
    ...{ compared: 4, equal: 2, missing: 1, extra: 0, different: 1, unsettled: 0, failure: '' },
    kinds: {
      node: { compared: 2, equal: 1, missing: 1 },
      service: { compared: 1, equal: 0, different: 1 },
      check: { compared: 1, equal: 1 },
    },
    entries: ['service n/web: value (Port)', 'node m: missing'],
    tookMs: 500,
  });
  expect(isEqual(found)).toBe(false);
  expect(renderVerification(found).split('\n')).toEqual([
    '2 of 4 entries of the catalog are equal, in 500 ms',
    'nodes: missing here 1, not at the source 0, different 0',
    'services: missing here 0, not at the source 0, different 1',
    '  service n/web: value (Port)',
    '  node m: missing',
  ]);
});

test('a comparison of the catalog that ended early is not taken for equal', async () => {
  const found = await verify(context, { reader, sweep: sweep('no answer') }, { prefix: '', kind: 'catalog' });
  expect(found.catalog).toMatchObject({ compared: 0, equal: 0, failure: 'no answer' });
  expect(isEqual(found)).toBe(false);
  expect(renderVerification(found)).toContain('not to be found out: no answer');
});
