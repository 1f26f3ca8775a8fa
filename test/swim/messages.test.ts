import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { coordinateOrigin } from '../../src/swim/coordinates.ts';
import { memberFacts } from '../../src/swim/member.ts';
import {
  crossesClusters,
  gossipBytes,
  pingBytes,
  swimMessage,
  updateBytes,
} from '../../src/swim/messages.ts';
import { MalformedError, fromBytes, toBytes } from '../../src/wire/schema.ts';
import { anyMessage, anyUpdate } from './arbitrary.ts';
import { ack, gossip, ping, say } from './one-member.ts';
import { factsOf, idOf } from './pool.ts';

function read(bytes: Uint8Array): unknown {
  try {
    fromBytes(swimMessage, bytes, 'message');
    return 'message';
  } catch (error) {
    return error instanceof MalformedError ? 'malformed' : error;
  }
}

describe('on the wire', () => {
  test('every message comes as it went', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(fromBytes(swimMessage, toBytes(swimMessage, message), 'message')).toEqual(message);
      }),
    );
  });

  test('an update, and a message around updates, is never larger than it is taken for', () => {
    fc.assert(
      fc.property(anyUpdate, (update) => {
        const empty = toBytes(swimMessage, gossip(2)).length;
        expect(toBytes(swimMessage, gossip(2, update)).length - empty).toBeLessThanOrEqual(
          updateBytes(update),
        );
        expect(empty).toBeLessThanOrEqual(gossipBytes);
      }),
    );
    const far = { ...coordinateOrigin, vec: Array.from({ length: 8 }, () => -123.456) };
    const many = Array.from({ length: 20 }, (_, n) => say(n, 'suspect', 2 ** 40, { by: idOf(n) }));
    const bare = many.reduce((sum, update) => sum + updateBytes(update), 0);
    for (const message of [
      { ...ping(2, many), seq: 2 ** 32 - 1, coordinate: far },
      { ...ack(2, 2 ** 32 - 1, { run: 2 ** 32 - 1, updates: many, coordinate: far }) },
    ] as const) {
      expect(toBytes(swimMessage, message as never).length - bare).toBeLessThanOrEqual(pingBytes);
    }
  });

  test('whatever the bytes are, they are a message or malformed', () => {
    const damaged = fc
      .tuple(anyMessage, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }), fc.nat(400))
      .map(([message, changes, length]) => {
        const bytes = toBytes(swimMessage, message).slice(0, length + 1);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        expect(['message', 'malformed']).toContain(read(bytes));
      }),
    );
  });

  test('only those by which a gateway joins come from outside the cluster', () => {
    expect(crossesClusters(ping(2))).toBe(false);
    expect(crossesClusters(gossip(2))).toBe(false);
    expect(crossesClusters({ kind: 'refusal', seq: 1, cluster: 'x', reason: 'cluster', text: '' })).toBe(
      true,
    );
  });

  test('facts of a usual member take less than 400 bytes', () => {
    const tags = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`tag${i}`, `value ${i}`]));
    expect(toBytes(memberFacts, factsOf(1, { tags })).length).toBeLessThan(400);
  });
});
