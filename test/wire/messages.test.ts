import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { OriginId } from '../../src/crdt/dot.ts';
import { encode } from '../../src/kernel/codec.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/node/message.ts';
import type { RpcMessage } from '../../src/node/rpc-messages.ts';
import type { ReplicationMessage } from '../../src/replication/messages.ts';
import type { MemberFacts } from '../../src/swim/member.ts';
import type { SwimMessage } from '../../src/swim/messages.ts';
import { MalformedError } from '../../src/wire/schema.ts';
import { mutate, mutations } from './mutations.ts';

const [me, you] = ['11111111-2222-3333-4444-555555555555', 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'];
const origin = '0123456789abcdef0123456789abcdef' as OriginId;

const facts: MemberFacts = {
  name: 'edge-1',
  id: me,
  endpoint: { address: '192.0.2.7', port: 8301 },
  datacenter: 'dc1',
  region: 'eu',
  origin,
  tags: { role: 'consul', build: '1.8.7:grapevine' },
  protocolMin: 1,
  protocolMax: 1,
};
const update = {
  id: me,
  incarnation: 7,
  state: 'suspect',
  factsIncarnation: 3,
  facts,
  by: you,
  ageMs: 1500,
} as const;
const coordinate = { vec: [0.5, 0, 0, 0, 0, 0, 0, -0.25], error: 1.5, adjustment: 0, height: 0.125 };
const records = [
  {
    kind: 1,
    key: 'config/a',
    term: 1,
    timeline: 0,
    stamp: 1_700_000_000_000_000,
    value: Uint8Array.of(1, 2, 3),
    born: 1_700_000_000_000_000,
    ix: 'session',
  },
  {
    kind: 4,
    key: 'gone',
    term: 1,
    timeline: 0,
    stamp: 1_700_000_000_000_001,
    value: null,
    born: 0,
    ix: null,
  },
];

const swim: readonly SwimMessage[] = [
  { kind: 'ping', seq: 1, sender: me, target: you, stream: false, coordinate, updates: [update] },
  { kind: 'nack', seq: 1, sender: me },
  { kind: 'gossip', sender: me, updates: [{ ...update, facts: null, by: null, state: 'pruned' }] },
  {
    kind: 'summary',
    sender: me,
    from: '',
    to: you,
    entries: [{ id: me, incarnation: 1, state: 'left', factsIncarnation: 1 }],
  },
  { kind: 'refusal', seq: 9, cluster: '0123456789abcdef', reason: 'name', text: 'that name is taken' },
];
const replication: readonly ReplicationMessage[] = [
  {
    kind: 'dots',
    tag: 5,
    lead: true,
    origin,
    nodeId: me,
    context: [{ origin, ranges: [{ from: 1, to: 13 }] }],
    dots: [
      { seq: 12, records },
      { seq: 11, records: [] },
    ],
  },
  { kind: 'ack', by: 77, tags: [1, 2, 3] },
  { kind: 'want', by: you, origin, ranges: [{ from: 3, to: 9 }], safeStampS: 1_700_000_000 },
  {
    kind: 'heads',
    by: me,
    token: { life: 5, atMs: 123_456 },
    echo: { life: 6, atMs: 1, heldMs: 20 },
    claims: [{ region: 0xffff_ffff, digest: 7, ageMs: 1200, stampS: 1_700_000_000, seenLagS: 2 }],
    heads: [{ origin, head: 2 ** 40, stampS: 1_700_000_000, seenLagS: 1, ageMs: 250 }],
  },
  {
    kind: 'state-page',
    id: 1,
    from: { kind: 0, key: '' },
    to: { kind: 2, key: 'x' },
    collectedBelow: 0,
    origins: [{ origin, nodeId: me }],
    rows: records.map((record) => ({ ...record, at: 0, seq: 4, beside: 1 })),
    aside: [],
  },
];
const rpc: readonly RpcMessage[] = [
  {
    kind: 'forward',
    id: 1,
    from: me,
    after: { origin, seq: 3 },
    waitMs: 10_000,
    command: {
      kind: 'kv-put',
      key: 'a/b',
      flags: 2n ** 64n - 1n,
      value: Uint8Array.of(9),
      mode: { kind: 'cas', index: 5n },
    },
  },
  {
    kind: 'forward-reply',
    id: 1,
    outcome: { kind: 'refused', status: 409, message: 'no' },
    position: { origin, seq: 4 },
  },
  { kind: 'confirm', id: 2, from: you, zones: ['', 'config/'] },
  {
    kind: 'confirm-reply',
    id: 2,
    refused: { zone: '', reason: 'delegated' },
    terms: [],
    position: { origin, seq: 4 },
  },
  { kind: 'call', id: 3, from: me, service: 'keyring', body: Uint8Array.of(1) },
  { kind: 'call-reply', id: 3, error: null, body: new Uint8Array(0) },
];

const samples: readonly Message[] = [
  ...swim.map((body): Message => ({ family: 'swim', body })),
  ...replication.map((body): Message => ({ family: 'replication', body })),
  ...rpc.map((body): Message => ({ family: 'rpc', body })),
];
const sample = fc.constantFrom(...samples);

/** What was read is written, and then read, the same; undefined where it was said to be malformed. Else it fails. */
function settled(raw: Uint8Array): readonly [Uint8Array, Uint8Array] | undefined {
  let read: Message;
  try {
    read = decodeMessage(raw);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
  const written = encodeMessage(read);
  return [written, encodeMessage(decodeMessage(written))];
}

describe('messages between gateways', () => {
  test.each(samples.map((message) => [message.body.kind, message] as const))(
    '%s is read as it was written',
    (_, message) => {
      expect(decodeMessage(encodeMessage(message))).toEqual(message);
    },
  );

  test('that were mutated are read as something that can be written, or are malformed', () => {
    let read = 0;
    fc.assert(
      fc.property(sample, sample, mutations, (one, other, how) => {
        const both = settled(mutate(encodeMessage(one), encodeMessage(other), how));
        if (both !== undefined) read++;
        expect(both?.[1]).toEqual(both?.[0]);
      }),
      { numRuns: 1500 },
    );
    // Else it would say nothing of what is read.
    expect(read).toBeGreaterThan(50);
  });

  test('of any known number with any fields are read as something that can be written, or are malformed', () => {
    const field = fc.oneof(
      fc.nat(9),
      fc.boolean(),
      fc.string({ maxLength: 3 }),
      fc.constantFrom(null, [], [[]], {}, 2n ** 63n, 1.5, '192.0.2.1'),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(fc.nat(3), { maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.nat(100), fc.array(field, { maxLength: 8 }), (number, fields) => {
        const both = settled(encode([number, fields]));
        expect(both?.[1]).toEqual(both?.[0]);
      }),
      { numRuns: 1000 },
    );
  });
});
