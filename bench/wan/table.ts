import type { Figures } from './figures.ts';
import type { Fared } from './orders.ts';

// One row per claim: what Grapevine does, what Consul does beside it, the goal, and whether it was reached.

const widths = [50, 18, 18, 24] as const;

export function printHead(title: string): void {
  console.log();
  printLine(title, 'Grapevine', 'Consul', 'goal', '');
}

/** A time: at most `p50Max` (and `p99Max`, where there is such a goal) milliseconds are aimed at. */
export function printTimes(
  name: string,
  gateway: Figures | undefined,
  consul: Figures | undefined,
  goal: { readonly p50Max: number; readonly p99Max?: number },
): void {
  const { p50Max, p99Max } = goal;
  const goalText = p99Max === undefined ? `p50 ≤ ${p50Max} ms` : `p50 ≤ ${p50Max}, p99 ≤ ${p99Max} ms`;
  const missed: string[] = [];
  if (gateway !== undefined) {
    if (!(gateway.p50 <= p50Max)) missed.push(`p50 by ${overBy(gateway.p50, p50Max)}`);
    if (p99Max !== undefined && !(gateway.p99 <= p99Max))
      missed.push(`p99 by ${overBy(gateway.p99, p99Max)}`);
  }
  printLine(name, times(gateway), times(consul), goalText, verdict(gateway !== undefined, missed));
}

/** Figures with nothing to reach. */
export function printAside(name: string, gateway: Figures | undefined, consul: Figures | undefined): void {
  printLine(name, times(gateway), times(consul), '', '');
}

/** The share of requests that succeeded; all of them are aimed at where `goal` says so. */
export function printShare(
  name: string,
  gateway: Fared | undefined,
  consul: Fared | undefined,
  goal: 'all' | 'none',
): void {
  const missed =
    gateway !== undefined && goal === 'all' && gateway.failed > 0
      ? [`${gateway.failed} of ${gateway.failed + gateway.succeeded}: ${shortened(gateway.failure)}`]
      : [];
  printLine(
    name,
    share(gateway),
    share(consul),
    goal === 'all' ? '100 %' : '',
    goal === 'all' ? verdict(gateway !== undefined, missed) : '',
  );
}

/** A time until something was so, in seconds; `undefined` inside: it never was. */
export function printUntil(
  name: string,
  gateway: { readonly ms: number | undefined } | undefined,
  consul: { readonly ms: number | undefined } | undefined,
  secondsMax?: number,
): void {
  const seconds = (it: { readonly ms: number | undefined } | undefined): string => {
    if (it === undefined) return '-';
    return it.ms === undefined ? 'not in 120 s' : `${(it.ms / 1000).toFixed(1)} s`;
  };
  const reached = secondsMax !== undefined && (gateway?.ms ?? Infinity) <= secondsMax * 1000;
  const missed =
    secondsMax === undefined || reached
      ? []
      : [gateway?.ms === undefined ? 'it never was' : `it took longer`];
  printLine(
    name,
    seconds(gateway),
    seconds(consul),
    secondsMax === undefined ? '' : `≤ ${secondsMax} s`,
    secondsMax === undefined ? '' : verdict(gateway !== undefined, missed),
  );
}

/** Something that is no time and no share. */
export function printText(name: string, gateway: string | undefined, consul: string | undefined): void {
  printLine(name, gateway ?? '-', consul ?? '-', '', '');
}

/** What an operator would have read, when requests failed. */
export function shortened(text: string): string {
  const line = text.split('\n')[0] ?? '';
  return line.length > 90 ? `${line.slice(0, 87)}...` : line;
}

function printLine(name: string, gateway: string, consul: string, goal: string, said: string): void {
  const columns = [
    name.padEnd(widths[0]),
    gateway.padStart(widths[1]),
    consul.padStart(widths[2]),
    goal.padStart(widths[3]),
    said,
  ];
  console.log(columns.join('  ').trimEnd());
}

function times(it: Figures | undefined): string {
  return it === undefined ? '-' : `${milliseconds(it.p50)} / ${milliseconds(it.p99)} ms`;
}

function milliseconds(ms: number): string {
  if (!Number.isFinite(ms)) return 'never';
  return ms < 10 ? ms.toFixed(1) : Math.round(ms).toString();
}

function share(it: Fared | undefined): string {
  if (it === undefined) return '-';
  const percent = (100 * it.succeeded) / (it.succeeded + it.failed);
  // Nearly all is not all.
  return `${percent < 100 ? Math.min(99.9, percent).toFixed(1) : '100'} %`;
}

function overBy(value: number, max: number): string {
  return Number.isFinite(value) ? `${Math.round((value / max - 1) * 100)} %` : 'far: some never came';
}

function verdict(measured: boolean, missed: readonly string[]): string {
  if (!measured) return '';
  return missed.length === 0 ? 'reached' : `missed: ${missed.join(', ')}`;
}
