/** What a flag takes: a value, `true` or `false` after `=` only, or nothing that could be said after it. */
export type FlagKind = 'value' | 'boolean' | 'switch';

/**
 * Rewrites flags as Go's flag package reads them into what commander reads: `-data-dir /x`, `-data-dir=/x` and
 * `--data-dir=/x` all become `--data-dir=/x`, `-server` becomes `--server=true`. Go's rules: one dash or two are the
 * same, a flag with a value takes the next word whatever it looks like (`-http-port -1`), a boolean takes one after
 * `=` only, `--` ends the flags. A flag that is not known is passed on with two dashes, for the error message.
 */
export function normaliseArgv(
  args: readonly string[],
  kindOf: (name: string) => FlagKind | undefined,
): readonly string[] {
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') return [...result, ...args.slice(i)];
    const flag = /^--?([A-Za-z][^=]*)(?:=([\s\S]*))?$/.exec(arg);
    if (flag === null) {
      result.push(arg);
      continue;
    }
    const [, name = '', given] = flag;
    switch (kindOf(name)) {
      case 'value': {
        const value = given ?? args[i + 1];
        if (given === undefined) i++;
        // With nothing after it, commander says that the value is missing.
        result.push(value === undefined ? dashed(name) : `${dashed(name)}=${value}`);
        break;
      }
      case 'boolean':
        result.push(`${dashed(name)}=${given ?? 'true'}`);
        break;
      case 'switch':
        if (parseGoBool(given ?? 'true') === true) result.push(dashed(name));
        else if (parseGoBool(given ?? 'true') === undefined) result.push(`${dashed(name)}=${given}`);
        break;
      case undefined:
        result.push(given === undefined ? dashed(name) : `${dashed(name)}=${given}`);
        break;
    }
  }
  return result;
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** What Go's `strconv.ParseBool` accepts; undefined for everything else. */
export function parseGoBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}
