import { Kind } from '../../../src/state/kinds.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import { encodeKv } from '../../../src/state/values.ts';

/** One word of the source on a key. */
interface Said {
  readonly index: number;
  readonly text: string | null;
}

/** The one timeline of the model: no snapshot is restored there. */
export const sourceTimeline = 1;

/**
 * A source Consul, as far as lent zones can tell: one index, keys with the index that they were written at, and of each
 * prefix the term below which writes are refused (what dual writes check in their transaction). A delete always takes an
 * index, as a dual one does, which writes a mark beside it.
 */
export class ModelSource {
  readonly #said = new Map<string, Said[]>();
  readonly #born = new Map<string, number>();
  readonly #fences = new Map<string, number>();
  #index = 10;

  get index(): number {
    return this.#index;
  }

  write(key: string, text: string | null): MirrorRecord {
    this.#index += 1;
    const said = this.#said.get(key) ?? [];
    if (text !== null && (said.at(-1)?.text ?? null) === null) this.#born.set(key, this.#index);
    said.push({ index: this.#index, text });
    this.#said.set(key, said);
    return this.#record(key, said.at(-1) as Said);
  }

  get(key: string): string | null {
    return this.#said.get(key)?.at(-1)?.text ?? null;
  }

  /** What a key was at an index; undefined: nothing was ever said of it by then. */
  textAt(key: string, index: number): string | null | undefined {
    return this.#said.get(key)?.findLast((each) => each.index <= index)?.text;
  }

  /** Whether an index is the one that a key was written at. */
  wrote(key: string, index: number): boolean {
    return this.#said.get(key)?.some((each) => each.index === index) === true;
  }

  /** Everything there is below a prefix. */
  list(prefix: string): readonly MirrorRecord[] {
    return [...this.#said].flatMap(([key, said]) => {
      const last = said.at(-1);
      return key.startsWith(prefix) && last !== undefined && last.text !== null
        ? [this.#record(key, last)]
        : [];
    });
  }

  /** Whether a dual write of a gateway that knows of this term goes through. */
  accepts(prefix: string, term: number): boolean {
    return (this.#fences.get(prefix) ?? 0) <= term;
  }

  fence(prefix: string, term: number): void {
    this.#fences.set(prefix, term);
  }

  #record(key: string, { index, text }: Said): MirrorRecord {
    const bytes = text === null ? undefined : new TextEncoder().encode(text);
    const value =
      bytes === undefined ? null : encodeKv({ flags: 0n, lockIndex: 0, session: '', value: bytes });
    return { kind: Kind.kv, key, stamp: index, born: this.#born.get(key) ?? index, value, ix: null };
  }
}
