// Reads JSON that another version, or another gateway, may have made: what is not as expected is not there.

/** @typedef {Readonly<Record<string, unknown>>} Fields */

/** @param {unknown} value @returns {Fields} */
export function fields(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? /** @type {Fields} */ (value)
    : {};
}

/** @param {unknown} value @returns {readonly unknown[]} */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {unknown} value @returns {string | null} */
export function text(value) {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** @param {unknown} value @returns {readonly string[]} */
export function texts(value) {
  return list(value).filter((each) => typeof each === 'string');
}

/** @param {unknown} value @returns {number | null} */
export function number(value) {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
