import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GoFields, parseJson, renderJson, renderJsonString } from '../../../compat/wire/go-json.ts';

function parsed(text: string): unknown {
  const result = parseJson(text);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

describe('parsing JSON as Go does', () => {
  test('integers of 64 bits stay exact, others are plain numbers', () => {
    expect(parsed('{"a":3304740253564472344,"b":18446744073709551615,"c":7,"d":1.5}')).toEqual({
      a: 3304740253564472344n,
      b: 18446744073709551615n,
      c: 7,
      d: 1.5,
    });
    expect(parsed('[9007199254740991,9007199254740993,-9007199254740993]')).toEqual([
      9007199254740991,
      9007199254740993n,
      -9007199254740993n,
    ]);
  });

  test('the last of several equal names wins, whether or not an exact integer is in the text', () => {
    expect(parsed('{"a":1,"a":2}')).toEqual({ a: 2 });
    expect(parsed('{"a":1,"a":2,"b":1234567890123456789}')).toEqual({ a: 2, b: 1234567890123456789n });
  });

  test('__proto__ and constructor are fields like others and change no object', () => {
    for (const extra of ['', ',"x":1234567890123456789']) {
      const value = parsed(`{"__proto__":{"polluted":"yes"},"constructor":"c"${extra}}`) as object;
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect((value as { polluted?: unknown }).polluted).toBeUndefined();
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      const fields = new GoFields(value as never, 'T');
      expect(fields.stringMap('__proto__')).toEqual({ polluted: 'yes' });
    }
    const map = new GoFields(parsed('{"Meta":{"__proto__":"v"}}') as never, 'T').stringMap('Meta');
    expect(Object.entries(map)).toEqual([['__proto__', 'v']]);
  });

  test.each(['[', '{"a":', '[{"a":'])('nesting %s without end is a clean error, in either parser', (open) => {
    for (const depth of [1001, 100_000]) {
      for (const leaf of ['1', '1234567890123456789']) {
        expect(parseJson(open.repeat(depth) + leaf)).toEqual({ ok: false, error: 'exceeded max depth' });
      }
    }
  });

  test('nesting that is allowed parses and renders, in either parser', () => {
    for (const leaf of ['1', '1234567890123456789']) {
      const text = `${'['.repeat(1000)}${leaf}${']'.repeat(1000)}`;
      expect(renderJson(parsed(text))).toBe(text);
    }
  });

  test('brackets inside strings, and many beside each other, are not nesting', () => {
    const strings = JSON.stringify({ a: '['.repeat(5000), b: `"\\${'{'.repeat(5000)}` });
    expect(parsed(strings)).toEqual(JSON.parse(strings));
    const flat = `[${'[],'.repeat(5000)}{}]`;
    expect(parsed(flat)).toHaveLength(5001);
  });

  test('half of a surrogate pair reads as U+FFFD, as in Go; whole pairs stay', () => {
    expect(parsed(String.raw`["\ud800","a\udfffb","\ud83d\ude00","\ud800\ud83d\ude00","\\ud800"]`)).toEqual([
      '\ufffd',
      'a\ufffdb',
      '😀',
      '\ufffd😀',
      '\\ud800',
    ]);
    expect(parsed(String.raw`{"\uDC00k":1234567890123456789}`)).toEqual({ '\ufffdk': 1234567890123456789n });
  });

  test('an empty body is EOF, a broken one has a reason of one line', () => {
    expect(parseJson('')).toEqual({ ok: false, error: 'EOF' });
    expect(parseJson(' \n')).toEqual({ ok: false, error: 'EOF' });
    for (const text of ['{', 'nope', '{"a":1234567890123456789', '[1]]', '"\\ud8']) {
      expect(parseJson(text)).toEqual({ ok: false, error: expect.stringMatching(/^.+$/) });
    }
  });

  test('any text is parsed or refused, never thrown on', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json().map((text) => text.replace('1', '12345678901234567890')),
      fc
        .array(fc.constantFrom('[', ']', '{', '}', '"', '\\', ',', ':', '1', '1e999', 'null'), {
          maxLength: 40,
        })
        .map((parts) => parts.join('')),
    );
    fc.assert(fc.property(texts, (text) => expect([true, false]).toContain(parseJson(text).ok)));
  });
});

