import type { GatewayPort } from '../gateway-port.ts';
import type { Fenced, Plan, TxnOfMany } from './write-plans.ts';

/** As many as Consul takes in one transaction (64), less those that fence it. */
const opsMax = 60;
/** Of the keys and values of a transaction that is shared; what is larger goes alone. Guess. */
const bytesMax = 128 * 1024;
/**
 * How long a write waits for the transaction before it, to share the next, milliseconds: longer than one takes at a
 * source nearby, where two at a time make each slower; little beside the way to one far off. Guess.
 */
const waitMsMax = 4;
/** Transactions of one group at a time, far off. Guess. */
const underWayMax = 32;

interface Waiting {
  readonly plan: Plan;
  readonly resolve: (outcome: Fenced | Promise<Fenced>) => void;
}

interface Group {
  underWay: number;
  waiting: Waiting[];
  /** Somebody looks after those who wait, whatever becomes of what is under way. */
  isTimed: boolean;
}

/**
 * Writes that can only succeed, of one token and under one rule, share a transaction at the source when so many come
 * that they would wait for it anyway: one entry of its log, one fence and one round trip for all. A transaction that
 * fails is made again write by write, so none is answered for another's fault.
 */
export class SharedTxns {
  readonly #ask: (txn: TxnOfMany) => Promise<Fenced>;
  readonly #groups = new Map<string, Group>();

  readonly #clock: GatewayPort['clock'];

  constructor(clock: GatewayPort['clock'], ask: (txn: TxnOfMany) => Promise<Fenced>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  async join(plan: Plan): Promise<Fenced> {
    const [rule] = plan.rules;
    const isLarge = bytesOf(plan) > bytesMax;
    if (!plan.shares || rule === undefined || isLarge) return this.#ask(plan);
    const name = JSON.stringify([plan.request.token, rule.prefix, rule.term]);
    const group = this.#groups.get(name) ?? { underWay: 0, waiting: [], isTimed: false };
    this.#groups.set(name, group);
    return new Promise((resolve) => {
      group.waiting.push({ plan, resolve });
      if (group.underWay === 0) this.#next(name, group);
      else this.#inTime(name, group);
    });
  }

  #inTime(name: string, group: Group): void {
    if (group.isTimed) return;
    group.isTimed = true;
    void this.#clock.sleep(waitMsMax).then(() => {
      group.isTimed = false;
      this.#next(name, group);
    });
  }

  #next(name: string, group: Group): void {
    while (group.underWay < underWayMax && group.waiting.length > 0) {
      const batch = nextOf(group.waiting);
      group.waiting = group.waiting.slice(batch.length);
      group.underWay += 1;
      void this.#send(batch).finally(() => {
        group.underWay -= 1;
        this.#next(name, group);
      });
    }
    const isIdle = group.underWay === 0 && group.waiting.length === 0;
    if (isIdle && this.#groups.get(name) === group) this.#groups.delete(name);
  }

  /** Never rejects. */
  async #send(batch: readonly Waiting[]): Promise<void> {
    const [first] = batch;
    if (first === undefined) return;
    const alone = (): void => {
      for (const { plan, resolve } of batch) resolve(this.#ask(plan));
    };
    if (batch.length === 1) {
      const outcome = this.#ask(first.plan);
      first.resolve(outcome);
      await outcome.catch(() => undefined);
      return;
    }
    try {
      const ops = batch.flatMap(({ plan }) => plan.ops ?? []);
      const outcome = await this.#ask({ ...first.plan, ops });
      if (outcome.kind === 'failed' || outcome.kind === 'plain') {
        alone();
        return;
      }
      for (const [at, { resolve }] of batch.entries()) {
        resolve(
          outcome.kind === 'done' ? { ...outcome, results: outcome.results.slice(at, at + 1) } : outcome,
        );
      }
    } catch (error) {
      const failed = Promise.reject<Fenced>(error);
      for (const { resolve } of batch) resolve(failed);
    }
  }
}

function nextOf(waiting: readonly Waiting[]): readonly Waiting[] {
  let bytes = 0;
  const enough = waiting.findIndex(({ plan }, at) => {
    bytes += bytesOf(plan);
    return at >= opsMax || (at > 0 && bytes > bytesMax);
  });
  return enough < 0 ? waiting : waiting.slice(0, enough);
}

function bytesOf({ ops = [] }: Plan): number {
  return ops.reduce((sum, op) => sum + op.length, 0);
}
