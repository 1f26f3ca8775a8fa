import { describe, expect, test } from '@jest/globals';
import fc, { type Arbitrary } from 'fast-check';
import type { OriginId } from '../../src/crdt/dot.ts';
import { replicationMessage, type ReplicationMessage } from '../../src/replication/messages.ts';
import { bodyBytes, chunked, packetBytes, streamChunkBytes } from '../../src/replication/sizes.ts';
import { fromBytes, MalformedError, toBytes } from '../../src/wire/schema.ts';

const hex = (digits: number): Arbitrary<string> =>
  fc
    .array(fc.nat(15), { minLength: digits, maxLength: digits })
    .map((ns) => ns.map((n) => n.toString(16)).join(''));
const origin = hex(32) as Arbitrary<OriginId>;
const by = fc.uuid();
const seq = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const id = fc.integer({ min: 0, max: 0xffff_ffff });
const uint16 = fc.nat(0xffff);
const key = fc.string({ unit: 'grapheme', maxLength: 20 });
const value = fc.option(fc.uint8Array({ maxLength: 40 }));
const range = fc.tuple(fc.nat(1e9), fc.nat(1e9)).map(([from, length]) => ({ from, to: from + length }));
const ranges = fc.array(range, { maxLength: 4 });
const cursor = fc.record({ kind: uint16, key });
const record = fc.record({
  kind: uint16,
  key,
  term: seq,
  timeline: seq,
  stamp: seq,
  value,
  born: seq,
  ix: fc.option(key),
});
const stateRow = fc
  .tuple(record, fc.nat(9), seq)
  .map(([row, at, n]) => ({ ...row, at, seq: n, beside: n % 128 }));
const body = fc.record({ seq, records: fc.array(record, { maxLength: 3 }) });
const bodies = fc.array(body, { maxLength: 3 });
const context = fc.array(fc.record({ origin, ranges }), { maxLength: 3 });
const originSeen = fc.record({ origin, nodeId: by, seen: ranges });

