import { describe, expect, test } from '@jest/globals';
import { decode, encode } from 'dns-packet';
import fc from 'fast-check';
import { compressNames } from '../../../compat/dns/compress.ts';
import { MessageReader, withLength } from '../../../compat/dns/framing.ts';

describe('compression', () => {
  const label = fc.stringMatching(/^[a-cA-C]{1,3}$/);
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
  const record = fc.oneof(
    name.map((each) => ({ type: 'A' as const, name: each, ttl: 1, data: '10.0.0.1' })),
    fc.tuple(name, name).map(([each, data]) => ({ type: 'CNAME' as const, name: each, ttl: 1, data })),
    fc.tuple(name, name).map(([each, data]) => ({ type: 'PTR' as const, name: each, ttl: 1, data })),
    fc.tuple(name, name).map(([each, target]) => ({
      type: 'SRV' as const,
      name: each,
      ttl: 1,
      data: { priority: 1, weight: 1, port: 1, target },
    })),
    fc.tuple(name, name, name).map(([each, mname, rname]) => ({
      type: 'SOA' as const,
      name: each,
      ttl: 1,
      data: { mname, rname, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 },
    })),
  );

  test('changes how a packet is written, not what it says', () => {
    fc.assert(
      fc.property(name, fc.array(record, { maxLength: 30 }), (question, answers) => {
        const plain = encode({ type: 'response', questions: [{ name: question, type: 'A' }], answers });
        const compressed = compressNames(plain);
        expect(decode(compressed)).toEqual(decode(plain));
        expect(compressed.length).toBeLessThanOrEqual(plain.length);
      }),
    );
  });
});

describe('messages over TCP', () => {
  test('come out whole, however they are cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 50 })), (sent, sizes) => {
        const stream = Buffer.concat(sent.map((message) => withLength(Buffer.from(message))));
        const reader = new MessageReader(300);
        const got: Buffer[] = [];
        let at = 0;
        for (let i = 0; at < stream.length; i++) {
          const size = sizes.length === 0 ? 1 : (sizes[i % sizes.length] as number);
          reader.push(stream.subarray(at, at + size));
          at += size;
          for (let next = reader.next(); next !== undefined; next = reader.next()) got.push(next);
        }
        expect(got.map((message) => [...message])).toEqual(sent.map((message) => [...message]));
      }),
    );
  });
});
