import type { MigrationKind } from '../../../src/state/migration.ts';
import type { HoldGate } from '../ports.ts';

interface Held {
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly over: Promise<void>;
  readonly release: () => void;
  readonly timer: NodeJS.Timeout;
}

/** Writes that wait while authority moves. Each hold ends by itself, whatever becomes of who ordered it. */
export class HoldBook implements HoldGate {
  readonly #holds = new Map<string, Held>();

  /** Empty nearly always: the first look is for free. */
  held(of: MigrationKind, key: string): Promise<void> | undefined {
    if (this.#holds.size === 0) return undefined;
    for (const hold of this.#holds.values()) {
      // A tree above the prefix is held with it.
      if (hold.of === of && (key.startsWith(hold.prefix) || hold.prefix.startsWith(key))) return hold.over;
    }
    return undefined;
  }

  /** Holds writes below a prefix for `forMs` at most; `ended` is called when that time ends it. */
  hold(id: string, of: MigrationKind, prefix: string, forMs: number, ended: () => void): void {
    this.release(id);
    let release = (): void => {};
    const over = new Promise<void>((resolve) => {
      release = resolve;
    });
    const timer = setTimeout(() => {
      if (this.release(id)) ended();
    }, forMs);
    this.#holds.set(id, { of, prefix, over, release, timer });
  }

  /** False: it was over already. */
  release(id: string): boolean {
    const hold = this.#holds.get(id);
    if (hold === undefined) return false;
    clearTimeout(hold.timer);
    this.#holds.delete(id);
    hold.release();
    return true;
  }

  isHeld(id: string): boolean {
    return this.#holds.has(id);
  }

  get size(): number {
    return this.#holds.size;
  }

  releaseAll(): void {
    for (const id of [...this.#holds.keys()]) this.release(id);
  }
}