describe('rendering JSON as Go does', () => {
  test('what HTML and JavaScript would trip over is escaped, in names too', () => {
    expect(renderJson({ 'a<b>': '<>&\u2028\u2029"\\' })).toBe(
      String.raw`{"a\u003cb\u003e":"\u003c\u003e\u0026\u2028\u2029\"\\"}`,
    );
    expect(renderJsonString('a<&>é😀')).toBe(String.raw`"a\u003c\u0026\u003eé😀"`);
  });

  test('an integer of 64 bits is rendered as a number, and nothing that a client sends passes for one', () => {
    expect(renderJson({ Flags: 18446744073709551615n })).toBe('{"Flags":18446744073709551615}');
    const hostile = { '\u0000bigint:1': '\u0000bigint:2', Flags: 3n, quote: '"\u0000bigint:4"' };
    expect(parsed(renderJson(hostile))).toEqual({ ...hostile, Flags: 3 });
  });

  test('with bigints or without, compact or indented, the text is that of JSON.stringify', () => {
    const json = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(json, fc.constantFrom(0, 4), (value, indent) => {
        const plain = renderJson({ value, n: 5 }, indent);
        expect(renderJson({ value, n: 5n }, indent)).toBe(plain);
        expect(JSON.parse(plain)).toEqual(JSON.parse(JSON.stringify({ value, n: 5 })));
      }),
    );
    expect(renderJson({ a: undefined, b: [undefined], c: 1n, d: [], e: {} })).toBe(
      '{"b":[null],"c":1,"d":[],"e":{}}',
    );
    expect(renderJson({ a: [1n, { b: null }] }, 4)).toBe(JSON.stringify({ a: [1, { b: null }] }, null, 4));
  });

  test('parsing what was rendered gives the value back, exact integers included', () => {
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 3 },
        fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('node'), { maxLength: 4 }),
        fc.dictionary(fc.string({ unit: 'grapheme' }), tie('node'), { maxKeys: 4, noNullPrototype: true }),
      ),
    })).node;
    fc.assert(fc.property(value, (one) => expect(parsed(renderJson(one))).toEqual(one)));
  });
});

describe('fields of a Go struct', () => {
  test('names match without regard to case, null leaves the zero value, unknown names are ignored', () => {
    const fields = new GoFields(parsed('{"nAmE":"n","TTL":null,"Other":[1]}') as never, 'T');
    expect(fields.string('Name')).toBe('n');
    expect(fields.string('TTL')).toBe('');
    expect(fields.problem).toBeUndefined();
  });

  test('a uint64 is taken whole and only within its range', () => {
    const fields = (text: string): GoFields => new GoFields(parsed(`{"Flags":${text}}`) as never, 'T');
    expect(fields('18446744073709551615').uint64('Flags')).toBe(18446744073709551615n);
    expect(fields('0').uint64('Flags')).toBe(0n);
    for (const wrong of ['-1', '18446744073709551616', '1.5', '"1"', '1e30']) {
      const bad = fields(wrong);
      expect(bad.uint64('Flags')).toBe(0n);
      expect(bad.problem).toMatch(
        /^json: cannot unmarshal (number|string) into Go struct field T.Flags of type uint64/,
      );
    }
  });

  test('the first wrong kind is reported in the words of Go', () => {
    const fields = new GoFields(parsed('{"A":1,"B":"x","C":{}}') as never, 'T');
    fields.string('A');
    fields.int('B');
    fields.strings('C');
    expect(fields.problem).toBe('json: cannot unmarshal number into Go struct field T.A of type string');
    expect(new GoFields(parsed('[]') as never, 'T').problem).toBe(
      'json: cannot unmarshal array into Go value of type T',
    );
  });
});
