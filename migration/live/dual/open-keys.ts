import { Kind } from '../../../src/state/kinds.ts';
import type { LocalCommand } from '../../../src/state/local.ts';
import { decodeValue, encodeValue } from '../../../src/state/values.ts';
import type { GatewayPort } from '../gateway-port.ts';

/**
 * Why a key is to be read at the source and relayed:
 * - `crash`: a write of it was under way when this gateway ended;
 * - `unknown`: the source may have taken a write, and did not say so;
 * - `plain`: it was written without a transaction, and could not be read afterwards;
 * - `relay`: the source has it, and this gateway could not store it;
 * - `asked`: an operator, or another part, wants it.
 */
export type RepairCause = (typeof repairCauses)[number];
export const repairCauses = ['crash', 'unknown', 'plain', 'relay', 'asked'] as const;

/** A key (`k/…`) or all keys below a prefix (`t/…`). */
export type OpenName = string;

export function nameOfKey(key: string): OpenName {
  return `k/${key}`;
}

export function nameOfTree(prefix: string): OpenName {
  return `t/${prefix}`;
}

/** Its key or prefix. */
export function textOfName(name: OpenName): string {
  return name.slice(2);
}

export function isTree(name: OpenName): boolean {
  return name.startsWith('t/');
}

export interface Repair {
  readonly cause: RepairCause;
  readonly sinceMs: number;
}

/** Guess. */
const treesLookedAt = 256;

interface OpenValue {
  readonly cause: RepairCause | 'intent';
  /** Wall clock. */
  readonly sinceMs: number;
}

/**
 * Keys that are being written, and keys that must be looked up: local registers, so that they outlive a crash. An intent
 * is on disk before a client is answered (it goes there while the source is asked); one that is found at a start is a key
 * to look up.
 */
export class OpenKeys {
  readonly #gateway: GatewayPort;
  readonly #repairsMax: number;
  readonly #intents = new Map<OpenName, number>();
  readonly #repairs = new Map<OpenName, Repair>();
  readonly #onRepair = new Set<() => void>();
  #dropped = 0;

  constructor(gateway: GatewayPort, repairsMax: number) {
    this.#gateway = gateway;
    this.#repairsMax = repairsMax;
  }

  /** What an earlier run of this gateway left behind. */
  load(): void {
    for (const row of this.#gateway.view.range(Kind.dualKey, '', undefined)) {
      if (row.value === null) continue;
      const { cause, sinceMs } = decodeValue<OpenValue>(row.value);
      this.#repairs.set(row.key, { cause: cause === 'intent' ? 'crash' : cause, sinceMs });
    }
  }

  get repairs(): ReadonlyMap<OpenName, Repair> {
    return this.#repairs;
  }

  /** Repairs that there was no room for: the tail finds what they would have found. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether a write of the key is under way, or what became of one is still to be looked up. */
  isOpen(key: string): boolean {
    const name = nameOfKey(key);
    if (this.#intents.has(name) || this.#repairs.has(name)) return true;
    for (const each of this.#trees()) if (key.startsWith(textOfName(each))) return true;
    return false;
  }

  *#trees(): Iterable<OpenName> {
    for (const name of this.#intents.keys()) if (isTree(name)) yield name;
    // With more of them there is trouble at the source anyway.
    if (this.#repairs.size > treesLookedAt) return;
    for (const name of this.#repairs.keys()) if (isTree(name)) yield name;
  }

  get intents(): Iterable<OpenName> {
    return this.#intents.keys();
  }

  get intentCount(): number {
    return this.#intents.size;
  }

  /** Age of the oldest repair of a key below a prefix, milliseconds; 0: there is none. */
  oldestMs(prefix: string): number {
    let oldest = Infinity;
    for (const [name, { sinceMs }] of this.#repairs) {
      if (sinceMs < oldest && textOfName(name).startsWith(prefix)) oldest = sinceMs;
    }
    return oldest === Infinity ? 0 : Math.max(0, this.#gateway.clock.now() - oldest);
  }

  onRepair(listener: () => void): () => void {
    this.#onRepair.add(listener);
    return () => this.#onRepair.delete(listener);
  }

  /** Resolves once the intents are durable. */
  async begin(names: readonly OpenName[]): Promise<void> {
    const sinceMs = this.#gateway.clock.now();
    for (const name of names) this.#intents.set(name, sinceMs);
    const outcome = await this.#propose({
      puts: names.map((key) => ({ kind: Kind.dualKey, key, value: encoded({ cause: 'intent', sinceMs }) })),
    });
    if (outcome !== undefined) throw new Error(`the intent of a write could not be noted: ${outcome}`);
  }

  /** The write is done, one way or the other. What was to be looked up before it still is. */
  resolve(names: readonly OpenName[]): void {
    for (const name of names) this.#intents.delete(name);
    this.#forget(names.filter((name) => !this.#repairs.has(name)));
    const still = names.flatMap((name) => {
      const repair = this.#repairs.get(name);
      return repair === undefined ? [] : [{ name, repair }];
    });
    if (still.length > 0) this.#note(still);
  }

  /** They are to be looked up. */
  queue(names: readonly OpenName[], cause: RepairCause): void {
    const sinceMs = this.#gateway.clock.now();
    const added: { name: OpenName; repair: Repair }[] = [];
    const noRoom: OpenName[] = [];
    for (const name of names) {
      this.#intents.delete(name);
      const repair = this.#repairs.get(name) ?? { cause, sinceMs };
      if (this.#repairs.size >= this.#repairsMax && !this.#repairs.has(name)) {
        this.#dropped += 1;
        noRoom.push(name);
        continue;
      }
      this.#repairs.set(name, repair);
      added.push({ name, repair });
    }
    if (added.length > 0) this.#note(added);
    if (noRoom.length > 0) this.#forget(noRoom);
    for (const listener of this.#onRepair) listener();
  }

  /** It was looked up. */
  repaired(name: OpenName): void {
    this.#repairs.delete(name);
    if (!this.#intents.has(name)) this.#forget([name]);
  }

  #note(entries: readonly { readonly name: OpenName; readonly repair: Repair }[]): void {
    const puts = entries.map(({ name, repair }) => ({
      kind: Kind.dualKey,
      key: name,
      value: encoded(repair),
    }));
    void this.#propose({ puts });
  }

  #forget(names: readonly OpenName[]): void {
    if (names.length === 0) return;
    void this.#propose({ deletes: names.map((key) => ({ kind: Kind.dualKey, key })) });
  }

  /** Why it was refused; undefined: it was not. */
  async #propose(change: Partial<Pick<LocalCommand, 'puts' | 'deletes'>>): Promise<string | undefined> {
    try {
      const outcome = await this.#gateway.propose({
        ...{ kind: 'local', puts: [], deletes: [], catalog: [] },
        ...change,
      });
      return outcome.kind === 'refused' ? outcome.message : undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function encoded(value: OpenValue): Uint8Array {
  return encodeValue(value);
}
