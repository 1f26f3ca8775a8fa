import type { JsonValue } from '../../../compat/wire/go-json.ts';
import { failure, type ApiRequest, type Reply } from '../../../compat/wire/http.ts';
import type { KvDelete, KvPut } from '../../../src/state/kv.ts';
import { readerOf, type PhaseRule } from '../../../src/state/migration.ts';
import type { TxnOp } from '../../../src/state/txn.ts';
import type { OwnWrites } from '../bypass/own-writes.ts';
import type { EvidenceSink } from '../ports.ts';
import { unreachable } from '../proxy/replies.ts';
import type { SourceClient } from '../proxy/source-client.ts';
import { isDenied, plainAnswerOf } from './consul-txn.ts';
import { ownKeys, type Fences } from './fence.ts';
import { FencedTxn } from './fenced-txn.ts';
import type { KeyLocks } from './key-locks.ts';
import type { Lease, Leases } from './leases.ts';
import { NextCommit } from './next-commit.ts';
import { isTree, nameOfKey, textOfName, type OpenKeys, type OpenName } from './open-keys.ts';
import { relay } from './relay.ts';
import type { Repairer } from './repairer.ts';
import { deletePlan, putPlan, txnPlan, type Done, type Plan, type PlanContext } from './write-plans.ts';

export interface DualWriterOptions extends PlanContext {
  readonly source: SourceClient;
  readonly fences: Fences;
  readonly leases: Leases;
  readonly keys: OpenKeys;
  readonly locks: KeyLocks;
  readonly repairer: Repairer;
  readonly evidence: EvidenceSink;
  readonly own: OwnWrites;
  /** How long a client waits for this gateway to store what the source has taken, milliseconds. */
  readonly storeMsMax: number;
}

interface Outcome {
  readonly reply: Reply;
  /** Resolves once what the source took is stored here, or is known to be looked up later. Never rejects. */
  readonly stored: Promise<void>;
}

/**
 * Writes while the source decides: there first, as one transaction that a gateway which missed a step cannot make, then
 * here under the index that the source gave it. Trouble on this side is never the client's: the key is looked up later.
 */
export class DualWriter {
  readonly #options: DualWriterOptions;
  readonly #count: Readonly<
    Record<
      'fenced' | 'plain' | 'refused' | 'unknown' | 'crowded' | 'notStored' | 'late',
      (by?: number) => void
    >
  >;
  readonly #tookMs: (value: number) => void;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #fenced: FencedTxn;
  readonly #nextCommit: NextCommit;
  /** What clients were told, and is not stored here yet. */
  readonly #unstored = new Map<OpenName, number>();

