import { count, percent } from '../terminal/format.ts';

// How numbers read in a report, the same in text and HTML.

/** A share: in percent where that reads well, else per million. */
export function rateText(value: number): string {
  if (value === 0) return '0';
  if (value >= 1e-4) return percent(value);
  const perMillion = value * 1e6;
  return `${perMillion >= 10 ? Math.round(perMillion) : Number(perMillion.toPrecision(2))} ppm`;
}

/** A difference of shares, with its sign. */
export function signedRateText(value: number): string {
  if (value === 0) return '0';
  return `${value > 0 ? '+' : '−'}${rateText(Math.abs(value))}`;
}

/** `0 of 1,200,000 (below 2.5 ppm)`, `12 of 40,000 (0.03 %, 95 %: 0.016 % to 0.052 %)`. */
export function hitsText(hits: number, of: number, low: number, high: number): string {
  if (of === 0) return 'nothing to judge by';
  if (hits === 0) return `0 of ${count(of)} (below ${rateText(high)})`;
  return `${count(hits)} of ${count(of)} (${rateText(hits / of)}; ${rateText(low)} to ${rateText(high)})`;
}

/** Milliseconds: `0.4 ms`, `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`. */
export function msText(value: number): string {
  if (value === 0) return '0 ms';
  if (value < 10) return `${Number(value.toPrecision(2))} ms`;
  if (value < 999.5) return `${Math.round(value)} ms`;
  if (value < 59_950) return `${Number((value / 1000).toPrecision(3))} s`;
  const minutes = Math.round(value / 60_000);
  if (minutes < 60) {
    const [whole, seconds] = [Math.floor(value / 60_000), Math.round((value % 60_000) / 1000)];
    return seconds === 0 || seconds === 60 ? `${minutes} min` : `${whole} min ${seconds} s`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** 1,234 up to ten thousand, then `12.3 k`, `4.56 M`. */
export function shortCount(value: number): string {
  if (value < 10_000) return count(value);
  if (value < 999_500) return `${Number((value / 1000).toPrecision(3))} k`;
  if (value < 999_500_000) return `${Number((value / 1e6).toPrecision(3))} M`;
  return `${Number((value / 1e9).toPrecision(3))} G`;
}

/** Probabilities near one, as nines: 99.9994 %. */
export function probabilityText(value: number): string {
  if (value === 1) return '100 %';
  const missing = 1 - value;
  const digits = missing >= 0.1 ? 1 : Math.min(7, Math.max(1, Math.ceil(-Math.log10(missing)) - 1));
  return `${(Math.floor(value * 100 * 10 ** digits) / 10 ** digits).toFixed(digits)} %`;
}
