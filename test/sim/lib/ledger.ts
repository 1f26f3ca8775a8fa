import type { Row } from '../../../src/state/store.ts';

/** One register as its writer committed it. Only what is needed to say, by other means, what the state must be. */
export interface Accepted {
  readonly gateway: string;
  readonly nodeId: string;
  readonly origin: string;
  readonly seq: number;
  readonly row: Row;
  readonly atMs: number;
  /** Its disk was put back to before this, and nobody else may have had it: it may be gone. */
  perhapsLost: boolean;
}

/**
 * Everything that any gateway ever accepted, in the order of true time: the truth that replicas are compared with.
 * Shares no code with what it judges: versions are compared here by hand.
 */
export class Ledger {
  readonly accepted: Accepted[] = [];
  /** When each seq of an origin was committed: index 0 is seq 1. */
  readonly #times = new Map<string, number[]>();
  readonly #originsOf = new Map<string, Set<string>>();
  readonly #dots = new Map<string, Row[]>();

  add(accepted: Omit<Accepted, 'perhapsLost'>): void {
    this.accepted.push({ ...accepted, perhapsLost: false });
    const { origin, seq, atMs, nodeId } = accepted;
    const times = this.#times.get(origin) ?? [];
    times[seq - 1] ??= atMs;
    this.#times.set(origin, times);
    const origins = this.#originsOf.get(nodeId) ?? new Set<string>();
    origins.add(origin);
    this.#originsOf.set(nodeId, origins);
    const dot = `${origin} ${seq}`;
    this.#dots.set(dot, [...(this.#dots.get(dot) ?? []), accepted.row]);
  }

  /** All that was written with one log entry. */
  dot(origin: string, seq: number): readonly Row[] {
    return this.#dots.get(`${origin} ${seq}`) ?? [];
  }

  /** All logs that a gateway ever wrote. */
  originsOf(nodeId: string): ReadonlySet<string> {
    return this.#originsOf.get(nodeId) ?? new Set();
  }

  headOf(origin: string): number {
    return this.#times.get(origin)?.length ?? 0;
  }

  /** How many dots an origin had committed by a time. */
  headAt(origin: string, atMs: number): number {
    const times = this.#times.get(origin) ?? [];
    let head = times.length;
    while (head > 0 && (times[head - 1] as number) > atMs) head -= 1;
    return head;
  }

  /** A gateway's disk was put back: of these logs of its only so much was on it. */
  restored(nodeId: string, headOnDisk: (origin: string) => number): void {
    for (const each of this.accepted) {
      if (each.nodeId === nodeId && each.seq > headOnDisk(each.origin)) each.perhapsLost = true;
    }
  }

  /** The greatest version of each register, by name; tombstones included. */
  fold(counts: (accepted: Accepted) => boolean): ReadonlyMap<string, Row> {
    const result = new Map<string, Row>();
    for (const each of this.accepted) {
      if (!counts(each)) continue;
      const name = registerName(each.row);
      const held = result.get(name);
      if (held === undefined || isAbove(each.row, held)) result.set(name, each.row);
    }
    return result;
  }
}

export function registerName({ kind, key }: { readonly kind: number; readonly key: string }): string {
  return `${kind}/${key}`;
}

/** Whether a version is the later one: term, then timeline, then stamp, then the bytes; nothing is the least. */
export function isAbove(a: Row, b: Row): boolean {
  for (const field of ['term', 'timeline', 'stamp'] as const) {
    if (a[field] !== b[field]) return a[field] > b[field];
  }
  if (a.value === null || b.value === null) return a.value !== null && b.value === null;
  return Buffer.compare(a.value, b.value) > 0;
}

export function rowText({ kind, key, term, timeline, stamp, value, seq }: Row): string {
  const content =
    value === null
      ? 'deleted'
      : Buffer.from(value)
          .toString('latin1')
          .replaceAll(/[^ -~]+/g, '.');
  return `${kind}/${JSON.stringify(key)} ${term}.${timeline}.${stamp} seq ${seq} ${content}`;
}
