import { operationsMax, type KeyOperation } from '../../evidence/linearizability.ts';
import { BoundedMap } from './bounded-map.ts';

const keysMax = 512;
/** A history is judged when it has so many operations, or when it is so old. */
const ageMsMax = 60_000;

export interface History {
  readonly key: string;
  readonly operations: readonly KeyOperation[];
}

/** Everything that clients did here with the keys whose every operation is recorded, in pieces that can be judged. */
export class Histories {
  readonly #onWhole: (history: History) => void;
  readonly #keys = new BoundedMap<{ sinceMs: number; operations: KeyOperation[] }>(keysMax);

  constructor(onWhole: (history: History) => void) {
    this.#onWhole = onWhole;
  }

  add(key: string, operation: KeyOperation, nowMs: number): void {
    const held = this.#keys.get(key) ?? { sinceMs: nowMs, operations: [] };
    held.operations.push(operation);
    if (held.operations.length < operationsMax) this.#keys.set(key, held);
    else this.#judge(key, held.operations);
  }

  /** Called now and then. */
  tick(nowMs: number): void {
    for (const [key, { sinceMs, operations }] of [...this.#keys.entries()]) {
      if (nowMs - sinceMs >= ageMsMax) this.#judge(key, operations);
    }
  }

  /** See `SessionTracker.clear`. */
  clear(): void {
    this.#keys.clear();
  }

  #judge(key: string, operations: readonly KeyOperation[]): void {
    this.#keys.delete(key);
    if (operations.length > 1) this.#onWhole({ key, operations });
  }
}
