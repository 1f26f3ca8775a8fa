import { Kind } from '../../../src/state/kinds.ts';
import type { MigrationSource, PhaseRule } from '../../../src/state/migration.ts';
import type { Row } from '../../../src/state/store.ts';
import { decodeKv } from '../../../src/state/values.ts';
import type { ConsulReader } from '../../source/consul-reader.ts';
import type { Fences } from '../dual/fence.ts';
import type { SourceAsker } from '../proxy/source-client.ts';
import type { FenceCheck } from '../dual/consul-txn.ts';
import { readKey } from '../dual/read-key.ts';
import type { GatewayPort } from '../gateway-port.ts';
import { Footing, Trouble } from './footing.ts';
import {
  dropBatch,
  keepBatch,
  keepMirrored,
  keepProgress,
  quarantine,
  release,
  type Change,
  type Ledger,
} from './ledger.ts';
import { progressKey, writeLarge, writeTogether, type Write, type WriteOutcome } from './source-io.ts';
import { settled } from './settled-batch.ts';
import { pairs } from './sweep.ts';
import { judge, type BypassReason, type Content, type There } from './verdict.ts';
import { WaitingKeys } from './waiting-keys.ts';

/** Operations of a client that Consul takes in one transaction are 64, with the fence and the progress among them. */
const keysPerBatch = 60;
/** In base64 and with its names it must stay below `txn_max_req_len`, 512 KiB. */
const batchBytesMax = 300 * 1024;
const readsAtOnce = 8;
/** A replica that is not whole must not empty the source: as the breaker of a mirror has it. */
const tracelessMax = 50;
const tracelessShare = 0.05;
const againMs = { first: 200, max: 5000 };
/** How often it is looked for writes past the gateways. Guess. */
const sweepEveryMs = 30_000;

export interface ReverseRuleOptions {
  readonly gateway: GatewayPort;
  readonly rule: PhaseRule;
  readonly source: SourceAsker;
  readonly token: string;
  readonly reader: ConsulReader;
  readonly fences: Fences;
  readonly ledger: Ledger;
  /** Whether this rule decides of a key, and this gateway owns it. */
  readonly isOwn: (key: string) => boolean;
  readonly agreed: () => MigrationSource | undefined;
  readonly isNamed: boolean;
  readonly keysMax: number;
  readonly onBypass: (key: string, why: BypassReason) => void;
  /** The source was restored or replaced: everything is compared anew. */
  readonly onLost: (why: string) => void;
  readonly count: (what: 'written' | 'removed' | 'batches', by: number) => void;
}

export interface SweepResult {
  readonly compared: number;
  readonly differing: number;
  readonly bypassed: number;
}

/**
 * Copies the keys of one rule back to the source. What is to be copied is found in the keys themselves: those written
 * are noted as commits tell, and after a start, or when there were too many, a sweep finds what differs.
 */
export class ReverseRule {
  readonly #options: ReverseRuleOptions;
  readonly #footing: Footing;
  readonly #waiting: WaitingKeys;
  readonly #abort = new AbortController();
  #wake = (): void => {};
  #swept = false;
  #sweptMs = -Infinity;
  #sweptIndex = -1;
  #ownIndex = -1;
  #lost = false;
  #overflowed = false;
  #problem: string | undefined;
  #running: Promise<void> | undefined;
  #nextBatch = 1;

