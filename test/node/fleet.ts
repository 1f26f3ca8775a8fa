import type { Dot, OriginId } from '../../src/crdt/dot.ts';
import { hasSeq, missingRanges, type SeqRanges } from '../../src/crdt/seq-ranges.ts';
import type { Instant } from '../../src/kernel/instant.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Replica } from '../../src/node/replica.ts';
import { startCursor, type Cursor, type MergeResult } from '../../src/replication/log.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import { isReplicated, Kind } from '../../src/state/kinds.ts';
import type { Row, Store } from '../../src/state/store.ts';
import { startUs } from './machine.ts';

/** One gateway of a fleet without a network: tests carry its dots. */
export class Gateway {
  readonly name: string;
  readonly nodeId: string;
  readonly store: Store;
  replica: Replica;
  /** Wall clock, microseconds. */
  nowUs = startUs;
  #minted = 0;

  constructor(name: string, store: Store = new MemoryStore()) {
    this.name = name;
    this.nodeId = `id-of-${name}`;
    this.store = store;
    this.replica = this.restarted();
  }

  /** As it comes back from what is in its store. */
  restarted(): Replica {
    this.replica = new Replica({
      store: this.store,
      origin: (this.store.getMeta('origin') ?? originOf(this.name, 0)) as OriginId,
      nodeId: this.nodeId,
      nodeName: this.name,
    });
    return this.replica;
  }

  get now(): Instant {
    return { wallUs: this.nowUs, monoMs: this.nowUs / 1000 };
  }

  /** Something inside a transaction, as the drive loop does it. */
  transact<T>(work: (replica: Replica) => T): T {
    return this.store.transact(() => {
      const value = work(this.replica);
      this.replica.flush();
      return value;
    });
  }

  found(): this {
    this.transact((replica) => replica.found(this.nowUs, '0123456789abcdef'));
    return this;
  }

  do(command: Command): CommandOutcome {
    this.nowUs += 10;
    return this.transact((replica) => replica.step(command, this.nowUs).outcome);
  }

  merge(dot: Dot, from: Gateway): MergeResult {
    this.nowUs += 10;
    return this.transact((replica) => {
      for (const { origin, nodeId } of from.replica.origins()) replica.introduce(origin, nodeId);
      return replica.merge(dot, this.now);
    });
  }

  remint(sinceSeq: number): void {
    this.#minted += 1;
    this.transact((replica) => replica.remint(originOf(this.name, this.#minted), sinceSeq));
  }

  /** Dots that this gateway has and the other one lacks, newest first. */
  dotsFor(other: Gateway): readonly Dot[] {
    return [...this.replica.origins()].flatMap(({ origin, seen }) =>
      missingRanges(seen, other.replica.originLog(origin)?.seen ?? []).flatMap((range) =>
        this.replica.read(origin, range, Infinity, Infinity),
      ),
    );
  }

  /** Takes over whatever the other one has and this one lacks. Answers whether there was anything. */
  pull(from: Gateway): boolean {
    let applied = false;
    for (const dot of from.dotsFor(this)) applied = this.merge(dot, from) === 'applied' || applied;
    return applied;
  }

  /** Joins the other one's whole state, page by page. */
  join(from: Gateway, rowsMax = 3): number {
    const context = new Map<OriginId, SeqRanges>();
    let changed = 0;
    for (let cursor: Cursor | undefined = startCursor; cursor !== undefined;) {
      const page = from.replica.page(cursor, rowsMax, Infinity);
      for (const { origin, seen } of from.replica.origins()) context.set(origin, seen);
      changed += this.transact((replica) => {
        for (const { origin, nodeId } of from.replica.origins()) replica.introduce(origin, nodeId);
        return replica.join(page, context, this.now);
      });
      cursor = page.to;
    }
    this.transact((replica) => replica.adoptContext(context, this.now));
    return changed;
  }

  has({ origin, seq }: { readonly origin: OriginId; readonly seq: number }): boolean {
    return hasSeq(this.replica.originLog(origin)?.seen ?? [], seq);
  }

  text(key: string): string | undefined {
    const row = this.store.get(Kind.kv, key);
    if (!row?.value) return undefined;
    return new TextDecoder().decode(row.value.slice(-1));
  }

  /** What all replicas must hold alike: everything replicated that lives, but for the numbers that are its own. */
  state(): readonly unknown[] {
    return [...this.rows()]
      .filter((row) => row.value !== null)
      .map((row) => [row.kind, row.key, row.term, row.timeline, row.stamp, row.born, row.ix, hex(row.value)]);
  }

  *rows(): Iterable<Row> {
    for (const kind of this.store.kinds()) {
      if (isReplicated(kind)) yield* this.store.range(kind, '', undefined);
    }
  }
}

function hex(bytes: Uint8Array | null): string | null {
  return bytes && Buffer.from(bytes).toString('hex');
}

export function originOf(name: string, life: number): OriginId {
  return `${Buffer.from(name).toString('hex')}${String(life).padStart(2, '0')}`.padStart(32, '0') as OriginId;
}

/** Everybody pulls from everybody until nothing moves. */
export function converge(gateways: readonly Gateway[]): void {
  for (let round = 0; round < 50; round++) {
    let moved = false;
    for (const to of gateways) for (const from of gateways) if (to !== from) moved = to.pull(from) || moved;
    if (!moved) return;
  }
  throw new Error('the fleet does not come to rest');
}
