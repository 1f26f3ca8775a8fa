import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseHcl, type HclValue } from '../../../compat/config/hcl.ts';

function parsed(text: string): unknown {
  const result = parseHcl(text);
  if (!result.ok) throw new Error(result.error);
  return JSON.parse(JSON.stringify(result.value));
}

describe('HCL 1 as Consul reads it', () => {
  test.each<readonly [claim: string, text: string, value: unknown]>([
    ['a block is a list of one object', 'ports { http = 8500 }', { ports: [{ http: 8500 }] }],
    ['an assigned object is the same as a block', 'ports = { http = 8500 }', { ports: [{ http: 8500 }] }],
    ['repeated blocks append', 'services { a = 1 }\nservices { a = 2 }', { services: [{ a: 1 }, { a: 2 }] }],
    [
      'several attributes fit on one line',
      'ports { http = 1 https = 2 }',
      { ports: [{ http: 1, https: 2 }] },
    ],
    ['commas may follow attributes and blocks', 'a = 1, b { },\nc = 2', { a: 1, b: [{}], c: 2 }],
    ['names may be quoted', 'node_meta { "a-b" = "c" }', { node_meta: [{ 'a-b': 'c' }] }],
    ['labels nest', 'service "web" { port = 80 }', { service: [{ web: [{ port: 80 }] }] }],
    [
      'blocks stand inside lists',
      's = [{ connect { sidecar {} } }]',
      { s: [{ connect: [{ sidecar: [{}] }] }] },
    ],
    ['lists may end in a comma', 'a = ["b", "c",]', { a: ['b', 'c'] }],
    ['a scalar set twice keeps the last value', 'a = 1\na = 2', { a: 2 }],
    [
      'numbers are decimal, hexadecimal, octal or with a fraction',
      'a = [-1, 0x1F, 010, 1.5, 1e3]',
      {
        a: [-1, 31, 8, 1.5, 1000],
      },
    ],
    ['booleans are bare words', 'a = true b = false', { a: true, b: false }],
    ['comments of all three kinds are skipped', '/* x */ a = 1 # y\n// z\nb = 2', { a: 1, b: 2 }],
    ['escapes are those of Go', String.raw`a = "\"\\\t\x41\u00e9\U0001F347\101"`, { a: '"\\\tAé🍇A' }],
    [
      'interpolation is kept, quotes inside it too',
      'a = "${lookup("b", {c})}"',
      { a: '${lookup("b", {c})}' },
    ],
    ['a heredoc keeps its lines', 'a = <<EOF\n x "y" \\n\nEOF\nb = 1', { a: ' x "y" \\n\n', b: 1 }],
    [
      'an indented heredoc loses the indentation of its end',
      'a = <<-EOF\n    x\n      y\n    EOF\n',
      {
        a: 'x\n  y\n',
      },
    ],
    [
      'an indented heredoc with a line further left is kept as it is',
      'a = <<-EOF\n x\n  y\n  EOF\n',
      {
        a: ' x\n  y\n',
      },
    ],
    ['nothing is an empty object', ' # only a comment', {}],
  ])('%s', (_claim, text, value) => {
    expect(parsed(text)).toEqual(value);
  });

  // Positions and texts are those of Consul 1.8.7, apart from a column at the end of a file.
  test.each<readonly [text: string, error: string]>([
    ['a: "x"', 'At 1:2: illegal char'],
    ['a = "x', 'At 1:7: literal not terminated'],
    ['a = "x\n"', 'At 1:7: literal not terminated'],
    ['a = "\\q"', 'At 1:7: illegal char escape'],
    ['a = <<EOF\nx', 'At 2:2: heredoc not terminated'],
    ['a = ["b" "c"]', 'At 1:10: error parsing list, expected comma or list end, got: STRING'],
    ['a {\n b = [\n', 'At 3:1: unexpected token while parsing list: EOF'],
    ['a = 1 }', 'At 1:7: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE'],
    ['a "b" = 1', 'At 1:7: nested object expected: LBRACE got: ASSIGN'],
    ['a', "At 1:2: key 'a' expected start of object ('{') or assignment ('=')"],
    ['a { b = 1', 'At 1:10: object expected closing RBRACE got: EOF'],
    ['a = b', 'At 1:5: Unknown token: IDENT b (text must stand in double quotes)'],
  ])('%j is refused with its place', (text, error) => {
    expect(parseHcl(text)).toEqual({ ok: false, error });
  });

  test('what is written as HCL reads back as the same values', () => {
    const scalar = fc.oneof(
      fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('${')),
      fc.integer(),
      fc.boolean(),
    );
    const tree = fc.letrec<{ object: Record<string, unknown>; value: unknown }>((tie) => ({
      object: fc.dictionary(fc.stringMatching(/^[a-z_][a-z0-9_-]{0,8}$/), tie('value'), { maxKeys: 4 }),
      value: fc.oneof(
        { maxDepth: 3 },
        scalar,
        fc.array(scalar, { maxLength: 3 }),
        tie('object').map((object) => [object]),
      ),
    }));
    fc.assert(
      fc.property(tree.object, (object) => {
        expect(parsed(write(object as Record<string, HclValue>))).toEqual(JSON.parse(JSON.stringify(object)));
      }),
    );
  });

  test('any text is parsed or refused, never thrown at', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '=',
      ',',
      '"',
      '${',
      '<<E\n',
      '\n',
      'a',
      '1',
      '#',
      '/*',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        expect(typeof parseHcl(parts.join('')).ok).toBe('boolean');
      }),
    );
  });
});

function write(object: Readonly<Record<string, unknown>>): string {
  return Object.entries(object)
    .map(
      ([name, value]) => `"${name}" ${isBlock(value) ? `{\n${write(value[0])}\n}` : `= ${literal(value)}`}`,
    )
    .join('\n');
}

function isBlock(value: unknown): value is readonly [Record<string, unknown>] {
  return Array.isArray(value) && value.length === 1 && typeof value[0] === 'object' && value[0] !== null;
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value !== 'string') return String(value);
  // JSON's escapes are Go's, but for the slash, which JSON.stringify does not escape.
  return JSON.stringify(value);
}
