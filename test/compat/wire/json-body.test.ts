import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeGoBase64 } from '../../../compat/wire/go-base64.ts';
import { decodeJsonBody } from '../../../compat/wire/json-body.ts';

const text = new TextEncoder();

function error(body: string): string {
  const decoded = decodeJsonBody(text.encode(body));
  return decoded.ok ? 'none' : decoded.error;
}

function reparsed(json: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(json));
  } catch {
    return undefined;
  }
}

describe('JSON bodies', () => {
  test('the first value counts, whatever follows it', () => {
    expect(decodeJsonBody(text.encode('{"a":[1,"]"]} x'))).toEqual({ ok: true, value: { a: [1, ']'] } });
    expect(decodeJsonBody(text.encode(' [ ] ]'))).toEqual({ ok: true, value: [] });
    expect(decodeJsonBody(text.encode('12 13'))).toEqual({ ok: true, value: 12 });
  });

  // Each as a real Consul 1.8.7 answered it.
  test.each([
    ['', 'EOF'],
    [' \n', 'EOF'],
    ['{', 'unexpected EOF'],
    ['{"a"', 'unexpected EOF'],
    ['tru', 'unexpected EOF'],
    ['[{]', "invalid character ']' looking for beginning of object key string"],
    ['{1:2}', "invalid character '1' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":"a"x}', "invalid character 'x' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ['{"a":tru}', "invalid character '}' in literal true (expecting 'e')"],
    ['{"a":-}', "invalid character '}' in numeric literal"],
    ['{"a":1.}', "invalid character '}' after decimal point in numeric literal"],
    ['{"a":1e}', "invalid character '}' in exponent of numeric literal"],
    ['{"a":01}', "invalid character '1' after object key:value pair"],
    ['{"a":"\\q"}', "invalid character 'q' in string escape code"],
    ['{"a":"\\u12g4"}', "invalid character 'g' in \\u hexadecimal character escape"],
    ['{"a":"\u0001"}', "invalid character '\\x01' in string literal"],
    ['{"a":\'x\'}', "invalid character '\\'' looking for beginning of value"],
    ['é', "invalid character 'Ã' looking for beginning of value"],
  ])('%j is refused as Go refuses it', (body, expected) => {
    expect(error(body)).toBe(expected);
  });

  test('every JSON text is read, and no cut or altered one is read as something else', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (json, at) => {
        expect(decodeJsonBody(text.encode(json)).ok).toBe(true);
        const cut = json.slice(0, at % (json.length + 1));
        // A part of a text may be a text itself (a shorter number): then it must be what JSON.parse makes of it.
        const decoded = decodeJsonBody(text.encode(cut));
        expect(decoded.ok ? JSON.stringify(decoded.value) : reparsed(cut)).toBe(reparsed(cut));
      }),
    );
  });
});

describe('base64', () => {
  test.each([
    ['!!', 0],
    ['aGk', 0],
    ['aGkxaGk', 4],
    ['aGk==', 4],
    ['aGk=x', 4],
    ['aG=k', 2],
    ['=', 0],
    ['aG=', 3],
  ])('%j is refused at byte %d', (body, at) => {
    expect(decodeGoBase64(body)).toEqual({ ok: false, error: `illegal base64 data at input byte ${at}` });
  });

  test('what was encoded comes back, with line breaks anywhere', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(), (bytes, at) => {
        const encoded = Buffer.from(bytes).toString('base64');
        const cut = at % (encoded.length + 1);
        const broken = `${encoded.slice(0, cut)}\r\n${encoded.slice(cut)}`;
        for (const form of [encoded, broken]) {
          const decoded = decodeGoBase64(form);
          expect(decoded.ok && Buffer.from(decoded.value).equals(Buffer.from(bytes))).toBe(true);
        }
      }),
    );
  });
});
