import { isIP } from 'node:net';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ipFamily } from '../../../compat/agent/ip-family.ts';

function nodeFamily(text: string): 'ipv4' | 'ipv6' | undefined {
  const family = isIP(text);
  if (family === 0) return undefined;
  return family === 4 ? 'ipv4' : 'ipv6';
}

test('agrees with Node on addresses', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), (text) => {
      expect(ipFamily(text)).toBe(nodeFamily(text));
    }),
  );
});

test('agrees with Node on what almost is one', () => {
  const piece = fc.constantFrom(
    '0',
    '1',
    'ffff',
    '12345',
    '255',
    '256',
    '01',
    ':',
    '::',
    '.',
    '1.2.3.4',
    'g',
    '',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom('', ':', '.'), (pieces, glue) => {
      const text = pieces.join(glue);
      expect(ipFamily(text)).toBe(nodeFamily(text));
    }),
    { numRuns: 2000 },
  );
});
