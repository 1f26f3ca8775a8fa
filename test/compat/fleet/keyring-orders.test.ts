import { beforeEach, expect, test } from '@jest/globals';
import { runKeyring, type KeyringOrders } from '../../../compat/fleet/keyring-orders.ts';
import type { CallResult } from '../../../src/node/calls.ts';

const bytes = (value: object): Uint8Array => Buffer.from(JSON.stringify(value));
const has = (node: string) => ({ node, ok: true, keys: ['k'], primary: 'k' }) as const;

let called: string[];
let answers: Record<string, CallResult>;
let orders: KeyringOrders;

beforeEach(() => {
  called = [];
  answers = { b: { ok: true, body: bytes(has('b')) }, z: { ok: true, body: bytes(has('z')) } };
  const member = (id: string, datacenter: string, name = id) => ({ id, name, datacenter });
  orders = {
    datacenter: 'dc1',
    own: () => has('a'),
    others: (pool) =>
      pool === 'lan' ? [member('b', 'dc1')] : [member('b', 'dc1', 'b.dc1'), member('z', 'dc2', 'z.dc2')],
    call: (nodeId, _body, pool) => {
      called.push(`${pool} ${nodeId}`);
      return Promise.resolve(answers[nodeId] as CallResult);
    },
  };
});

test('every gateway is asked once, and stands in the report of each pool under its name there', async () => {
  expect(await runKeyring(orders, { kind: 'use', key: 'k' })).toEqual([
    { pool: 'lan', asked: 2, answers: [has('a'), has('b')] },
    { pool: 'wan', asked: 3, answers: [has('a.dc1'), has('b.dc1'), has('z.dc2')] },
  ]);
  expect(called).toEqual(['lan b', 'wan z']);
});

test('a list of the LAN pool asks nobody else', async () => {
  expect(await runKeyring(orders, { kind: 'list', localOnly: true })).toHaveLength(1);
  expect(called).toEqual(['lan b']);
});

test('who does not answer, or not so that it can be read, has failed', async () => {
  answers = { b: { ok: false, error: 'no answer in time' }, z: { ok: true, body: bytes({ node: 1 }) } };
  const [lan, wan] = await runKeyring(orders, { kind: 'install', key: 'k' });
  expect(lan?.answers[1]).toEqual({ node: 'b', ok: false, error: 'no answer in time' });
  expect(wan?.answers[2]).toEqual({ node: 'z.dc2', ok: false, error: 'its answer cannot be read' });
});
