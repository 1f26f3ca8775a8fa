import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { compileFilter, filterLimits, type FilterShape } from '../../../compat/filter/filter.ts';
import {
  checkServiceNodeShape,
  healthCheckShape,
  memberShape,
  nodeServiceShape,
  nodeShape,
  serviceNodeShape,
} from '../../../compat/filter/shapes.ts';

const instances = [
  {
    Node: { ID: '', Node: 'n1', Address: '10.0.0.1', Meta: { env: 'prod', 'a.b': 'x' } },
    Service: {
      ID: 'web-1',
      Service: 'web',
      Tags: ['v1', 'blue'],
      Meta: { version: '1.2' },
      Port: 80,
      Weights: { Passing: 10, Warning: 1 },
      EnableTagOverride: true,
      TaggedAddresses: { lan: { Address: '10.0.0.1', Port: 80 } },
      Connect: {},
    },
    Checks: [
      { CheckID: 'a', Status: 'passing', ServiceTags: ['v1'] },
      { CheckID: 'b', Status: 'critical', Output: 'refused', ServiceTags: [] },
    ],
  },
  {
    Node: { ID: '', Node: 'n2', Address: '10.0.0.2', Meta: null },
    Service: {
      ID: 'web-2',
      Service: 'web',
      Tags: null,
      Meta: {},
      Port: 8080,
      Weights: { Passing: 1, Warning: 1 },
    },
    Checks: [],
  },
];

/** The nodes of the instances that a filter selects, or the error's text. */
function select(filter: string): readonly string[] | string {
  const compiled = compileFilter(filter, checkServiceNodeShape);
  if (!compiled.ok) return compiled.error.text;
  return instances.filter(compiled.value).map((instance) => instance.Node.Node);
}

function errorOf(filter: string, shape: FilterShape = nodeShape): string {
  const compiled = compileFilter(filter, shape);
  return compiled.ok
    ? 'no error'
    : compiled.error.text.replace('Failed to create boolean expression evaluator: ', '');
}

function nested(depth: number): string {
  return `${'('.repeat(depth)}Node == a${')'.repeat(depth)}`;
}

function holds(filter: string, shape: FilterShape, row: unknown): boolean {
  const compiled = compileFilter(filter, shape);
  if (!compiled.ok) throw new Error(compiled.error.text);
  return compiled.value(row);
}

