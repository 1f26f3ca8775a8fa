import { InvalidArgumentError, Option } from 'commander';
import { parseGoBool } from './argv.ts';

/** A flag with one value; given twice, the last one counts, as in Consul. */
export function textFlag(name: string, argument: string, help: string): Option {
  return new Option(`--${name} <${argument}>`, help);
}

/** A flag that may be given several times; its values keep their order. */
export function listFlag(name: string, argument: string, help: string): Option {
  return textFlag(name, argument, `${help} Can be given several times.`).argParser(
    (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
  );
}

export function intFlag(name: string, argument: string, help: string): Option {
  return textFlag(name, argument, help).argParser((value: string) => {
    if (/^[+-]?\d{1,15}$/.test(value)) return Number(value);
    throw new InvalidArgumentError('it must be a whole number.');
  });
}

/** On when given; `-name=false` turns off what a file turned on. */
export function boolFlag(name: string, help: string): Option {
  return new Option(`--${name} [bool]`, help).argParser((value: string) => {
    const parsed = parseGoBool(value);
    if (parsed !== undefined) return parsed;
    throw new InvalidArgumentError('it must be true or false.');
  });
}

/** `key:value` pairs, several of them. */
export function mapFlag(name: string, help: string): Option {
  return textFlag(name, 'key:value', `${help} Can be given several times.`).argParser(
    (value: string, before: Readonly<Record<string, string>> | undefined) => {
      const colon = value.indexOf(':');
      const [key, item] = colon === -1 ? [value, ''] : [value.slice(0, colon), value.slice(colon + 1)];
      return { ...before, [key]: item };
    },
  );
}
