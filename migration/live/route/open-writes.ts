import { isTree, textOfName, type OpenName } from '../dual/open-keys.ts';

/** Writes that clients wait for, whoever answers them, by what they write. */
export class OpenWrites {
  readonly #counts = new Map<OpenName, number>();

  /** Answers how to say that it is answered. */
  begin(names: readonly OpenName[]): () => void {
    for (const name of names) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      for (const name of names) {
        const left = (this.#counts.get(name) ?? 0) - 1;
        if (left > 0) this.#counts.set(name, left);
        else this.#counts.delete(name);
      }
    };
  }

  has(name: OpenName): boolean {
    return this.#counts.has(name);
  }

  /** How many may touch keys below a prefix. */
  below(prefix: string): number {
    let count = 0;
    for (const [name, number] of this.#counts) if (concerns(name, prefix)) count += number;
    return count;
  }

  /** How many write this name. */
  of(name: OpenName): number {
    return this.#counts.get(name) ?? 0;
  }
}

/** All of the catalog, as a name. */
export const catalogName: OpenName = 'c/';

/** Whether a write may touch keys below the prefix. */
export function concerns(name: OpenName, prefix: string): boolean {
  if (name === catalogName) return false;
  const text = textOfName(name);
  return text.startsWith(prefix) || (isTree(name) && prefix.startsWith(text));
}