describe('what a filter selects', () => {
  test.each<[filter: string, selected: readonly string[]]>([
    ['', ['n1', 'n2']],
    ['Node.Node == n1', ['n1']],
    ['Node.Node != "n1"', ['n2']],
    ['Service.Port == 80', ['n1']],
    ['Service.Port == "0x50"', ['n1']],
    ['Service.EnableTagOverride == T', ['n1']],
    ['Service.EnableTagOverride != true', ['n2']],
    ['Service.Weights.Passing == 10', ['n1']],
    ['Service.Connect.Native == false', ['n1', 'n2']],
    ['Service.Proxy.LocalServicePort == 0', ['n1', 'n2']],
    ['Service.Service contains e', ['n1', 'n2']],
    ['Service.ID not contains "-2"', ['n1']],
    ['blue in Service.Tags', ['n1']],
    ['Service.Tags not contains blue', ['n2']],
    ['blu in Service.Tags', []],
    ['Service.Tags is empty', ['n2']],
    ['env in Node.Meta', ['n1']],
    ['env not in Node.Meta', ['n2']],
    ['Node.Meta is not empty', ['n1']],
    ['Node.Meta["a.b"] == `x`', ['n1']],
    ['Service.TaggedAddresses.lan.Port == 80', ['n1']],
    ['Checks is empty', ['n2']],
    ['Node.Address matches `^10\\.0\\.0\\.[2-9]$`', ['n2']],
    ['Node.Address not matches "2$"', ['n1']],
    ['toString in Node.Meta or constructor in Node.Meta', []],
  ])('%s', (filter, selected) => {
    expect(select(filter)).toEqual(selected);
  });

  test('a selector through a list holds where it holds for any item, negated operators too', () => {
    expect(select('Checks.Status == critical')).toEqual(['n1']);
    expect(select('Checks.Status != critical')).toEqual(['n1']);
    expect(select('not Checks.Status == critical')).toEqual(['n2']);
    expect(select('v1 not in Checks.ServiceTags')).toEqual(['n1']);
  });

  test('a missing map key is neither equal nor contained, and matches whatever is asked', () => {
    expect(select('Service.Meta.none == ""')).toEqual([]);
    expect(select('Service.Meta.none != ""')).toEqual(['n1', 'n2']);
    expect(select('x in Service.Meta.none')).toEqual([]);
    expect(select('x not in Service.Meta.none')).toEqual(['n1', 'n2']);
    expect(select('Service.Meta.none matches x')).toEqual(['n1', 'n2']);
    expect(select('Service.Meta.none not matches x')).toEqual(['n1', 'n2']);
    expect(select('Service.TaggedAddresses.none.Port != 1')).toEqual(['n1', 'n2']);
  });

  test('`not` binds closest, then `and`, then `or`', () => {
    expect(select('Node.Node == n2 or Node.Node == n1 and Service.Port == 1')).toEqual(['n2']);
    expect(select('(Node.Node == n2 or Node.Node == n1) and Service.Port == 80')).toEqual(['n1']);
    expect(select('not Node.Node == n1 and Service.Port == 80')).toEqual([]);
    expect(select('not (Node.Node == n1 and Service.Port == 1)')).toEqual(['n1', 'n2']);
    expect(select('not not Node.Node == n1')).toEqual(['n1']);
  });

  test('`not` is a bare word where no expression follows it', () => {
    expect(holds('not in Tags', nodeServiceShape, { Tags: ['not'] })).toBe(true);
    expect(holds('Service == not', nodeServiceShape, { Service: 'not' })).toBe(true);
  });

  test('white space may be left out at == and !=, and added nearly anywhere', () => {
    expect(select('Node.Node=="n1" or Service.Port!=80')).toEqual(['n1', 'n2']);
    expect(select('\n ( Node.Meta[ "env" ]\t==\r\nprod ) ')).toEqual(['n1']);
  });

  test('integers above 2^53 are compared exactly', () => {
    const shape: FilterShape = {
      kind: 'struct',
      fields: { F: { kind: 'integer', min: 0n, max: 2n ** 64n - 1n } },
    };
    expect(holds('F == 18446744073709551615', shape, { F: 18446744073709551615n })).toBe(true);
    expect(holds('F == 18446744073709551614', shape, { F: 18446744073709551615n })).toBe(false);
    expect(holds('F == 9007199254740991', shape, { F: 9007199254740991 })).toBe(true);
    expect(errorOf('F == 18446744073709551616', shape)).toContain('strconv.ParseUint');
    expect(errorOf('F == -1', shape)).toContain('invalid syntax');
  });

  test('every shape answers for a row without any field as Go does for zero values', () => {
    expect(holds('Meta is empty and Node == ""', nodeShape, {})).toBe(true);
    expect(holds('ServicePort == 0 and ServiceTags is empty', serviceNodeShape, {})).toBe(true);
    expect(holds('Output matches "^$" and ExposedPort == 0', healthCheckShape, {})).toBe(true);
    expect(holds('Tags["dc"] != dc1 and ProtocolCur == 0', memberShape, {})).toBe(true);
  });
});

/** Recorded from Consul 1.8.7. */
describe('what a refused filter says', () => {
  test.each([
    ['foo', '1:4 (3): no match found, expected: "!=", ".", "==", "[", [ \\t\\r\\n] or [a-zA-Z0-9_]'],
    [
      ' ',
      '1:2 (1): no match found, expected: "(", "-", "0", "\\"", "`", "not", [ \\t\\r\\n], [1-9] or [a-zA-Z]',
    ],
    ['Node == "é" x', '1:13 (13): no match found, expected: "and", "or", [ \\t\\r\\n] or EOF'],
    ['Node\n==\n"', '3:2 (9): rule "string": Unterminated string literal'],
    ['Node == "\\q"', '1:9 (8): rule "string": invalid syntax'],
    ['((Node == a)', '1:13 (12): rule "grouping": Unmatched parentheses'],
    ['Node == 10.10.10.10', '1:14 (13): rule "number": Invalid number literal'],
    ['Meta[foo] == 1', '1:6 (5): rule "index": Invalid index'],
    ['Meta["foo" == 1', '1:12 (11): rule "index": Unclosed index expression'],
    ['1 in 3', '1:6 (5): rule "match": Invalid selector'],
    ['Foo == 3', 'Selector "Foo" is not valid'],
    ['Node == a and Meta.a.b == 3', 'Selector "Meta.a.b" is not valid'],
    ['Meta == a', 'Invalid match operator "Equal" for selector "Meta"'],
    ['Node is not empty', 'Invalid match operator "Is Not Empty" for selector "Node"'],
    [
      'Node matches "["',
      'Failed to compile regular expression "[": error parsing regexp: missing closing ]: `[`',
    ],
  ])('%j', (filter, text) => {
    expect(errorOf(filter)).toBe(text);
  });

  test('a value that the field cannot hold is named with its selector', () => {
    expect(errorOf('Port == abc', nodeServiceShape)).toBe(
      'Failed to coerce value "abc" for selector "Port": strconv.ParseInt: parsing "abc": invalid syntax',
    );
    expect(errorOf('Connect.Native == maybe', nodeServiceShape)).toBe(
      'Failed to coerce value "maybe" for selector "Connect.Native": strconv.ParseBool: parsing "maybe": invalid syntax',
    );
    expect(errorOf('ProtocolMin == 256', memberShape)).toBe(
      'Failed to coerce value "256" for selector "ProtocolMin": strconv.ParseUint: parsing "256": value out of range',
    );
  });

  test('at agent/checks only what the parser refuses has the prefix', () => {
    const parser = compileFilter('Node', healthCheckShape);
    expect(parser).toMatchObject({
      ok: false,
      error: { agentChecksText: expect.stringMatching(/^Failed to create/) },
    });
    const field = compileFilter('Foo == 1', healthCheckShape);
    expect(field).toMatchObject({ ok: false, error: { agentChecksText: 'Selector "Foo" is not valid' } });
  });

  test('fields of JavaScript objects are no fields of a row', () => {
    expect(errorOf('constructor == a')).toBe('Selector "constructor" is not valid');
    expect(errorOf('__proto__ == a')).toContain('no match found');
  });
});

