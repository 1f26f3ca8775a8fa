import { loadavg } from 'node:os';

// One row per claim: the figure, what it is measured against, the goal, and whether it was reached.

const widths = [46, 24, 24, 22] as const;

export function printHead(title: string, ours: string, theirs: string): void {
  console.log();
  printLine(title, ours, theirs, 'goal', `load ${(loadavg()[0] ?? 0).toFixed(1)}`);
}

export function printRow(
  name: string,
  ours: string,
  theirs: string,
  goal?: { readonly text: string; readonly value: number; readonly max: number },
): void {
  printLine(name, ours, theirs, goal?.text ?? '', goal === undefined ? '' : verdict(goal.value, goal.max));
}

function verdict(value: number, max: number): string {
  if (value <= max) return 'reached';
  return Number.isFinite(value) ? `missed by ${Math.round((value / max - 1) * 100)} %` : 'missed';
}

function printLine(...[name, ours, theirs, goal, said]: [string, string, string, string, string]): void {
  const columns = [
    name.padEnd(widths[0]),
    ours.padStart(widths[1]),
    theirs.padStart(widths[2]),
    goal.padStart(widths[3]),
    said,
  ];
  console.log(columns.join('  ').trimEnd());
}

export function times({ p50, p99 }: { readonly p50: number; readonly p99: number }): string {
  return `${milliseconds(p50)} / ${milliseconds(p99)} ms`;
}

export function milliseconds(ms: number): string {
  if (ms < 1) return ms.toFixed(2);
  return ms < 10 ? ms.toFixed(1) : Math.round(ms).toString();
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
