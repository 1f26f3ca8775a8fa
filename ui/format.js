// Numbers and times as people say them. What is not known is `null`, and never shown as a number.

const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** @param {number | null} value */
export function count(value) {
  return value === null ? 'not known' : numbers.format(value);
}

/**
 * @param {number} value
 * @param {string} one
 * @param {string} [many]
 */
export function counted(value, one, many = `${one}s`) {
  return `${numbers.format(value)} ${value === 1 ? one : many}`;
}

/** @param {number | null} ms */
export function duration(ms) {
  if (ms === null) return 'not known';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.floor((seconds + 0.5) / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds + 0.5) % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {number | null} perSecond */
export function rate(perSecond) {
  if (perSecond === null) return 'not known';
  // Less is what is left of a mean.
  if (perSecond < 0.05) return '0 /s';
  return `${perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : numbers.format(perSecond)} /s`;
}

/** @param {number} value */
export function bytes(value) {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${(value / 1024).toFixed(1)} KiB`;
  if (value < 1024 ** 3) return `${(value / 1024 / 1024).toFixed(1)} MiB`;
  return `${(value / 1024 ** 3).toFixed(2)} GiB`;
}

/** @param {number} ms since the epoch */
export function moment(ms) {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');
}

/** What a rule is about, in words. @param {{ readonly kind: string, readonly prefix: string }} rule */
export function ruleName({ kind, prefix }) {
  if (kind === 'catalog') return 'the catalog';
  return prefix === '' ? 'all keys' : prefix;
}
