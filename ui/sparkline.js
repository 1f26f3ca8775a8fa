import { svg } from './dom.js';

const width = 160;
const height = 32;
const pointsMax = 180;

/**
 * A line of the last minutes, the newest at the right; gaps where a value was not known.
 * @param {import('./history.js').Series} series
 * @param {string} label what a reader of the screen says
 */
export function sparkline(series, label) {
  const top = Math.max(1, ...series.map((value) => value ?? 0));
  const place = (/** @type {number} */ value, /** @type {number} */ i) => {
    const x = width - ((series.length - 1 - i) * width) / (pointsMax - 1);
    return `${x.toFixed(1)} ${(height - 2 - (value / top) * (height - 4)).toFixed(1)}`;
  };
  let path = '';
  series.forEach((value, i) => {
    if (value === null) return;
    const before = i > 0 ? (series[i - 1] ?? null) : null;
    path += `${before === null ? 'M' : 'L'}${place(value, i)}`;
    if (before === null && (series[i + 1] ?? null) === null) path += 'h0.1';
  });
  return svg(
    'svg',
    {
      class: 'spark',
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': label,
    },
    svg('path', { class: 'spark-base', d: `M0 ${height - 1.5}H${width}` }),
    path === '' ? null : svg('path', { class: 'spark-line', d: path }),
  );
}
