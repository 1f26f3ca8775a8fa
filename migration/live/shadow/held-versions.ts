import { Kind } from '../../../src/state/kinds.ts';
import { sourceIndexOf } from '../../../src/state/lent.ts';
import type { ReadView } from '../../../src/state/store.ts';
import { topic } from '../../../src/state/topics.ts';
import { readGrants, Zones } from '../../../src/state/zones.ts';
import { BoundedMap } from './bounded-map.ts';

/** A version of a key as it came to this gateway. */
export interface Arrival {
  /** The source's ModifyIndex. */
  readonly version: number;
  readonly deleted: boolean;
  /** The index that this gateway shows for it. */
  readonly shownIndex: number;
  /** Monotonic milliseconds of the commit: from here on readers see it. */
  readonly atMs: number;
}

const keysMax = 20_000;
const arrivalsMax = 8;

/**
 * Which of the source's versions this gateway holds of a key, and since when: its own record, by its own clock, kept for
 * sampled keys. Answers what other gateways ask, so that nobody compares clocks of two machines.
 */
export class HeldVersions {
  readonly #view: ReadView;
  readonly #monoMs: () => number;
  readonly #wanted: (key: string) => boolean;
  readonly #timeline: () => number | undefined;
  readonly #arrivals = new BoundedMap<Arrival[]>(keysMax);
  #zones: Zones;

  constructor(options: {
    readonly view: ReadView;
    readonly monoMs: () => number;
    /** Whether a key is sampled. */
    readonly wanted: (key: string) => boolean;
    /** The source's, where it is known. */
    readonly timeline: () => number | undefined;
  }) {
    this.#view = options.view;
    this.#monoMs = options.monoMs;
    this.#wanted = options.wanted;
    this.#timeline = options.timeline;
    this.#zones = new Zones(readGrants(options.view));
  }

  /** Called after every commit. */
  committed(touched: ReadonlySet<string>): void {
    if (touched.has(topic.zones)) this.#zones = new Zones(readGrants(this.#view));
    for (const name of touched) {
      if (!name.startsWith(keyTopic)) continue;
      const key = name.slice(keyTopic.length);
      if (!this.#wanted(key)) continue;
      const held = this.#held(key);
      if (held === undefined) continue;
      const list = this.#arrivals.get(key) ?? [];
      if (list.at(-1)?.version === held.version) continue;
      list.push({ ...held, atMs: this.#monoMs() });
      if (list.length > arrivalsMax) list.shift();
      this.#arrivals.set(key, list);
    }
  }

  /** What is held now; undefined: nothing that the source wrote. Of a key that nobody heard of: version 0. */
  now(key: string): { readonly version: number; readonly deleted: boolean } | undefined {
    if (this.#view.get(Kind.kv, key) === undefined) return { version: 0, deleted: true };
    return this.#held(key);
  }

  /** The source's version behind an index that this gateway showed. */
  shown(key: string, shownIndex: number): number | undefined {
    const held = this.#held(key);
    if (held?.shownIndex === shownIndex) return held.version;
    return this.#arrivals.peek(key)?.find((arrival) => arrival.shownIndex === shownIndex)?.version;
  }

  /** How long a version, or a newer one, has been here. `sinceMs` null: longer than is remembered. */
  since(key: string, version: number): { readonly here: boolean; readonly sinceMs: number | null } {
    const held = this.now(key);
    if (held === undefined || held.version < version) return { here: false, sinceMs: null };
    const list = this.#arrivals.peek(key) ?? [];
    const first = list.findIndex((arrival) => arrival.version >= version);
    const arrival = list[first];
    if (arrival === undefined) return { here: true, sinceMs: null };
    // The oldest one that is remembered may have had one before it that was new enough, unless it is the very one.
    if (first === 0 && arrival.version !== version) return { here: true, sinceMs: null };
    return { here: true, sinceMs: Math.max(0, this.#monoMs() - arrival.atMs) };
  }

  #held(key: string): Omit<Arrival, 'atMs'> | undefined {
    const row = this.#view.get(Kind.kv, key);
    if (row === undefined) return undefined;
    const timeline = this.#timeline();
    if (timeline !== undefined && row.timeline !== timeline) return undefined;
    const version = sourceIndexOf(this.#zones, row);
    if (version === undefined) return undefined;
    return { version, deleted: row.value === null, shownIndex: row.modifyIndex };
  }
}

const keyTopic = topic.key('');
