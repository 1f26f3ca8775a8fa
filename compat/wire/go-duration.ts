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

/**
 * Parses what Go's `time.ParseDuration` parses (`"1h15m30.5s"`, `"-2ms"`, `"0"`).
 * The error is Go's text, as Consul passes it on to clients.
 */
export function parseGoDuration(text: string): Result<Nanoseconds, string> {
  const quoted = JSON.stringify(text);
  let rest = text;
  let sign = 1;
  if (rest.startsWith('-') || rest.startsWith('+')) {
    if (rest.startsWith('-')) sign = -1;
    rest = rest.slice(1);
  }
  if (rest === '0') return ok(0);
  if (rest === '') return err(`time: invalid duration ${quoted}`);
  let total = 0;
  while (rest !== '') {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) return err(`time: invalid duration ${quoted}`);
    rest = rest.slice(number.length);
    const unit = /^[^\d.]+/.exec(rest)?.[0];
    if (unit === undefined) return err(`time: missing unit in duration ${quoted}`);
    const factor = Object.hasOwn(unitNs, unit) ? unitNs[unit] : undefined;
    if (factor === undefined) return err(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`);
    rest = rest.slice(unit.length);
    total += Math.round(Number(number) * factor);
  }
  if (total > Number.MAX_SAFE_INTEGER * 1000) return err(`time: invalid duration ${quoted}`);
  return ok(sign * total);
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
  return Number(value.toFixed(9)).toString();
}