  constructor(options: ReverseRuleOptions) {
    this.#options = options;
    this.#footing = new Footing({
      ...options,
      onLost: (why) => {
        this.#swept = false;
        options.onLost(why);
      },
    });
    this.#waiting = new WaitingKeys(options.gateway.monoMs, options.keysMax);
  }

  get rule(): PhaseRule {
    return this.#options.rule;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wake();
    await this.#running;
  }

  touched(key: string): void {
    if (this.#waiting.add(key)) {
      this.#wake();
      return;
    }
    if (!this.#lost) {
      this.#options.gateway.log.error(
        { prefix: this.rule.prefix, keys: this.#waiting.size },
        'too many keys wait to be copied back: there is no way back to the source before it answers again',
      );
    }
    this.#lost = true;
    this.#overflowed = true;
    this.#swept = false;
  }

  /** Nothing is left to be copied, as far as is known. */
  get drained(): boolean {
    return this.#swept && this.#waiting.size === 0;
  }

  get lagMs(): number {
    if (!this.#swept) return Infinity;
    const since = this.#waiting.oldestMs;
    return since === Infinity ? 0 : this.#options.gateway.monoMs() - since;
  }

  get facts(): object {
    const { ledger, rule } = this.#options;
    const lagMs = this.lagMs;
    return {
      prefix: rule.prefix,
      pending: this.#waiting.size,
      lagMs: lagMs === Infinity ? null : Math.round(lagMs),
      swept: this.#swept,
      quarantined: ledger.quarantinedCount(rule.prefix),
      rollback: this.#lost ? 'disabled: too many keys wait to be copied back' : 'possible',
      problem: this.#problem ?? null,
    };
  }

  get trouble(): { readonly lost: boolean; readonly problem: string | undefined } {
    return { lost: this.#lost, problem: this.#problem };
  }

  /** Compares everything once, now. What differs is copied, or left alone where somebody wrote past the gateways. */
  async sweep(): Promise<SweepResult> {
    const { reader, gateway, rule, isOwn, ledger } = this.#options;
    await this.#footing.mustStand();
    const { index: baseline, behind } = this.#footing.baseline;
    this.#overflowed = false;
    let compared = 0;
    let differing = 0;
    let bypassed = 0;
    const traceless: string[] = [];
    for await (const leaf of pairs(reader, gateway.view, rule.prefix)) {
      const changes: Change[] = [];
      for (const { key, there, index } of leaf) {
        if (this.#abort.signal.aborted) throw new Trouble('stopped');
        if (!isOwn(key) || ledger.isQuarantined(key)) continue;
        compared += 1;
        if (this.#waiting.has(key)) continue;
        const mirrored = ledger.mirrored(key);
        // Written since the answer was made.
        if (mirrored !== undefined && mirrored > index) continue;
        const row = gateway.view.get(Kind.kv, key);
        const untouched = !behind && row !== undefined && row.term < rule.term;
        const verdict = judge(contentOf(row), there ?? null, { baseline, mirrored, untouched });
        if (verdict.kind === 'same') {
          if (mirrored !== undefined && mirrored !== verdict.index)
            changes.push(keepMirrored(key, verdict.index));
          continue;
        }
        differing += 1;
        if (verdict.kind === 'delete' && row === undefined) traceless.push(key);
        else if (verdict.kind !== 'bypass') this.touched(key);
        else {
          // oxlint-disable-next-line no-await-in-loop -- rare
          const change = await this.#suspect(key);
          if (change !== undefined) {
            bypassed += 1;
            changes.push(change);
          }
        }
      }
      // oxlint-disable-next-line no-await-in-loop -- leaf by leaf
      await ledger.write(...changes);
    }
    if (traceless.length > tracelessMax && traceless.length > compared * tracelessShare) {
      throw new Trouble(
        `${traceless.length} of ${compared} keys are at the source and were never here, as far as is known: they are ` +
          'not removed there. Look at them with "migrate verify", then order it with "migrate quarantine -keep-here"',
      );
    }
    for (const key of traceless) this.touched(key);
    this.#sweptMs = gateway.monoMs();
    // What did not fit into the list is found by the next one.
    this.#swept = !this.#overflowed;
    this.#lost = this.#overflowed;
    return { compared, differing, bypassed };
  }

  /** An operator decides that what is here counts: the key is overwritten as it now stands at the source. */
  async keepHere(key: string): Promise<void> {
    const { source, token, ledger } = this.#options;
    const reading = await readKey(source, token, key);
    if (reading.kind === 'trouble') throw new Error(reading.why);
    const index = reading.kind === 'entry' ? reading.entry.modifyIndex : 0;
    await ledger.write(keepMirrored(key, index), release(key));
    this.touched(key);
  }

  async #run(): Promise<void> {
    const { gateway, rule } = this.#options;
    let waitMs = againMs.first;
    while (!this.#abort.signal.aborted) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one round after the other
        await this.#round();
        this.#problem = undefined;
        waitMs = againMs.first;
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        if (this.#abort.signal.aborted) return;
        if (this.#problem === undefined) {
          gateway.log.warn({ prefix: rule.prefix, why }, 'copying back to the source waits');
        }
        this.#problem = why;
        // oxlint-disable-next-line no-await-in-loop -- one round after the other
        await gateway.clock.sleep(waitMs, this.#abort.signal);
        waitMs = Math.min(waitMs * 2, againMs.max);
      }
    }
  }

  async #round(): Promise<void> {
    const fence = await this.#footing.fence();
    await this.#settleBatch();
    if (
      this.#waiting.hasRoom &&
      (!this.#swept ||
        (this.#options.gateway.monoMs() - this.#sweptMs >= sweepEveryMs &&
          (await this.#somethingElseChanged())))
    ) {
      await this.sweep();
    }
    if (this.#waiting.waiting === 0) {
      if (this.drained) await this.#footing.caughtUp();
      await this.#idle();
      return;
    }
    await this.#copySome(fence);
  }

  async #settleBatch(): Promise<void> {
    const { ledger, rule, source, token, gateway } = this.#options;
    const batch = ledger.batch(rule.prefix);
    if (batch === undefined) return;
    await this.#footing.mustStand();
    const { prefix } = rule;
    const progress = { key: progressKey(gateway.nodeName, prefix), index: ledger.progress(prefix) };
    await ledger.write(...(await settled(source, token, prefix, progress, batch)), dropBatch(prefix));
    for (const key of batch.keys) this.touched(key);
  }

  /** Cheaper than a sweep: the index of the prefix tells whether anybody wrote since, beside this gateway. */
  async #somethingElseChanged(): Promise<boolean> {
    const { reader, rule, gateway } = this.#options;
    const { prefix } = rule;
    const answer = await reader.keys(prefix, '/');
    const index = answer.kind === 'keys' ? answer.meta.index : null;
    this.#sweptMs = gateway.monoMs();
    const seen = Math.max(this.#sweptIndex, this.#ownIndex);
    this.#sweptIndex = index ?? -1;
    return index === null || index !== seen;
  }

  #idle(): Promise<void> {
    const { gateway } = this.#options;
    const idle = new AbortController();
    this.#wake = () => idle.abort();
    const stop = (): void => idle.abort();
    this.#abort.signal.addEventListener('abort', stop, { once: true });
    if (this.#waiting.waiting > 0 || this.#abort.signal.aborted) idle.abort();
    return gateway.clock
      .sleep(sweepEveryMs, idle.signal)
      .finally(() => this.#abort.signal.removeEventListener('abort', stop));
  }

  async #copySome(fence: FenceCheck): Promise<void> {
    const { view } = this.#options.gateway;
    const taken = this.#waiting.take(
      keysPerBatch,
      batchBytesMax,
      (key) => view.get(Kind.kv, key)?.value?.length ?? 0,
    );
    try {
      const writes = await this.#decide(taken.keys);
      if (writes.length > 0) await this.#write(fence, writes, taken.bytes > batchBytesMax);
      taken.done();
    } catch (error) {
      taken.failed();
      throw error;
    }
  }

  /** What is to be written of the keys; what must not be is set aside. */
  async #decide(keys: readonly string[]): Promise<readonly Write[]> {
    const { gateway, ledger, isOwn, rule } = this.#options;
    const { index: baseline, behind } = this.#footing.baseline;
    const writes: Write[] = [];
    const changes: Change[] = [];
    const unknown: string[] = [];
    for (const key of keys) {
      if (!isOwn(key) || ledger.isQuarantined(key)) continue;
      const content = contentOf(gateway.view.get(Kind.kv, key));
      const index = ledger.mirrored(key);
      if (index === undefined) unknown.push(key);
      else if (content !== null || index > 0) writes.push({ key, content, index });
    }
    for (let at = 0; at < unknown.length; at += readsAtOnce) {
      const some = unknown.slice(at, at + readsAtOnce);
      // oxlint-disable-next-line no-await-in-loop -- a bounded number at once
      const theirs = await Promise.all(some.map((key) => this.#there(key)));
      for (const [i, key] of some.entries()) {
        const row = gateway.view.get(Kind.kv, key);
        const content = contentOf(row);
        const untouched = !behind && row !== undefined && row.term < rule.term;
        const verdict = judge(content, theirs[i] ?? null, { baseline, mirrored: undefined, untouched });
        if (verdict.kind === 'bypass') {
          // oxlint-disable-next-line no-await-in-loop -- rare
          await this.#footing.mustStand();
          changes.push(this.#bypassed(key, verdict.why, theirs[i] ?? null));
        } else if (verdict.kind === 'same') changes.push(keepMirrored(key, verdict.index));
        else writes.push({ key, content, index: verdict.index });
      }
    }
    await ledger.write(...changes);
    return writes;
  }

  async #write(fence: FenceCheck, writes: readonly Write[], isLarge: boolean): Promise<void> {
    const { source, token, gateway, ledger, rule, count, fences } = this.#options;
    const keys = writes.map(({ key }) => key);
    const id = `${gateway.nodeId}:${rule.term}:${Math.floor(gateway.clock.now())}:${this.#nextBatch++}`;
    const first = writes[0];
    let outcome: WriteOutcome;
    if (isLarge && first !== undefined && first.content !== null) {
      outcome = await writeLarge(source, token, fence, { ...first, content: first.content });
    } else {
      await ledger.write(keepBatch(rule.prefix, { id, keys }));
      const progress = {
        key: progressKey(gateway.nodeName, rule.prefix),
        index: ledger.progress(rule.prefix),
        id,
      };
      outcome = await writeTogether(source, token, fence, progress, writes);
    }
    switch (outcome.kind) {
      case 'done': {
        await ledger.write(
          ...[...outcome.indexes].map(([key, index]) => keepMirrored(key, index)),
          ...(outcome.progress > 0 ? [keepProgress(rule.prefix, outcome.progress)] : []),
          dropBatch(rule.prefix),
        );
        this.#ownIndex = Math.max(this.#ownIndex, ...outcome.indexes.values());
        const removed = writes.filter(({ content }) => content === null).length;
        count('batches', 1);
        count('written', writes.length - removed);
        count('removed', removed);
        return;
      }
      case 'refused': {
        await ledger.write(dropBatch(rule.prefix));
        await this.#footing.mustStand();
        for (const key of outcome.keys) {
          // oxlint-disable-next-line no-await-in-loop -- rare
          const change = await this.#suspect(key);
          // oxlint-disable-next-line no-await-in-loop -- rare
          if (change !== undefined) await ledger.write(change);
        }
        throw new Trouble('keys had another index at the source: looked at again');
      }
      case 'fenced':
        await ledger.write(dropBatch(rule.prefix));
        fences.forget(rule.prefix);
        throw new Trouble('the fence at the source changed: looked at again');
      case 'behind':
        await ledger.write(dropBatch(rule.prefix));
        await this.#footing.mustStand();
        throw new Trouble('what was last written at the source is looked at again');
      case 'trouble':
        await ledger.write(dropBatch(rule.prefix));
        throw new Trouble(outcome.why);
      case 'unknown':
        throw new Trouble(outcome.why);
    }
  }

  /** A key that looks as if somebody wrote it past the gateways: looked at once more, alone. */
  async #suspect(key: string): Promise<Change | undefined> {
    const { gateway, ledger, rule } = this.#options;
    const { index: baseline, behind } = this.#footing.baseline;
    const known = ledger.mirrored(key);
    const there = await this.#there(key);
    this.#footing.mustNotGoBack(there?.modifyIndex, known);
    const row = gateway.view.get(Kind.kv, key);
    const untouched = !behind && row !== undefined && row.term < rule.term;
    const mirrored = ledger.mirrored(key);
    const verdict = judge(contentOf(row), there, { baseline, mirrored, untouched });
    if (verdict.kind === 'bypass') return this.#bypassed(key, verdict.why, there);
    if (verdict.kind === 'same') return keepMirrored(key, verdict.index);
    this.touched(key);
    return undefined;
  }

  #bypassed(key: string, why: BypassReason, there: There | null): Change {
    const { gateway, onBypass, rule } = this.#options;
    gateway.log.warn(
      { key, why, prefix: rule.prefix },
      'a key was written at the source, past the gateways: it is left alone there, and no longer copied back',
    );
    onBypass(key, why);
    return quarantine({ key, why, index: there?.modifyIndex ?? 0, atMs: gateway.clock.now() });
  }

  async #there(key: string): Promise<There | null> {
    const { source, token } = this.#options;
    const reading = await readKey(source, token, key);
    if (reading.kind === 'trouble') throw new Trouble(reading.why);
    return reading.kind === 'absent' ? null : reading.entry;
  }
}

function contentOf(row: Row | undefined): Content | null {
  if (row === undefined || row.value === null) return null;
  const { value, flags } = decodeKv(row.value);
  return { value, flags };
}
