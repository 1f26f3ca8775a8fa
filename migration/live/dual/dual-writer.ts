import { createHash, randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../../../compat/wire/go-json.ts';
import { failure, type ApiRequest, type Reply } from '../../../compat/wire/http.ts';
import type { KvDelete, KvPut } from '../../../src/state/kv.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { TxnOp } from '../../../src/state/txn.ts';
import type { OwnWrites } from '../bypass/own-writes.ts';
import type { EvidenceSink } from '../ports.ts';
import { unreachable } from '../proxy/replies.ts';
import type { SourceClient } from '../proxy/source-client.ts';
import {
  isDenied,
  plainAnswerOf,
  readTxnAnswer,
  txnBody,
  txnBytesMax,
  type FenceCheck,
  type SetOp,
  type TxnError,
} from './consul-txn.ts';
import { fenceKey, ownKeys, type Fences } from './fence.ts';
import type { KeyLocks } from './key-locks.ts';
import type { Lease, Leases } from './leases.ts';
import type { OpenKeys, OpenName } from './open-keys.ts';
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

type Fenced =
  | { readonly kind: 'done'; readonly results: readonly JsonObject[]; readonly markIndex: number }
  | { readonly kind: 'failed'; readonly errors: readonly TxnError[] }
  | { readonly kind: 'plain' }
  /** Nothing was written. */
  | { readonly kind: 'refused'; readonly reply: Reply }
  | { readonly kind: 'unknown'; readonly reply: Reply };

/** How long it is remembered that a token may not use our keys at the source. */
const tokenMs = 60_000;
const tokensMax = 10_000;
const fenceAttempts = 3;

/**
 * Writes while the source decides: there first, as one transaction that a gateway which missed a step cannot make, then
 * here under the index that the source gave it. Trouble on this side is never the client's: the key is looked up later.
 */
export class DualWriter {
  readonly #options: DualWriterOptions;
  readonly #withoutRights = new Map<string, number>();
  readonly #count: Readonly<
    Record<
      'fenced' | 'plain' | 'refused' | 'unknown' | 'stale' | 'crowded' | 'notStored' | 'late',
      (by?: number) => void
    >
  >;
  readonly #tookMs: (value: number) => void;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(options: DualWriterOptions) {
    this.#options = options;
    const { metrics } = options.gateway;
    this.#count = {
      fenced: metrics.counter('dual.writes', { how: 'fenced' }),
      plain: metrics.counter('dual.writes', { how: 'plain' }),
      refused: metrics.counter('dual.refused'),
      unknown: metrics.counter('dual.unknown'),
      stale: metrics.counter('dual.stale'),
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
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  #write(plan: Plan): Promise<Reply> {
    const written = this.#locked(plan);
    this.#underWay.add(written);
    void written.finally(() => this.#underWay.delete(written)).catch(() => undefined);
    return written;
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
    let outcome: { readonly reply: Reply; readonly stored: Promise<void> };
    try {
      await keys.begin(plan.names);
      outcome = await this.#atSource(plan);
    } catch (error) {
      // A defect, or a disk that fails: whether the source has it is not known.
      keys.queue(plan.names, 'unknown');
      release();
      throw error;
    }
    // The key is free once it is stored here; who asks next finds it so.
    void outcome.stored.finally(release);
    await this.#soon(outcome.stored);
    this.#tookMs(gateway.monoMs() - startedMs);
    return outcome.reply;
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

  async #atSource(plan: Plan): Promise<{ readonly reply: Reply; readonly stored: Promise<void> }> {
    const { keys } = this.#options;
    const fenced = await this.#fenced(plan);
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
    const relayed = relay(gateway, phases, records);
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

  async #fenced(plan: Plan): Promise<Fenced> {
    const { source, fences, gateway } = this.#options;
    const { ops, request, rules } = plan;
    if (ops === undefined || this.#lacksRights(request.token)) return { kind: 'plain' };
    for (let attempt = 0; attempt < fenceAttempts; attempt += 1) {
      const checks: FenceCheck[] = [];
      for (const rule of rules) {
        const fence = await fences.check(rule);
        if (fence.kind === 'stale') return this.#stale(rule, fence.term);
        if (fence.kind === 'trouble') {
          // Not sent: nothing was written. Without rights of our own there is no fence to be had; a lease needs less.
          if (fence.denied) return { kind: 'plain' };
          return { kind: 'refused', reply: unreachable(fence.why) };
        }
        checks.push(fence.check);
      }
      const restored = this.#restored(plan);
      const behind: SetOp[] = [
        ...restored.map(({ key, term }) => ({ key, value: String(term) })),
        ...(plan.deletes ? [{ key: `${ownKeys}mark/${gateway.nodeName}`, value: randomUUID() }] : []),
      ];
      const body = txnBody(checks, ops, behind);
      if (body.length > txnBytesMax) return { kind: 'plain' };
      const answer = await source.ask({ method: 'PUT', path: '/v1/txn', token: request.token, body });
      if (answer.kind !== 'answer') {
        const reply = unreachable(answer.why);
        return { kind: answer.kind === 'unsent' ? 'refused' : 'unknown', reply };
      }
      const text = answer.body.toString();
      if (answer.status === 429) return { kind: 'refused', reply: failure(429, text) };
      if (answer.status >= 500) return { kind: 'unknown', reply: failure(answer.status, text) };
      const said = readTxnAnswer(answer.status, text);
      if (said.kind === 'other') {
        if (answer.status === 200)
          return { kind: 'unknown', reply: unreachable('its answer makes no sense') };
        if (answer.status === 403 || isDenied(text)) this.#noteRights(request.token);
        return { kind: 'plain' };
      }
      if (said.kind === 'done') {
        const results = said.results.slice(checks.length, said.results.length - behind.length);
        const restoredResults = said.results.slice(said.results.length - behind.length);
        for (const [at, { prefix, term }] of restored.entries()) {
          const index = modifyIndexOf(restoredResults[at]);
          if (index === undefined) fences.forget(prefix);
          else fences.learn({ prefix, term }, index);
        }
        const markIndex = plan.deletes ? modifyIndexOf(said.results.at(-1)) : 0;
        if (markIndex === undefined)
          return { kind: 'unknown', reply: unreachable('its answer lacks an index') };
        return { kind: 'done', results, markIndex };
      }
      const ours = said.errors.filter(
        ({ opIndex }) => opIndex < checks.length || opIndex >= checks.length + ops.length,
      );
      if (ours.length === 0) {
        return {
          kind: 'failed',
          errors: said.errors.map(({ opIndex, what }) => ({ opIndex: opIndex - checks.length, what })),
        };
      }
      if (ours.some(({ what }) => isDenied(what))) {
        this.#noteRights(request.token);
        return { kind: 'plain' };
      }
      for (const rule of rules) fences.forget(rule.prefix);
    }
    return { kind: 'refused', reply: unreachable('the fences of its keys change all the time') };
  }

  /** A tree deletion that takes fences with it sets them again, in the same transaction. */
  #restored({
    trees,
  }: Plan): readonly { readonly prefix: string; readonly term: number; readonly key: string }[] {
    if (trees.length === 0) return [];
    return this.#options.phases.rules
      .filter(({ of, prefix }) => of === 'kv' && trees.some((tree) => fenceKey(prefix).startsWith(tree)))
      .map(({ prefix, term }) => ({ prefix, term, key: fenceKey(prefix) }));
  }

  #stale(rule: PhaseRule, term: number): Fenced {
    return { kind: 'refused', reply: this.#staleReply(rule, term) };
  }

  #staleReply(rule: PhaseRule, term: number): Reply {
    this.#count.stale();
    this.#options.gateway.log.warn(
      { prefix: rule.prefix, term: rule.term, sourceTerm: term },
      'the migration moved on, and this gateway has not heard of it: it refuses writes',
    );
    const text =
      `rpc error making call: the migration of ${JSON.stringify(rule.prefix)} moved on (term ${term}), which this ` +
      `gateway has not heard of yet (term ${rule.term}): try again`;
    return failure(500, text);
  }

  #unproved(lease: Exclude<Lease, { readonly kind: 'held' }>): Reply {
    if (lease.kind === 'stale') return this.#staleReply(lease.rule, lease.term);
    const rights = lease.denied ? `the token of this gateway may not use ${ownKeys} there: ` : '';
    return unreachable(`${rights}${lease.why}`);
  }

  /** Without a transaction: as the client sent it, and then what is there is read. */
  async #plain(plan: Plan): Promise<{ readonly reply: Reply; readonly stored: Promise<void> }> {
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

  #lacksRights(token: string): boolean {
    const untilMs = this.#withoutRights.get(hashOf(token));
    return untilMs !== undefined && untilMs > this.#options.gateway.monoMs();
  }

  #noteRights(token: string): void {
    if (this.#withoutRights.size >= tokensMax) this.#withoutRights.clear();
    this.#withoutRights.set(hashOf(token), this.#options.gateway.monoMs() + tokenMs);
  }
}

/** Told one by one; of a larger tree only so many. */
const acknowledgedMax = 128;

function hashOf(token: string): string {
  return token === '' ? '' : createHash('sha256').update(token).digest('base64');
}

/** A 500 that says what is wrong with the request: nothing was written. */
function isClientsFault(text: string): boolean {
  return typeof plainAnswerOf(text) === 'string' || isDenied(text);
}

function modifyIndexOf(result: JsonObject | undefined): number | undefined {
  const kv = result?.['KV'];
  const index = isJsonObject(kv) ? kv['ModifyIndex'] : undefined;
  return typeof index === 'number' ? index : undefined;
}
