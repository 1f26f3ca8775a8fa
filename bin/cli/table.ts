/** Columns as wide as their widest cell, two spaces between. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  '),
    )
    .join('\n');
}

/** A duration as people say it: `0 ms`, `1.2 s`, `3 m 10 s`, `2 h 5 m`, `4 d 3 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return pair(whole, 60, 'm', 1, 's');
  if (whole < 86_400) return pair(whole, 3600, 'h', 60, 'm');
  return pair(whole, 86_400, 'd', 3600, 'h');
}

function pair(seconds: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((seconds % big) / small);
  const first = `${Math.floor(seconds / big)} ${bigUnit}`;
  return rest === 0 ? first : `${first} ${rest} ${smallUnit}`;
}

/** How long ago an RFC 3339 time was; empty for one before 1971, which is none. */
export function ago(time: string, nowMs: number): string {
  const thenMs = Date.parse(time);
  if (Number.isNaN(thenMs) || thenMs < 365 * 86_400_000) return '';
  return `${duration(Math.max(0, nowMs - thenMs))} ago`;
}

export function roundTrip(ms: number | null): string {
  if (ms === null) return '-';
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** `1 zone`, `2 zones`. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}

/** Control characters in names of keys must not reach a terminal as such. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
