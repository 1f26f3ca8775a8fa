import { compareBytewise } from '../byte-order.ts';
import { digestCatalog, digestKv } from '../digest.ts';
import { compareVersions } from '../mirror/version.ts';
import type { MirrorKind } from '../mirror/registers.ts';
import type {
  ApplyOutcome,
  HeldEntry,
  HeldPage,
  HeldQuery,
  MirrorBatch,
  MirrorRecord,
  MirrorState,
  MirrorTarget,
} from './target.ts';

type Register = HeldEntry & { readonly record: MirrorRecord | null };

/** A target that keeps everything in memory, with the gateway's semantics: for tests and for trying out. */
export class MemoryTarget implements MirrorTarget {
  readonly address = 'memory';
  readonly #gatewayNode: string;
  readonly #others: readonly string[];
  readonly #registers = new Map<MirrorKind, Map<string, Register>>();
  #timeline = 0;
  #cursors: Record<string, string> = {};
  #applies = 0;

  /** `others`: node names of the other gateways of its fleet. */
  constructor(gatewayNode = 'gateway', others: readonly string[] = []) {
    this.#gatewayNode = gatewayNode;
    this.#others = others;
  }

  /** How many batches were applied so far. */
  get applies(): number {
    return this.#applies;
  }

  readonly state = async (source: string): Promise<MirrorState> => ({
    source,
    timeline: this.#timeline,
    cursors: { ...this.#cursors },
    gatewayNode: this.#gatewayNode,
    gatewayNodes: [this.#gatewayNode, ...this.#others],
    datacenter: 'dc1',
    otherSources: [],
  });

  readonly held = async (query: HeldQuery): Promise<HeldPage> => {
    const keys = [...this.#of(query.kind).keys()]
      .filter(
        (key) =>
          key.startsWith(query.prefix) && (query.after === '' || compareBytewise(key, query.after) > 0),
      )
      .toSorted(compareBytewise);
    const entries: HeldEntry[] = [];
    for (const key of keys.slice(0, query.limit)) {
      const register = this.#of(query.kind).get(key);
      if (register !== undefined) entries.push(register);
    }
    return { entries, more: keys.length > query.limit };
  };

  readonly apply = async (batch: MirrorBatch): Promise<ApplyOutcome> => {
    this.#applies += 1;
    const counts = { applied: 0, unchanged: 0, older: 0 };
    const conflicts: { kind: string; key: string; heldTerm: number }[] = [];
    for (const record of batch.records) {
      const held = this.#of(record.kind).get(record.key);
      const next = registerOf(record, batch.timeline);
      if (held !== undefined && held.term > 0) {
        conflicts.push({ kind: record.kind, key: record.key, heldTerm: held.term });
      } else if (held !== undefined && compareVersions(next, held) <= 0) {
        counts.older += 1;
      } else {
        const same = held !== undefined && held.deleted === next.deleted && held.digest === next.digest;
        this.#of(record.kind).set(record.key, next);
        counts[same ? 'unchanged' : 'applied'] += 1;
      }
    }
    this.#timeline = Math.max(this.#timeline, batch.timeline);
    this.#cursors = { ...this.#cursors, ...batch.cursors };
    return { ...counts, refused: [], conflicts };
  };

  /** The record last applied to a live register; undefined when it is absent or deleted. */
  live(kind: MirrorKind, key: string): MirrorRecord | undefined {
    const register = this.#of(kind).get(key);
    return register === undefined || register.deleted ? undefined : (register.record ?? undefined);
  }

  liveKeys(kind: MirrorKind): readonly string[] {
    return [...this.#of(kind).values()]
      .filter((register) => !register.deleted)
      .map((register) => register.key)
      .toSorted(compareBytewise);
  }

  version(kind: MirrorKind, key: string): HeldEntry | undefined {
    return this.#of(kind).get(key);
  }

  /** Puts a register there as if it had been written at the target (a higher term) or by an earlier run. */
  plant(kind: MirrorKind, entry: HeldEntry): void {
    this.#of(kind).set(entry.key, { ...entry, record: null });
  }

  #of(kind: MirrorKind): Map<string, Register> {
    let registers = this.#registers.get(kind);
    if (registers === undefined) this.#registers.set(kind, (registers = new Map()));
    return registers;
  }
}

function registerOf(record: MirrorRecord, timeline: number): Register {
  const version = { key: record.key, term: 0, timeline, stamp: record.stamp, record };
  if ('deleted' in record) return { ...version, deleted: true, digest: '' };
  const digest =
    record.kind === 'kv' ? digestKv(record.value, record.flags) : digestCatalog(record.kind, record.value);
  return { ...version, deleted: false, digest };
}
