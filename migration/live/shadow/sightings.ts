import { BoundedMap } from './bounded-map.ts';
import { IndexClock } from './index-clock.ts';

interface Sighting {
  readonly version: number;
  /** When the source was first and last known to have it (monotonic milliseconds). */
  firstMs: number;
  lastMs: number;
  /** Through an acknowledgement: so it is known when it became true. */
  acknowledged: boolean;
}

export interface Staleness {
  readonly lowMs: number;
  readonly highMs: number;
  readonly versionsBehind: number;
}

const keysMax = 20_000;
const sightingsMax = 16;

/** Which versions of a key the source was seen to have, and when: by acknowledgements, and by what it answered. */
export class Sightings {
  readonly #keys = new BoundedMap<Sighting[]>(keysMax);
  readonly #sinceMs: number;
  /** Of all writes at the source. */
  readonly indexes = new IndexClock();

  /** `sinceMs`: from when on anything is seen. */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  /** It was the newest at some moment between the two; by the second one it is certain that the source has it. */
  saw(key: string, version: number, fromMs: number, toMs: number, acknowledged: boolean): void {
    const list = this.#keys.get(key) ?? [];
    const held = list.find((each) => each.version === version);
    if (held === undefined) {
      list.push({ version, firstMs: toMs, lastMs: fromMs, acknowledged });
      list.sort((a, b) => a.version - b.version);
      if (list.length > sightingsMax) list.shift();
    } else {
      held.firstMs = Math.min(held.firstMs, toMs);
      held.lastMs = Math.max(held.lastMs, fromMs);
      held.acknowledged ||= acknowledged;
    }
    this.#keys.set(key, list);
  }

  /**
   * How long a read that showed `version` and began at `readMs` was behind. Exactly, where what overwrote the version
   * was acknowledged to this gateway; of a write that went past it only that it happened after the last time the source
   * had an older version, or an index below, and before it was first seen. A write past this gateway right before one
   * through it goes unseen: then the true figure is greater, by the time between the two. Undefined: nothing is known
   * of the key.
   */
  staleness(key: string, version: number, readMs: number): Staleness | undefined {
    const list = this.#keys.peek(key);
    if (list === undefined) return undefined;
    const newer = list.filter((each) => each.version > version);
    const first = newer.reduce<Sighting | undefined>(
      (earliest, each) => (earliest === undefined || each.firstMs < earliest.firstMs ? each : earliest),
      undefined,
    );
    if (first === undefined) return { lowMs: 0, highMs: 0, versionsBehind: 0 };
    const lowMs = Math.max(0, readMs - first.firstMs);
    const versionsBehind = newer.filter(({ firstMs }) => firstMs <= readMs).length;
    const shown = list.find((each) => each.version === version);
    if (first.acknowledged && (shown !== undefined || lowMs === 0)) {
      return { lowMs, highMs: lowMs, versionsBehind };
    }
    // Whatever overwrote it was written after each of these.
    const least = Math.min(...newer.map((each) => each.version));
    const older = list.filter((each) => each.version < least).map(({ lastMs }) => lastMs);
    const notBeforeMs = Math.max(this.#sinceMs, this.indexes.notBefore(least) ?? -Infinity, ...older);
    return { lowMs, highMs: Math.max(lowMs, readMs - Math.min(notBeforeMs, first.firstMs)), versionsBehind };
  }

  clear(): void {
    this.#keys.clear();
    this.indexes.clear();
  }
}
