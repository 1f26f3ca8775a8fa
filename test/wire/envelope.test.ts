import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  bytesInBody,
  headerBytes,
  messagesPerEnvelopeMax,
  packBody,
  parseHeader,
  sessionOf,
  unpackBody,
  writeHeader,
} from '../../src/wire/envelope.ts';
import { FrameReader } from '../../src/wire/frame-reader.ts';
import { ReplayWindow } from '../../src/wire/replay-window.ts';
import { mutate, mutations } from './mutations.ts';

const cluster = fc.oneof(
  fc.constant(''),
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 16, maxLength: 16 })
    .filter((id) => !/^0+$/.test(id)),
);

function headerOf(id: string, session: Uint8Array, counter: number): Uint8Array {
  const raw = new Uint8Array(headerBytes + 16);
  writeHeader(raw, 1, 9, id, session, counter);
  return raw;
}

describe('an envelope', () => {
  test('is read as it was written', () => {
    const counters = fc.oneof(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 2 ** 31, max: 2 ** 48 - 1 }),
    );
    fc.assert(
      fc.property(
        cluster,
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        counters,
        (id, session, counter) => {
          expect(parseHeader(headerOf(id, session, counter))).toEqual({
            flags: 1,
            keyId: 9,
            cluster: id,
            session: sessionOf(session),
            counter,
          });
        },
      ),
    );
  });

  test('of any bytes is a header or a problem by name', () => {
    const honest = headerOf('00112233aabbccdd', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 77);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          mutations.map((how) => mutate(honest, honest.toReversed(), how)),
        ),
        (raw) => {
          const parsed = parseHeader(raw);
          const problem = typeof parsed === 'string' ? parsed : undefined;
          const counter = typeof parsed === 'string' ? 1 : parsed.counter;
          expect([undefined, 'truncated', 'garbage', 'unknown-version']).toContain(problem);
          expect(counter).toBeGreaterThan(0);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('has a counter that does not run over, and a cluster id that is one', () => {
    expect(() => headerOf('', new Uint8Array(8), 2 ** 48)).toThrow(RangeError);
    expect(() => headerOf('', new Uint8Array(8), 0)).toThrow(RangeError);
    expect(() => headerOf('xyz', new Uint8Array(8), 1)).toThrow(RangeError);
  });
});

describe('a body', () => {
  test('gives back its messages, and is as long as was said', () => {
    const message = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.constantFrom(127, 128, 300, 16_383, 16_384).map((length) => new Uint8Array(length).fill(length)),
    );
    fc.assert(
      fc.property(fc.array(message), (messages) => {
        const body = packBody(messages);
        expect(body).toHaveLength(messages.reduce((sum, { length }) => sum + bytesInBody(length), 0));
        const unpacked = unpackBody(body) ?? [];
        expect(unpacked.map((each) => Buffer.from(each).toString('hex'))).toEqual(
          messages.map((each) => Buffer.from(each).toString('hex')),
        );
      }),
    );
  });

  test('that was mutated gives messages within it, or none', () => {
    const honest = packBody([Uint8Array.of(1, 2, 3), new Uint8Array(300), Uint8Array.of(4)]);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          mutations.map((how) => mutate(honest, honest, how)),
        ),
        (raw) => {
          const messages = unpackBody(raw) ?? [];
          expect(messages.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(raw.length);
          for (const message of messages) expect(message.buffer).toBe(raw.buffer);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['a message of no bytes', Uint8Array.of(0)],
    ['a length that goes on', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 1)],
    ['a length that is cut off', Uint8Array.of(0x80)],
    ['more than there is', Uint8Array.of(2, 1)],
    ['too many messages', new Uint8Array(2 * (messagesPerEnvelopeMax + 1)).fill(1)],
  ])('is malformed with %s', (_, body) => {
    expect(unpackBody(body)).toBeUndefined();
  });
});

describe('a replay window', () => {
  test('admits each counter once, in any order, and none that is older than its bits', () => {
    const steps = fc.array(
      fc.oneof(fc.integer({ min: -1100, max: 40 }), fc.integer({ min: -3, max: 3000 })),
      {
        maxLength: 200,
      },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let highest = 0;
        for (const step of all) {
          const counter = Math.max(1, highest + step);
          expect(window.has(counter)).toBe(seen.has(counter) || counter <= highest - 1024);
          window.add(counter);
          if (counter > highest - 1024) seen.add(counter);
          highest = Math.max(highest, counter);
        }
      }),
    );
  });

  test('knows numbers beyond 32 bits', () => {
    const window = new ReplayWindow();
    const far = 2 ** 48 - 5;
    window.add(far);
    expect([far - 1, far, far + 1].map((counter) => window.has(counter))).toEqual([false, true, false]);
    window.add(far - 1);
    expect(window.has(far - 1)).toBe(true);
  });
});

describe('a frame reader', () => {
  const framed = (frame: Uint8Array): Uint8Array => {
    const raw = new Uint8Array(4 + frame.length);
    new DataView(raw.buffer).setUint32(0, frame.length);
    raw.set(frame, 4);
    return raw;
  };

  test('finds the same frames however the stream is cut', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (all, cuts) => {
        const stream = Uint8Array.from(all.flatMap((frame) => [...framed(frame)]));
        const reader = new FrameReader(50);
        const found: Uint8Array[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const length = cuts[i % cuts.length] as number;
          reader.push(stream.subarray(at, at + length));
          at += length;
          for (let frame = reader.next(); frame !== undefined; frame = reader.next())
            found.push(frame as Uint8Array);
        }
        expect(found.map((frame) => [...frame])).toEqual(all.map((frame) => [...frame]));
        expect(reader.heldBytes).toBe(0);
      }),
    );
  });

  test('refuses a frame by its length, before anything of it has come', () => {
    const reader = new FrameReader(10);
    reader.push(Uint8Array.of(0, 0, 0, 11));
    expect(reader.next()).toBe('oversized');
    const huge = new FrameReader(10);
    huge.push(Uint8Array.of(0xff, 0xff));
    expect(huge.next()).toBeUndefined();
    huge.push(Uint8Array.of(0xff, 0xff));
    expect(huge.next()).toBe('oversized');
  });
});
