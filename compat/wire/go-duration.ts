import { err, ok, type Result } from '../../src/kernel/result.ts';

/** Nanoseconds as Go's `time.Duration`. A number is exact up to 104 days; Consul's limits stay well below. */
export type Nanoseconds = number;

export const nsPerMs = 1e6;
export const nsPerSecond = 1e9;

const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3, // U+00B5, micro sign
  μs: 1e3, // U+03BC, Greek mu
  ms: nsPerMs,
  s: nsPerSecond,
  m: 60 * nsPerSecond,
  h: 3600 * nsPerSecond,
};

/** What a Go duration must stay below, in nanoseconds: 2^63. */
const nsMax = 2 ** 63;

/**
 * Parses what Go's `time.ParseDuration` parses (`"1h15m30.5s"`, `"-2ms"`, `"0"`).
 * The error is Go's text, as Consul passes it on to clients.
 */
export function parseGoDuration(text: string): Result<Nanoseconds, string> {
  const invalid = err(`time: invalid duration ${goQuote(text)}`);
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = /^[-+]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return ok(0);
  if (rest === '') return invalid;
  let total = 0;
  while (rest !== '') {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest) as RegExpExecArray;
    const [all, whole = '', fraction = ''] = number;
    if (whole === '' && fraction === '') return invalid;
    rest = rest.slice(all.length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) return err(`time: missing unit in duration ${goQuote(text)}`);
    const factor = Object.hasOwn(unitNs, unit) ? unitNs[unit] : undefined;
    if (factor === undefined) {
      return err(`time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`);
    }
    rest = rest.slice(unit.length);
    // Go takes the fraction as an integer over a power of ten and cuts off what is below a nanosecond.
    total += Number(whole) * factor + Math.trunc(Number(fraction) * (factor / 10 ** fraction.length));
    if (total >= nsMax) return invalid;
  }
  return ok(total === 0 ? 0 : sign * total);
}

/** A string literal as package time quotes it: bytes outside of printable ASCII as `\xNN`. */
function goQuote(text: string): string {
  return JSON.stringify(text).replaceAll(/\\u[0-9a-f]{4}|\\[bfnrt]|[^ -~]/gu, (found) => {
    const char = found.startsWith('\\') ? (JSON.parse(`"${found}"`) as string) : found;
    return [...new TextEncoder().encode(char)]
      .map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
      .join('');
  });
}

/** Renders as Go's `Duration.String` does: `1m30s`, `1.5s`, `250ms`, `0s`. */
export function formatGoDuration(ns: Nanoseconds): string {
  if (ns === 0) return '0s';
  const sign = ns < 0 ? '-' : '';
  const abs = Math.abs(ns);
  if (abs < 1e3) return `${sign}${abs}ns`;
  if (abs < nsPerMs) return `${sign}${trimFraction(abs / 1e3)}µs`;
  if (abs < nsPerSecond) return `${sign}${trimFraction(abs / nsPerMs)}ms`;
  const hours = Math.floor(abs / unitNs['h']!);
  const minutes = Math.floor((abs - hours * unitNs['h']!) / unitNs['m']!);
  const seconds = (abs - hours * unitNs['h']! - minutes * unitNs['m']!) / nsPerSecond;
  const tail = `${trimFraction(seconds)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${tail}`;
  if (minutes > 0) return `${sign}${minutes}m${tail}`;
  return `${sign}${tail}`;
}

function trimFraction(value: number): string {
  return value.toFixed(9).replace(/\.?0+$/, '');
}