describe('hostile filters', () => {
  test('an expression longer than the limit is refused, one of that length is not', () => {
    const filter = `Node == "${'x'.repeat(filterLimits.expressionLengthMax - 10)}"`;
    expect(errorOf(filter)).toBe('no error');
    expect(errorOf(`${filter} `)).toBe('The expression has 8193 characters, more than 8192');
  });

  test('nesting is bounded, the number of terms is not', () => {
    expect(errorOf(nested(64))).toBe('no error');
    expect(errorOf(nested(65))).toBe('The expression is nested more than 64 deep');
    expect(errorOf('('.repeat(8000))).toBe('The expression is nested more than 64 deep');
    expect(errorOf(`${'not '.repeat(2000)}Node == a`)).toBe('The expression is nested more than 64 deep');
    expect(errorOf(Array.from({ length: 600 }, () => 'Node==a').join(' or '))).toBe('no error');
  });

  test('a pattern that takes a backtracking engine exponential time is answered', () => {
    const output = `${'x'.repeat(4000)}!`;
    for (const pattern of ['^(x+x+)+y$', '^(x|x|xx)*$', '(.*.*.*.*)*z$', '(x*)*y|!!']) {
      expect(holds(`Output matches "${pattern}"`, healthCheckShape, { Output: output })).toBe(false);
    }
  });

  test('regular expressions are bounded in size, all of an expression together', () => {
    const repeated = '((x{10}){10}){10}';
    expect(errorOf(`Node matches "${repeated}"`)).toBe('no error');
    expect(errorOf(`Node matches "${repeated}" or Node matches "${repeated}"`)).toMatch(
      / is too large: \d+ instr/,
    );
    expect(errorOf(`Node matches "${repeated.repeat(100)}"`)).toMatch(/its repetitions multiply it/);
  });

  test('no text makes the compiler throw, and an accepted one can be evaluated', () => {
    const words = [
      'Node',
      'Meta.a',
      'Checks.Output',
      'not ',
      ' and ',
      ' or ',
      ' in ',
      ' is empty',
      ' matches ',
    ];
    const signs = '== ( ) " ` \\ [ ] 0 - . , {9,} * \u2028 \ud800 😀'.split(' ');
    const piece = fc.constantFrom(...words, ...signs, ' ', '\n');
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
      fc.string({ unit: 'binary' }).map((pattern) => `Node.Node matches \`${pattern}\``),
      fc.string({ unit: 'binary' }).map((value) => `Node.Node == ${JSON.stringify(value)}`),
    );
    const property = fc.property(text, (filter) => {
      const compiled = compileFilter(filter, checkServiceNodeShape);
      const rows = [...instances, {}, null];
      const answers = compiled.ok ? rows.map(compiled.value) : [compiled.error.text !== ''];
      return answers.every((answer) => typeof answer === 'boolean');
    });
    expect(fc.check(property, { numRuns: 2000 })).toMatchObject({ failed: false });
  });
});