/** One of every kind: a kind that is added does not compile until it is here. */
const kinds: {
  [K in ReplicationMessage['kind']]: Arbitrary<Omit<Extract<ReplicationMessage, { kind: K }>, 'kind'>>;
} = {
  dots: fc.record({ tag: uint16, lead: fc.boolean(), origin, nodeId: fc.option(by), dots: bodies, context }),
  ack: fc.record({ by: id, tags: fc.array(uint16, { maxLength: 9 }) }),
  want: fc.record({ by, origin, ranges, safeStampS: id }),
  heads: fc.record({
    by,
    token: fc.record({ life: uint16, atMs: seq }),
    echo: fc.option(fc.record({ life: uint16, atMs: seq, heldMs: seq })),
    claims: fc.array(fc.record({ region: id, digest: id, ageMs: seq, stampS: id, seenLagS: id }), {
      maxLength: 3,
    }),
    heads: fc.array(fc.record({ origin, head: seq, stampS: id, seenLagS: id, ageMs: seq }), { maxLength: 3 }),
  }),
  'sync-open': fc.record({ id, by, digests: fc.uint8Array({ maxLength: 256 }) }),
  'sync-same': fc.record({ id }),
  'sync-busy': fc.record({ id, retryMs: id }),
  'sync-vector': fc.record({
    id,
    by,
    collectedBelow: seq,
    seenStampS: id,
    buckets: fc.array(fc.nat(63), { maxLength: 9 }),
    seen: fc.array(originSeen, { maxLength: 3 }),
  }),
  'sync-pull': fc.record({ id, by, items: fc.array(fc.record({ origin, ranges }), { maxLength: 3 }) }),
  'sync-page': fc.record({
    id,
    whole: fc.boolean(),
    groups: fc.array(fc.record({ origin, nodeId: by, superseded: ranges, dots: bodies }), { maxLength: 2 }),
    context,
  }),
  'sync-done': fc.record({ by }),
  'sync-hint': fc.record({ by, digest: id, root: by }),
  'state-pull': fc.record({ id, by, from: cursor }),
  'state-page': fc.record({
    id,
    from: cursor,
    to: fc.option(cursor),
    collectedBelow: seq,
    origins: fc.array(fc.record({ origin, nodeId: by }), { maxLength: 3 }),
    rows: fc.array(stateRow, { maxLength: 3 }),
    aside: fc.array(stateRow, { maxLength: 2 }),
  }),
  'audit-ask': fc.record({
    ...{ id, by, from: cursor, to: fc.option(cursor), rows: id, digest: id },
    origins: fc.array(origin, { maxLength: 3 }),
  }),
  'audit-rows': fc.record({
    id,
    by,
    origins: fc.array(originSeen, { maxLength: 2 }),
    rows: fc.array(
      fc.record({
        ...{ kind: uint16, key, at: fc.nat(99), seq, term: seq, timeline: seq, stamp: seq, hash: id },
        live: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
  }),
  'audit-same': fc.record({ id }),
  'audit-hint': fc.record({ by, from: cursor }),
  'log-ask': fc.record({ by, origin, head: seq, stamp: seq }),
  'log-tell': fc.record({ by, origin, head: seq, forked: fc.boolean() }),
};

/** Whether bytes are a message, or are refused as is right. */
function decodes(bytes: Uint8Array): boolean {
  try {
    fromBytes(replicationMessage, bytes, 'message');
    return true;
  } catch (error) {
    return error instanceof MalformedError;
  }
}

describe('messages', () => {
  test.each(Object.entries(kinds))('%s comes out of its bytes as it went in', (kind, fields) => {
    fc.assert(
      fc.property(fields as Arbitrary<object>, (rest) => {
        const message = { kind, ...rest } as ReplicationMessage;
        expect(fromBytes(replicationMessage, toBytes(replicationMessage, message), 'message')).toEqual(
          message,
        );
      }),
      { numRuns: 40 },
    );
  });

  test('bytes that are none cost an error that is expected, and nothing else', () => {
    const some = {
      kind: 'want',
      by: '00000000-0000-4000-8000-000000000001',
      origin: 'ab'.repeat(16),
      ranges: [],
    };
    const good = toBytes(replicationMessage, some as unknown as ReplicationMessage);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255))),
        fc.nat(good.length),
        (edits, cut) => {
          const bytes = good.slice(0, cut);
          for (const [at, byte] of edits) if (at < bytes.length) bytes[at] = byte;
          expect(decodes(bytes)).toBe(true);
        },
      ),
    );
  });

  test("a change of a gateway's own log costs little more than its record", () => {
    const record20 = {
      kind: 1,
      key: 'k',
      term: 1,
      timeline: 0,
      stamp: 1.75e15,
      value: null,
      born: 1.75e15,
      ix: null,
    };
    const message = {
      ...{ kind: 'dots' as const, tag: 999, lead: false, origin: 'ab'.repeat(16) as OriginId, nodeId: null },
      dots: [{ seq: 1000, records: [record20] }],
      context: [],
    } as const;
    expect(toBytes(replicationMessage, message).length).toBeLessThanOrEqual(64);
  });
});

describe('cutting dots into messages', () => {
  const dot = fc.record({
    seq,
    records: fc.array(fc.record({ size: fc.nat(3000) }), { minLength: 0, maxLength: 4 }),
  });

  test('keeps all of them in order, within packets or chunks of a stream, and what is too large alone', () => {
    fc.assert(
      fc.property(fc.array(dot, { minLength: 1, maxLength: 60 }), (made) => {
        const dots = made.map(({ seq: n, records }) => ({
          seq: n,
          records: records.map(({ size }) => ({
            ...{ kind: 1, key: 'k', term: 1, timeline: 0, stamp: 1, born: 1, ix: null },
            value: new Uint8Array(size),
          })),
        }));
        const chunks = chunked(dots);
        expect(chunks.flatMap((chunk) => chunk.dots)).toEqual(dots);
        for (const chunk of chunks) {
          expect(chunk.bytes).toBeGreaterThanOrEqual(
            chunk.dots.reduce((sum, each) => sum + bodyBytes(each), 0),
          );
          const most = chunk.lane === 'packet' ? packetBytes : streamChunkBytes;
          expect(chunk.bytes <= most || chunk.dots.length === 1).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});
