import { muchNews } from './broadcasts.ts';
import { sameEndpoint, type Endpoint } from '../wire/endpoint.ts';
import type { SwimCore } from './core.ts';
import type { JoinFailure } from './effects.ts';
import { isLive } from './member.ts';
import { pushPullIntervalMs } from './profile.ts';
import type { SyncOutcome, Syncer } from './syncer.ts';
import type { Timer } from './timers.ts';

/** Refusals in a row, with no member in between who accepts, after which it is this member that is wrong. */
const refusalsMax = 3;
const reachMsMin = 1000;
const reachMsMax = 30_000;
const reachAtOnce = 3;
const joinsMax = 256;
const meetMs = 500;
const welcomers = 8;
/** Gossip has reached all whom it will reach by then. */
const verifyMs = 10_000;
/** What differs may be on its way already: it is compared again after this, and then ever later. */
const differenceMs = 2000;

/** Keeps company: joins whom it is told to, comes back after a restart or from isolation, compares now and then. */
export class Company {
  readonly #core: SwimCore;
  readonly #syncer: Syncer;
  #refusals = 0;
  /** Not again before this. */
  #meetMs = -Infinity;
  #reachMs = reachMsMin;
  #reachTimer: Timer | null = null;
  #soonTimer: Timer | null = null;
  /** At the last comparison; until one finds none, there will be another. */
  #differing = false;
  #differenceMs = differenceMs;
  /** The pool knows another by this name or id: goodbye. */
  onStandDown: () => void = () => {};

  constructor(core: SwimCore, syncer: Syncer) {
    this.#core = core;
    this.#syncer = syncer;
  }

  start(): void {
    const core = this.#core;
    this.#armPeriodic(core.random());
    this.#syncer.onDifference = () => this.#compared(false);
    if (core.roster.size > 1) this.#armReach(0);
  }

  join(endpoints: readonly Endpoint[], token: number): void {
    const core = this.#core;
    const to = endpoints.filter((each, i) => endpoints.findIndex((other) => sameEndpoint(each, other)) === i);
    let open = Math.min(to.length, joinsMax);
    let joined = 0;
    const failures: JoinFailure[] = to
      .slice(joinsMax)
      .map((endpoint) => ({ endpoint, reason: `more than ${joinsMax} addresses at once` }));
    const finish = (): void => {
      if (open === 0) core.effect({ kind: 'join-result', token, joined, failures });
    };
    for (const endpoint of to.slice(0, joinsMax)) {
      this.#begin(endpoint, (outcome) => {
        open -= 1;
        if (outcome.kind === 'met') joined += 1;
        else failures.push({ endpoint, reason: outcome.text });
        finish();
      });
    }
    if (to.length === 0) finish();
  }

  /** Compares with somebody soon: something was heard that cannot be understood, or is disputed. */
  soon(delayMs: number): void {
    const core = this.#core;
    if (core.stopped) return;
    const atMs = core.nowMs + delayMs * (0.5 + core.random());
    if (this.#soonTimer !== null) {
      if (this.#soonTimer.atMs <= atMs) return;
      this.#soonTimer.run = null;
    }
    this.#soonTimer = core.timers.at(atMs, () => {
      this.#soonTimer = null;
      this.compare();
    });
  }

  /** There was news. Where one piece came another may have been missed: once it is quiet, that is made sure of. */
  verify(): void {
    if (this.#soonTimer === null) this.soon(verifyMs);
  }

  compare(): void {
    const [peer] = this.#core.roster.pick(1, isLive, this.#core.random);
    if (peer !== undefined) {
      this.#begin(peer.facts.endpoint, ({ kind }) => {
        if (kind !== 'met' && this.#differing) this.#differs();
      });
    } else if (this.#differing) this.#differs();
  }

  /**
   * Who had failed is there again. If others are still missed it may be from their side of a split, and know how
   * they are: a few of the pool ask, not all at once.
   */
  welcome(endpoint: Endpoint): void {
    const { roster, poolSize, random } = this.#core;
    if (roster.failedCount > 0 && random() < welcomers / poolSize) this.meet(endpoint);
  }

  /** Compares with somebody, one at a time: who is not known here speaks as a member. */
  meet(endpoint: Endpoint): void {
    const core = this.#core;
    if (this.#meetMs > core.nowMs) return;
    this.#meetMs = core.nowMs + meetMs;
    this.#begin(endpoint);
  }

  /** Looks for the others: at the start, and whenever nobody is left. */
  reach(): void {
    if (this.#reachTimer === null) this.#armReach(reachMsMin);
  }

  #armPeriodic(share: number): void {
    const core = this.#core;
    const intervalMs = pushPullIntervalMs(core.profile, core.poolSize);
    core.timers.at(core.nowMs + intervalMs * share, () => {
      this.compare();
      this.#armPeriodic(0.9 + 0.2 * core.random());
    });
  }

  #compared(equal: boolean): void {
    const { broadcasts } = this.#core;
    this.#differing = !equal;
    if (!equal) return this.#differs();
    this.#differenceMs = differenceMs;
    if (broadcasts.size < muchNews) return;
    broadcasts.calm();
    if (broadcasts.size >= muchNews) this.soon(differenceMs);
  }

  /**
   * Where one difference was there may be more: gossip reaches nearly all, and after much news at once, such as a
   * healed partition, it is comparing that brings the rest, at the price of the differences only.
   */
  #differs(): void {
    if (this.#soonTimer !== null) return;
    this.soon(this.#differenceMs);
    this.#differenceMs = Math.min(2 * this.#differenceMs, this.#core.profile.pushPullIntervalMs);
  }

  #armReach(delayMs: number): void {
    const core = this.#core;
    this.#reachTimer = core.timers.at(core.nowMs + delayMs, () => {
      this.#reachTimer = null;
      if (core.recollection.contacted && core.roster.liveCount > 1) {
        this.#reachMs = reachMsMin;
        return;
      }
      const { random, roster } = core;
      let targets = roster.pick(reachAtOnce, isLive, random);
      if (targets.length < reachAtOnce) {
        const failed = roster.pick(reachAtOnce - targets.length, ({ state }) => state === 'failed', random);
        targets = [...targets, ...failed];
      }
      for (const { facts } of targets) this.#begin(facts.endpoint);
      this.#armReach(this.#reachMs * (0.8 + 0.4 * random()));
      this.#reachMs = Math.min(reachMsMax, this.#reachMs * 2);
    });
  }

  #begin(to: Endpoint, done: (outcome: SyncOutcome) => void = () => {}): void {
    this.#syncer.begin(to, (outcome) => {
      if (outcome.kind === 'met') {
        this.#refusals = 0;
        this.#compared(outcome.equal);
      } else if (outcome.kind === 'refused') this.#refused(to, outcome);
      done(outcome);
    });
  }

  #refused(from: Endpoint, { reason, text }: Extract<SyncOutcome, { kind: 'refused' }>): void {
    const core = this.#core;
    const disputed = reason === 'name' || reason === 'id';
    if (disputed) this.#refusals += 1;
    const final = disputed && core.recollection.contacted && this.#refusals >= refusalsMax;
    core.effect({ kind: 'refused', from, reason, text, final });
    if (final) this.onStandDown();
    else if (disputed && core.recollection.contacted) this.soon(reachMsMin);
  }
}
