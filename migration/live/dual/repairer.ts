import { Kind } from '../../../src/state/kinds.ts';
import { authorityOf } from '../../../src/state/migration.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import { takeToken, fullBucket, type TokenBucket } from '../../source/token-bucket.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Phases } from '../ports.ts';
import type { SourceAsker } from '../proxy/source-client.ts';
import type { OwnWrites } from '../bypass/own-writes.ts';
import { isOwnKey } from './fence.ts';
import type { KeyLocks } from './key-locks.ts';
import { kvAbsence, kvRecord } from './kv-record.ts';
import { isTree, nameOfKey, repairCauses, textOfName, type OpenKeys, type OpenName } from './open-keys.ts';
import { readKey, readNames } from './read-key.ts';
import { absentBelow, relay } from './relay.ts';

export interface RepairerOptions {
  readonly gateway: GatewayPort;
  readonly phases: Phases;
  readonly source: SourceAsker;
  readonly token: () => string;
  readonly keys: OpenKeys;
  readonly locks: KeyLocks;
  readonly own: OwnWrites;
}

/** Per cause, so that many of one do not keep the few of another waiting. Guess. */
const limits = { perSecond: 50, burst: 25 };
const atOnce = 4;
const backoffMs = { first: 500, ceiling: 60_000 };

/**
 * Looks keys up at the source, consistently, and relays what is there: keys and not operations, so whatever happened in
 * between is found as it came out.
 */
export class Repairer {
  readonly #options: RepairerOptions;
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #tries = new Map<OpenName, { readonly tries: number; readonly dueMs: number }>();
  readonly #count: { readonly done: () => void; readonly failed: () => void };
  #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #problem: string | undefined;

  constructor(options: RepairerOptions) {
    this.#options = options;
    const { metrics } = options.gateway;
    const [done, failed] = [metrics.counter('dual.repaired'), metrics.counter('dual.repair_failures')];
    this.#count = { done: () => done(), failed: () => failed() };
    options.keys.onRepair(() => this.#wake());
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  start(): void {
    this.#stopping = new AbortController();
    this.#running = this.#run(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
  }

  /** Looks one up now. `isOwn`: for what is there a write of this gateway may be the cause. Answers why it could not be done; undefined: it is done. */
  async lookUp(name: OpenName, isOwn = true): Promise<string | undefined> {
    return isTree(name) ? this.#tree(name, isOwn) : this.#key(textOfName(name), isOwn);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { due, waitMs } = this.#next();
      if (due.length === 0) {
        await this.#sleep(waitMs, signal);
        continue;
      }
      await Promise.all(due.map((name) => this.#repair(name)));
    }
  }

  #sleep(waitMs: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    if (signal.aborted) woken.abort();
    return this.#options.gateway.clock.sleep(Math.min(waitMs, 60_000), woken.signal);
  }

  /** The next that may be looked up, or how long until there is one. */
  #next(): { readonly due: readonly OpenName[]; readonly waitMs: number } {
    const { gateway, keys } = this.#options;
    const nowMs = gateway.monoMs();
    const due: OpenName[] = [];
    let waitMs = 60_000;
    const spent = new Set<string>();
    for (const [name, { cause }] of keys.repairs) {
      if (due.length >= atOnce || spent.size === repairCauses.length) break;
      if (spent.has(cause)) continue;
      const tried = this.#tries.get(name);
      if (tried !== undefined && tried.dueMs > nowMs) {
        waitMs = Math.min(waitMs, tried.dueMs - nowMs);
        continue;
      }
      const held = this.#buckets.get(cause) ?? fullBucket(limits, nowMs);
      const taken = takeToken(held, limits, nowMs);
      if (taken.waitMs > 0) {
        spent.add(cause);
        waitMs = Math.min(waitMs, taken.waitMs);
        continue;
      }
      this.#buckets.set(cause, taken.bucket);
      due.push(name);
    }
    return { due, waitMs };
  }

  async #repair(name: OpenName): Promise<void> {
    const { gateway, keys, locks } = this.#options;
    const release = await locks.take([name]);
    let problem: string | undefined;
    try {
      problem =
        release === undefined
          ? 'it is being written all the time'
          : await this.lookUp(name, keys.repairs.get(name)?.cause !== 'asked');
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    } finally {
      release?.();
    }
    if (problem === undefined) {
      this.#tries.delete(name);
      keys.repaired(name);
      this.#count.done();
      this.#say(undefined);
      return;
    }
    const tries = (this.#tries.get(name)?.tries ?? 0) + 1;
    const delayMs = Math.min(backoffMs.first * 2 ** (tries - 1), backoffMs.ceiling);
    this.#tries.set(name, { tries, dueMs: gateway.monoMs() + delayMs * (0.5 + gateway.random() / 2) });
    this.#count.failed();
    this.#say(problem);
  }

  #say(problem: string | undefined): void {
    const { log } = this.#options.gateway;
    if (problem !== undefined && this.#problem === undefined) {
      log.warn({ why: problem }, 'a key could not be looked up at the source: tried again');
    }
    this.#problem = problem;
  }

  async #key(key: string, isOwn: boolean): Promise<string | undefined> {
    const { gateway, phases, source, token, own } = this.#options;
    // Where this fleet decides there is nothing to find out at the source; nor is there of what is nobody's but ours.
    if (!isSourceDecided(phases, key) || isOwnKey(key)) return undefined;
    const { rules } = phases;
    const reading = await readKey(source, token(), key);
    if (reading.kind === 'trouble') return reading.why;
    const record = reading.kind === 'entry' ? kvRecord(reading.entry) : kvAbsence(key, reading.index);
    if (isOwn) noteFound(gateway, own, record);
    return relay(gateway, phases, [record], rules);
  }

  /** Of a tree what is here and not there is deleted; what is there is the tail's to find. */
  async #tree(name: OpenName, isOwn: boolean): Promise<string | undefined> {
    const { gateway, phases, source, token, keys } = this.#options;
    const prefix = textOfName(name);
    const { rules } = phases;
    const there = await readNames(source, token(), prefix);
    if (there === undefined) return 'the names below a prefix could not be read';
    const absent = absentBelow(
      gateway,
      prefix,
      there.index,
      (key) => there.names.has(key) || isOwnKey(key) || !isSourceDecided(phases, key),
    );
    if (isOwn) for (const record of absent) noteFound(gateway, this.#options.own, record);
    const problem = await relay(gateway, phases, absent, rules);
    if (problem !== undefined) return problem;
    // Newer than the index of the list (which may lag behind what was deleted): looked up one by one.
    const left = absent.filter(({ key }) => isLive(gateway, key)).map(({ key }) => nameOfKey(key));
    if (left.length > 0) keys.queue(left, keys.repairs.get(name)?.cause ?? 'asked');
    return undefined;
  }
}

function isLive(gateway: GatewayPort, key: string): boolean {
  return (gateway.view.get(Kind.kv, key)?.value ?? null) !== null;
}

function isSourceDecided(phases: Phases, key: string): boolean {
  const rule = phases.ofKey(key);
  return rule !== undefined && authorityOf(rule.phase) === 'source';
}

/** What became of a write of this gateway. When a key went that is gone is not told: some time after what is here. */
function noteFound({ view }: GatewayPort, own: OwnWrites, { key, stamp, value }: MirrorRecord): void {
  const deleted = value === null;
  const held = view.get(Kind.kv, key)?.stamp ?? 0;
  if (deleted && held < stamp) own.note(key, { index: held + 1, deleted });
  own.note(key, { index: stamp, deleted });
}
