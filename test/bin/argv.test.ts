import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { normaliseArgv, parseGoBool, type FlagKind } from '../../bin/cli/argv.ts';

const kinds: Readonly<Record<string, FlagKind>> = {
  'data-dir': 'value',
  'http-port': 'value',
  server: 'boolean',
  'dry-run': 'switch',
  h: 'switch',
};
const normalise = (...args: readonly string[]): readonly string[] =>
  normaliseArgv(args, (name) => kinds[name]);

describe("Go's flags as commander's", () => {
  test.each<readonly [claim: string, args: readonly string[], result: readonly string[]]>([
    ['one dash', ['-data-dir=/x'], ['--data-dir=/x']],
    ['a value after a space', ['-data-dir', '/x'], ['--data-dir=/x']],
    ['two dashes', ['--data-dir', '/x'], ['--data-dir=/x']],
    ['a value that looks like a flag', ['-http-port', '-1', 'x'], ['--http-port=-1', 'x']],
    ['an empty value', ['-data-dir='], ['--data-dir=']],
    ['a value with an equals sign', ['-data-dir=a=b'], ['--data-dir=a=b']],
    ['a missing value', ['-data-dir'], ['--data-dir']],
    ['a boolean', ['-server'], ['--server=true']],
    ['a boolean does not take the next word', ['-server', 'false'], ['--server=true', 'false']],
    ['a boolean with a value', ['-server=false'], ['--server=false']],
    ['a switch', ['-dry-run'], ['--dry-run']],
    ['a switch turned off', ['-dry-run=false'], []],
    ['a short flag', ['-h'], ['-h']],
    ['an unknown flag', ['-nope', 'x'], ['--nope', 'x']],
    ['words that are no flags', ['agent', '-', '-5', ''], ['agent', '-', '-5', '']],
    ['everything after --', ['--', '-server', '-data-dir'], ['--', '-server', '-data-dir']],
  ])('%s', (_claim, args, result) => {
    expect(normalise(...args)).toEqual(result);
  });

  test('every way to write a value means the same, whatever the value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const expected = [`--data-dir=${value}`];
        expect(normalise('-data-dir', value)).toEqual(expected);
        expect(normalise('--data-dir', value)).toEqual(expected);
        expect(normalise(`-data-dir=${value}`)).toEqual(expected);
        expect(normalise(`--data-dir=${value}`)).toEqual(expected);
      }),
    );
  });

  test('what is normal stays as it is', () => {
    const word = fc.constantFrom('-server', '-data-dir=/x', 'x', '--dry-run', '-nope=1', '-1');
    fc.assert(
      fc.property(fc.array(word), (args) => {
        const once = normalise(...args);
        expect(normalise(...once)).toEqual(once);
      }),
    );
  });

  test('booleans are those of strconv.ParseBool', () => {
    expect(['1', 't', 'TRUE', 'True', '0', 'f', 'False', 'yes', ''].map(parseGoBool)).toEqual([
      ...[true, true, true, true, false, false, false, undefined, undefined],
    ]);
  });
});