  constructor(options: DualWriterOptions) {
    this.#options = options;
    this.#fenced = new FencedTxn(options);
    this.#nextCommit = new NextCommit(options.gateway);
    const { metrics } = options.gateway;
    this.#count = {
      fenced: metrics.counter('dual.writes', { how: 'fenced' }),
      plain: metrics.counter('dual.writes', { how: 'plain' }),
      refused: metrics.counter('dual.refused'),
      unknown: metrics.counter('dual.unknown'),
      crowded: metrics.counter('dual.crowded'),
      notStored: metrics.counter('dual.not_stored'),
      late: metrics.counter('dual.stored_late'),
    };
    this.#tookMs = metrics.histogram('dual.time');
  }

  put(request: ApiRequest, command: KvPut, rule: PhaseRule): Promise<Reply> {
    return this.#write(putPlan(this.#options, request, command, rule));
  }

  delete(request: ApiRequest, command: KvDelete, rules: readonly PhaseRule[]): Promise<Reply> {
    return this.#write(deletePlan(this.#options, request, command, rules));
  }

  /** `items`: the body as it was read; `ops`: what it means. */
  txn(
    request: ApiRequest,
    items: readonly JsonValue[],
    ops: readonly TxnOp[],
    rules: readonly PhaseRule[],
  ): Promise<Reply> {
    return this.#write(txnPlan(this.#options, request, items, ops, rules));
  }

  /** Resolves when no write is under way any more. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) {
      this.#nextCommit.go();
      await Promise.allSettled(this.#underWay);
    }
  }

  /** Whether a client was told of a write of the key, or of one below the prefix, that is not stored here yet. */
  isUnstored(text: string, below: boolean): boolean {
    // It could not be stored, or nobody knows what became of it: it is still to be looked up.
    if (this.#options.keys.repairs.has(nameOfKey(text))) return true;
    for (const name of this.#unstored.keys()) {
      const other = textOfName(name);
      if (isTree(name) ? text.startsWith(other) : text === other) return true;
      if (below && other.startsWith(text)) return true;
    }
    return false;
  }

  #write(plan: Plan): Promise<Reply> {
    return this.#tracked(this.#locked(plan));
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work)).catch(() => undefined);
    return work;
  }

  async #locked(plan: Plan): Promise<Reply> {
    const { gateway, locks, keys } = this.#options;
    const { startedMs } = plan;
    const taken = locks.take(plan.names);
    if (taken === undefined) {
      this.#count.crowded();
      return failure(429, 'Too many writes of this key are waiting: try again in a while');
    }
    const release = await taken;
    let outcome: Outcome;
    try {
      // The intent goes to disk while the source is asked: a crash before it is there leaves a change of the source's,
      // which the tail finds as it finds others' changes.
      this.#nextCommit.go();
      const noted = keys.begin(plan.names);
      const [asked] = await Promise.allSettled([this.#atSource(plan), noted]);
      if (asked.status === 'rejected') throw asked.reason;
      outcome = asked.value;
    } catch (error) {
      // A defect, or a disk that fails: whether the source has it is not known.
      keys.queue(plan.names, 'unknown');
      release();
      throw error;
    }
    // The key is free once it is stored here; who asks next finds it so.
    const stored = this.#tracked(outcome.stored.finally(release));
    // Clients that read at the source find there what they wrote.
    if (readsHere(plan)) await this.#soon(stored);
    this.#noteUnstored(plan.names, stored);
    this.#tookMs(gateway.monoMs() - startedMs);
    return outcome.reply;
  }

  #noteUnstored(names: readonly OpenName[], stored: Promise<void>): void {
    for (const name of names) this.#unstored.set(name, (this.#unstored.get(name) ?? 0) + 1);
    void stored.finally(() => {
      for (const name of names) {
        const more = (this.#unstored.get(name) ?? 1) - 1;
        if (more > 0) this.#unstored.set(name, more);
        else this.#unstored.delete(name);
      }
    });
  }

  /** Waits for a while only: the source has it, which is what counts. */
  async #soon(stored: Promise<void>): Promise<void> {
    const { gateway, storeMsMax } = this.#options;
    const enough = new AbortController();
    let done = false;
    const waited = gateway.clock.sleep(storeMsMax, enough.signal).then(() => {
      if (!done) this.#count.late();
    });
    await Promise.race([
      stored.then(() => {
        done = true;
        enough.abort();
      }),
      waited,
    ]);
  }

  async #atSource(plan: Plan): Promise<Outcome> {
    const { keys } = this.#options;
    const fenced = await this.#fenced.ask(plan);
    switch (fenced.kind) {
      case 'done': {
        this.#count.fenced();
        for (const prefix of plan.trees) this.#options.own.noteTree(prefix, fenced.markIndex);
        const done = plan.done(fenced.results, fenced.markIndex);
        return { reply: done.reply, stored: this.#store(plan, done) };
      }
      case 'failed': {
        const reply = plan.failed(fenced.errors);
        if (reply === undefined) return this.#plain(plan);
        this.#count.refused();
        keys.resolve(plan.names);
        return { reply, stored: Promise.resolve() };
      }
      case 'plain':
        return this.#plain(plan);
      case 'refused':
        this.#count.refused();
        keys.resolve(plan.names);
        return { reply: fenced.reply, stored: Promise.resolve() };
      case 'unknown':
        this.#count.unknown();
        keys.queue(plan.names, 'unknown');
        return { reply: fenced.reply, stored: Promise.resolve() };
    }
  }

  /** Stores here what the source has; what cannot be stored now is looked up later. */
  async #store(plan: Plan, { records, unclear }: Done): Promise<void> {
    const { gateway, phases, keys, source, evidence, own } = this.#options;
    const sourceMs = gateway.monoMs();
    for (const { key, stamp, value } of records) {
      source.sawIndex(stamp);
      own.note(key, { index: stamp, deleted: value === null });
    }
    if (unclear.length > 0) keys.queue(unclear, 'unknown');
    if (!readsHere(plan)) await this.#nextCommit.soon();
    const relayed = relay(gateway, phases, records, plan.rules);
    // In the same commit as the records, as they are proposed in one go.
    keys.resolve(plan.names.filter((name) => !unclear.includes(name)));
    const problem = await relayed;
    if (problem !== undefined) {
      this.#count.notStored();
      gateway.log.debug({ why: problem }, 'a write that the source has was not stored here');
      keys.queue(plan.names, 'relay');
      return;
    }
    const hereMs = gateway.monoMs();
    for (const { key, stamp, value } of records.slice(0, acknowledgedMax)) {
      evidence.acknowledged({
        ...{ key, index: stamp, deleted: value === null, sourceMs, hereMs },
        ...{ request: plan.request, startedMs: plan.startedMs },
      });
    }
  }

  #unproved(lease: Exclude<Lease, { readonly kind: 'held' }>): Reply {
    if (lease.kind === 'stale') return this.#fenced.stale(lease.rule, lease.term);
    const rights = lease.denied ? `the token of this gateway may not use ${ownKeys} there: ` : '';
    return unreachable(`${rights}${lease.why}`);
  }

  /** Without a transaction: as the client sent it, and then what is there is read. */
  async #plain(plan: Plan): Promise<Outcome> {
    const { source, keys, leases, gateway } = this.#options;
    const done = Promise.resolve();
    const lease = await leases.prove(plan.rules);
    if (lease.kind !== 'held') {
      this.#count.refused();
      keys.resolve(plan.names);
      return { reply: this.#unproved(lease), stored: done };
    }
    const passed = await source.passWhole(plan.plain());
    if (passed.kind !== 'unsent' && gateway.monoMs() > lease.untilMs) {
      // It may have come after a cutover that did not wait for it.
      const again = await leases.prove(plan.rules, true);
      if (again.kind !== 'held') {
        this.#count.unknown();
        keys.queue(plan.names, 'unknown');
        return { reply: this.#unproved(again), stored: done };
      }
    }
    if (passed.kind !== 'answer') {
      if (passed.kind === 'unsent') keys.resolve(plan.names);
      else keys.queue(plan.names, 'unknown');
      this.#count[passed.kind === 'unsent' ? 'refused' : 'unknown']();
      return { reply: unreachable(passed.why), stored: done };
    }
    const body = passed.body.toString();
    const contentType = passed.header('content-type');
    const reply: Reply = { kind: 'reply', status: passed.status, body, contentType };
    if (passed.status >= 500 && !isClientsFault(body)) {
      this.#count.unknown();
      keys.queue(plan.names, 'unknown');
      return { reply, stored: done };
    }
    if (!plan.wrote(passed.status, body)) {
      this.#count.refused();
      keys.resolve(plan.names);
      return { reply, stored: done };
    }
    this.#count.plain();
    return { reply, stored: this.#lookUp(plan.names) };
  }

  async #lookUp(names: readonly OpenName[]): Promise<void> {
    const { repairer, keys } = this.#options;
    await Promise.all(
      names.map(async (name) => {
        const problem = await repairer.lookUp(name);
        if (problem === undefined) keys.resolve([name]);
        else keys.queue([name], 'plain');
      }),
    );
  }
}

/** Whether clients read here what they write. */
function readsHere({ rules }: Plan): boolean {
  return rules.some(({ phase }) => readerOf(phase) === 'here');
}

/** Told one by one; of a larger tree only so many. */
const acknowledgedMax = 128;

/** A 500 that says what is wrong with the request: nothing was written. */
function isClientsFault(text: string): boolean {
  return typeof plainAnswerOf(text) === 'string' || isDenied(text);
}
