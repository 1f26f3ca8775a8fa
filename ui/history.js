// Lag and rates of the last minutes, kept in this page alone.

const pointsMax = 180;

/** @typedef {readonly (number | null)[]} Series */

export class History {
  /** @type {Map<string, (number | null)[]>} */
  #series = new Map();

  /**
   * @param {string} name
   * @param {number | null} value null: not known then
   */
  add(name, value) {
    const held = this.#series.get(name) ?? [];
    held.push(value);
    if (held.length > pointsMax) held.shift();
    this.#series.set(name, held);
  }

  /** @param {string} name @returns {Series} */
  of(name) {
    return this.#series.get(name) ?? [];
  }

  /** Forgets what is no longer there. @param {ReadonlySet<string>} names */
  keep(names) {
    for (const name of this.#series.keys()) if (!names.has(name)) this.#series.delete(name);
  }
}
