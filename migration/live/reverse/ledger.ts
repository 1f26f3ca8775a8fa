import { decode, encode } from '../../../src/kernel/codec.ts';
import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { LocalCommand } from '../../../src/state/local.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { BypassReason } from './verdict.ts';

/** A key that somebody wrote at the source past the gateways: it is copied back no more until an operator says so. */
export interface Quarantined {
  readonly key: string;
  readonly why: BypassReason;
  /** Its index at the source when it was found; 0: it is not there. */
  readonly index: number;
  /** Wall clock, milliseconds. */
  readonly atMs: number;
}

/** A transaction under way: what it was to write, until it is known whether it did. */
export interface Batch {
  readonly id: string;
  readonly keys: readonly string[];
}

export interface Baseline {
  readonly term: number;
  readonly index: number;
  /** Another gateway wrote meanwhile: what is known here of single keys counts no more. */
  readonly over: boolean;
  /** The source was restored or replaced since: what is missing there was not deleted by anybody. */
  readonly behind: boolean;
}

/** How the source was when we last looked at who it is. */
export interface KnownSource {
  /** The index of the rule's fence. */
  readonly fence: number;
  /** As the fleet had agreed on. */
  readonly sourceId: string;
  readonly servers: readonly string[];
}

type Put = LocalCommand['puts'][number];
type Delete = LocalCommand['deletes'][number];

export interface Change {
  readonly puts: readonly Put[];
  readonly deletes: readonly Delete[];
}

const kind = Kind.reverse;

/** What copying back has to know after a crash: registers of this gateway alone. */
export class Ledger {
  readonly #gateway: Pick<GatewayPort, 'view' | 'propose'>;

  constructor(gateway: Pick<GatewayPort, 'view' | 'propose'>) {
    this.#gateway = gateway;
  }

  baseline(prefix: string): Baseline | undefined {
    const held = this.#read<readonly [number, number, boolean, boolean?]>(`b/${prefix}`);
    if (held === undefined) return undefined;
    return { term: held[0], index: held[1], over: held[2], behind: held[3] ?? false };
  }

  known(prefix: string): KnownSource | undefined {
    const held = this.#read<readonly [number, string, readonly string[]]>(`s/${prefix}`);
    return held === undefined ? undefined : { fence: held[0], sourceId: held[1], servers: held[2] };
  }

  /** The index at the source of the last transaction of this gateway; 0: none is known. */
  progress(prefix: string): number {
    return this.#read<number>(`p/${prefix}`) ?? 0;
  }

  /** The index at the source that our last write of a key got; 0: it removed it. */
  mirrored(key: string): number | undefined {
    return this.#read<number>(`k/${key}`);
  }

  batch(prefix: string): Batch | undefined {
    const held = this.#read<readonly [string, readonly string[]]>(`t/${prefix}`);
    return held === undefined ? undefined : { id: held[0], keys: held[1] };
  }

  isQuarantined(key: string): boolean {
    return (this.#gateway.view.get(kind, `q/${key}`)?.value ?? null) !== null;
  }

  /** Those whose keys begin so and come after `after`, by key. */
  *quarantined(prefix: string, after = ''): Iterable<Quarantined> {
    const from = after === '' ? `q/${prefix}` : `q/${after}\0`;
    for (const row of this.#gateway.view.range(kind, from, prefixEnd(`q/${prefix}`))) {
      if (row.value === null) continue;
      const [why, index, atMs] = decode(row.value) as [BypassReason, number, number];
      yield { key: row.key.slice(2), why, index, atMs };
    }
  }

  quarantinedCount(prefix: string): number {
    let count = 0;
    for (const { live } of this.#gateway.view.rangeKeys(kind, `q/${prefix}`, prefixEnd(`q/${prefix}`))) {
      if (live) count += 1;
    }
    return count;
  }

  async write(...changes: readonly Change[]): Promise<void> {
    const puts = changes.flatMap((change) => change.puts);
    const deletes = changes.flatMap((change) => change.deletes);
    if (puts.length + deletes.length === 0) return;
    const outcome = await this.#gateway.propose({ kind: 'local', puts, deletes, catalog: [] });
    if (outcome.kind !== 'local') throw new Error('registers of copying back could not be written');
  }

  /** Forgets what it holds of the keys below a prefix that are meant, but not the quarantine. */
  async forget(prefix: string, isMeant: (key: string) => boolean): Promise<void> {
    let from = `k/${prefix}`;
    for (;;) {
      const rows = [...this.#gateway.view.range(kind, from, prefixEnd(`k/${prefix}`), 1000)];
      const keys = rows
        .filter((row) => row.value !== null && isMeant(row.key.slice(2)))
        .map(({ key }) => key);
      // oxlint-disable-next-line no-await-in-loop -- page by page
      await this.write({ puts: [], deletes: keys.map((key) => ({ kind, key })) });
      const last = rows.at(-1);
      if (rows.length < 1000 || last === undefined) break;
      from = `${last.key}\0`;
    }
    await this.write({
      puts: [],
      deletes: [
        { kind, key: `b/${prefix}` },
        { kind, key: `t/${prefix}` },
        { kind, key: `s/${prefix}` },
        { kind, key: `p/${prefix}` },
      ],
    });
  }

  // oxlint-disable-next-line no-unnecessary-type-parameters -- what was written is what is read
  #read<T>(key: string): T | undefined {
    const value = this.#gateway.view.get(kind, key)?.value;
    return value === null || value === undefined ? undefined : (decode(value) as T);
  }
}

export function keepBaseline(prefix: string, { term, index, over, behind }: Baseline): Change {
  return put(`b/${prefix}`, [term, index, over, behind]);
}

export function keepKnown(prefix: string, { fence, sourceId, servers }: KnownSource): Change {
  return put(`s/${prefix}`, [fence, sourceId, servers]);
}

export function keepProgress(prefix: string, index: number): Change {
  return put(`p/${prefix}`, index);
}

export function keepMirrored(key: string, index: number): Change {
  return put(`k/${key}`, index);
}

export function keepBatch(prefix: string, { id, keys }: Batch): Change {
  return put(`t/${prefix}`, [id, keys]);
}

export function dropBatch(prefix: string): Change {
  return { puts: [], deletes: [{ kind, key: `t/${prefix}` }] };
}

export function quarantine({ key, why, index, atMs }: Quarantined): Change {
  return put(`q/${key}`, [why, index, atMs]);
}

export function release(key: string): Change {
  return { puts: [], deletes: [{ kind, key: `q/${key}` }] };
}

function put(key: string, value: unknown): Change {
  return { puts: [{ kind, key, value: encode(value) }], deletes: [] };
}
