import { bytes, count, duration } from '../../terminal/format.ts';
import { RateMeter } from '../../terminal/rate-meter.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import type { MigrationKind } from '../../../src/state/migration.ts';
import type { LiveReader } from '../../source/live-reader.ts';
import type { SourceSettings } from '../gateway-port.ts';
import type { LivePart, PartContext, TailControl, TailProgress } from '../ports.ts';
import { CatalogRule } from './catalog-rule.ts';
import type { KvRule } from './kv-rule.ts';
import { LagMeter } from './lag-meter.ts';
import { defaultTailLimits, limitsOf, type TailLimits } from './limits.ts';
import { openReader } from './open-reader.ts';
import { TailRun } from './run.ts';
import { Throttles } from './throttles.ts';

/** The live mirror: what the source decides comes here, for as long as this gateway is the runner. */
export interface Tail extends LivePart, TailControl {
  /** Keys whose lock a session at the source holds. Of the runner only. */
  heldLocks(): ReadonlySet<string>;
  /** Takes another cluster that answers at the source's address as the source from now on. False: none does. */
  acceptOtherCluster(): boolean;
}

export interface TailOptions {
  readonly limits?: Partial<TailLimits>;
  /** Told of keys before they are stored. */
  readonly applying?: (records: readonly MirrorRecord[]) => void;
  /** In place of a reader of the configured addresses. */
  readonly openReader?: (limits: TailLimits, throttles: Throttles) => LiveReader;
}

export function openTail(context: PartContext, options: TailOptions = {}): Tail {
  return new LiveTail(context, options);
}

class LiveTail implements Tail {
  readonly #context: PartContext;
  readonly #options: TailOptions;
  readonly #limits: TailLimits;
  readonly #throttles: Throttles;
  readonly #lag: LagMeter;
  readonly #rates = new Map<string, RateMeter>();
  #run: TailRun | undefined;
  #changing: Promise<void> = Promise.resolve();
  #ended: (() => void)[] = [];
  #isStopped = false;
  #paused: { readonly reason: string; readonly over: Promise<void>; readonly end: () => void } | undefined;

  constructor(context: PartContext, options: TailOptions) {
    this.#context = context;
    this.#options = options;
    const { gateway, settings } = context;
    const base = settings.source === undefined ? defaultTailLimits : limitsOf(settings.source);
    this.#limits = { ...base, ...options.limits };
    this.#throttles = new Throttles(gateway.monoMs);
    const histogram = gateway.metrics.histogram('tail.lag_ms');
    this.#lag = new LagMeter(gateway.monoMs, histogram);
    gateway.metrics.gauge('tail.running', () => (this.#run === undefined ? 0 : 1));
    gateway.metrics.gauge('tail.canary_ms', () => this.#run?.canary.lagMs ?? 0);
    gateway.metrics.gauge('tail.leaves', () =>
      this.#kvTails().reduce((sum, tail) => sum + tail.leaves.length, 0),
    );
    gateway.metrics.gauge('tail.items', () => this.#kvTails().reduce((sum, tail) => sum + itemsOf(tail), 0));
    gateway.metrics.gauge('tail.held_locks', () => this.heldLocks().size);
  }

  start(): void {
    const { runner, phases } = this.#context;
    this.#ended = [runner.onChange(() => this.#reconsider()), phases.onChange(() => this.#reconsider())];
    this.#reconsider();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const end of this.#ended.splice(0)) end();
    this.#reconsider();
    await this.#changing;
  }

  get paused(): string | undefined {
    return this.#paused?.reason;
  }

  pause(reason: string): void {
    this.#paused?.end();
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    this.#paused = { reason, over, end };
    this.#context.evidence.mark('pause', reason);
  }

  resume(): void {
    const paused = this.#paused;
    if (paused === undefined) return;
    this.#paused = undefined;
    paused.end();
    this.#context.evidence.mark('resume', '');
  }

  answerBreaker(prefix: string, allow: boolean): boolean {
    let answered = false;
    for (const tail of this.#run?.tails ?? []) {
      if (!(tail instanceof CatalogRule)) answered = tail.answerBreaker(prefix, allow) || answered;
      else if (prefix === '') answered = tail.answerBreaker(allow) || answered;
    }
    return answered;
  }

  acceptOtherCluster(): boolean {
    return this.#run?.link.acceptOther() ?? false;
  }

  heldLocks(): ReadonlySet<string> {
    return new Set(this.#kvTails().flatMap((tail) => tail.leaves.flatMap((leaf) => leaf.locks)));
  }

  async compareNow(
    of: MigrationKind,
    prefix: string,
    waitMs: number,
  ): Promise<{ readonly entries: number; readonly changed: number }> {
    const run = this.#run;
    if (run === undefined) throw new Error('this gateway does not copy from the source');
    const tails = run.tails.filter(({ rule }) => {
      if (rule.of !== of) return false;
      return of === 'catalog' || rule.prefix.startsWith(prefix) || prefix.startsWith(rule.prefix);
    });
    if (tails.length === 0)
      throw new Error(`nothing under ${JSON.stringify(prefix)} is copied from the source`);
    const ends = await Promise.all(
      tails.map((tail) =>
        tail instanceof CatalogRule ? tail.compareNow(waitMs) : tail.compareNow(prefix, waitMs),
      ),
    );
    return {
      entries: ends.reduce((sum, { entries }) => sum + entries, 0),
      changed: ends.reduce((sum, { changed }) => sum + changed, 0),
    };
  }

  progress(of: MigrationKind, prefix: string): TailProgress | undefined {
    const run = this.#run;
    const tail = run?.tail(of, prefix);
    if (run === undefined || tail === undefined) return undefined;
    const trouble = run.link.other === undefined ? run.link.problem : 'other-cluster';
    return tail instanceof CatalogRule
      ? this.#ofCatalog(run, tail, trouble)
      : this.#ofKeys(run, tail, trouble);
  }

  status(): object {
    const run = this.#run;
    const { rules } = this.#context.phases;
    return {
      running: run !== undefined,
      paused: this.paused,
      source: run?.link.isUp === true ? { ...run.link.facts, timeline: run.link.timeline } : undefined,
      otherCluster: run?.link.other,
      problem: run?.link.problem,
      throttledBy: this.#throttledBy(),
      lagMs: { p50: this.#lag.quantile(0.5), p99: this.#lag.quantile(0.99), canary: run?.canary.lagMs },
      canaryMayWrite: run?.canary.mayWrite,
      heldLocks: this.heldLocks().size,
      rules: rules.flatMap(({ of, prefix }) => {
        const progress = this.progress(of, prefix);
        const tail = run?.tail(of, prefix);
        if (progress === undefined || tail === undefined) return [];
        const details = tail instanceof CatalogRule ? catalogDetails(tail) : keyDetails(tail);
        return [{ of, prefix, line: lineOf(prefix, progress), ...progress, ...details }];
      }),
    };
  }

  #ofKeys(run: TailRun, tail: KvRule, trouble: string | undefined): TailProgress {
    const now = this.#context.gateway.monoMs();
    const { leaves } = tail;
    const compared = leaves.filter((leaf) => leaf.compared);
    const items = compared.reduce((sum, leaf) => sum + leaf.items, 0);
    const backfilled = leaves.length > 0 && compared.length === leaves.length;
    const itemsTotal =
      tail.namesTotal === undefined ? undefined : Math.max(items, backfilled ? items : tail.namesTotal);
    const rate = this.#rate(`kv ${tail.rule.prefix}`, items, itemsTotal ?? items);
    const questions = leaves.flatMap((leaf) => (leaf.question === undefined ? [] : [leaf.question]));
    const troubled = leaves.find((leaf) => leaf.problem !== undefined)?.problem;
    const problem = trouble ?? tail.problem ?? troubled ?? tail.doubt ?? run.canary.doubt;
    const lags = leaves.map((leaf) => {
      if (leaf.problem !== undefined || leaf.question !== undefined || !leaf.hot) return now - leaf.heardAtMs;
      return leaf.pendingSinceMs === undefined ? 0 : now - leaf.pendingSinceMs;
    });
    const known = Math.max(
      0,
      run.canary.openMs > 2000 ? run.canary.openMs : 0,
      this.#lag.quantile(0.99) ?? 0,
      ...lags,
    );
    // What another process found out says nothing of what this one does not look at yet.
    const isLooked = leaves.every((leaf) => leaf.comparedAtMs >= 0 || leaf.absenceIgnored !== null);
    const isKnown = backfilled && isLooked && trouble === undefined && this.#paused === undefined;
    return {
      ...{ backfilled, items, itemsTotal, problem },
      bytes: compared.reduce((sum, leaf) => sum + leaf.bytes, 0),
      itemsPerSecond: rate.perSecond,
      etaMs: backfilled ? 0 : rate.etaMs,
      lagMs: isKnown ? known : Number.POSITIVE_INFINITY,
      throttledBy: this.#throttledBy(),
      breaker: breakerText(questions),
      verifiedThroughIndex: tail.verifiedThroughIndex,
    };
  }

  #ofCatalog(_run: TailRun, tail: CatalogRule, trouble: string | undefined): TailProgress {
    const now = this.#context.gateway.monoMs();
    const rate = this.#rate('catalog', tail.items, tail.items);
    const isKnown = tail.compared && trouble === undefined && this.#paused === undefined;
    const pending = tail.pendingSinceMs === undefined ? 0 : now - tail.pendingSinceMs;
    const open =
      tail.problem === undefined && tail.question === undefined ? pending : now - tail.comparedAtMs;
    return {
      backfilled: tail.compared,
      items: tail.items,
      bytes: 0,
      itemsTotal: tail.compared ? tail.items : undefined,
      itemsPerSecond: rate.perSecond,
      etaMs: tail.compared ? 0 : undefined,
      lagMs: isKnown ? open : Number.POSITIVE_INFINITY,
      throttledBy: this.#throttledBy(),
      breaker: breakerText(tail.question === undefined ? [] : [tail.question]),
      verifiedThroughIndex: tail.verifiedThroughIndex,
      problem: trouble ?? tail.problem ?? tail.doubt,
    };
  }

  #rate(
    name: string,
    done: number,
    total: number,
  ): { readonly perSecond: number; readonly etaMs: number | undefined } {
    const { monoMs } = this.#context.gateway;
    let meter = this.#rates.get(name);
    if (meter === undefined) this.#rates.set(name, (meter = new RateMeter(monoMs())));
    const { perSecond, etaMs } = meter.update(done, total, monoMs());
    return { perSecond: Math.max(0, perSecond ?? 0), etaMs: etaMs ?? undefined };
  }

  #throttledBy(): readonly string[] {
    const other = this.#run?.link.other;
    return [
      ...(this.#paused === undefined ? [] : [`paused: ${this.#paused.reason}`]),
      ...(other === undefined ? [] : [`other-cluster: expected ${other.expected}, found ${other.found}`]),
      ...this.#throttles.list(),
    ];
  }

  #kvTails(): readonly KvRule[] {
    return (this.#run?.tails ?? []).filter((tail): tail is KvRule => !(tail instanceof CatalogRule));
  }

  /** One change after the other. */
  #reconsider(): void {
    this.#changing = this.#changing.then(async () => {
      const { runner, settings, phases } = this.#context;
      const isWanted = !this.#isStopped && runner.isHere && settings.source !== undefined && phases.known;
      if (isWanted === (this.#run !== undefined)) return;
      if (settings.source !== undefined && isWanted) this.#begin(settings.source);
      else {
        const run = this.#run;
        this.#run = undefined;
        await run?.stop();
      }
    });
  }

  #begin(source: SourceSettings): void {
    const open =
      this.#options.openReader ??
      ((limits, throttles) => openReader(source, this.#context.gateway, limits, throttles));
    this.#run = new TailRun({
      context: this.#context,
      reader: open(this.#limits, this.#throttles),
      limits: this.#limits,
      throttles: this.#throttles,
      lag: this.#lag,
      tokenGiven: source.token !== '',
      held: () => this.#paused?.over,
      applying: this.#options.applying ?? (() => undefined),
    });
    this.#run.start();
  }
}

function itemsOf(tail: KvRule): number {
  return tail.leaves.reduce((sum, leaf) => sum + leaf.items, 0);
}

function breakerText(
  questions: readonly {
    readonly where: string;
    readonly deletes: number;
    readonly live: number;
    readonly examples: readonly string[];
  }[],
): string | undefined {
  const [first] = questions;
  if (first === undefined) return undefined;
  const { where, deletes, live, examples } = first;
  const more = questions.length === 1 ? '' : `, and ${questions.length - 1} more such places`;
  return `${count(deletes)} of ${count(live)} under ${where} are gone at the source (${examples.join(', ')})${more}`;
}

function keyDetails(tail: KvRule): object {
  const sum = (of: (leaf: KvRule['leaves'][number]) => number): number =>
    tail.leaves.reduce((all, leaf) => all + of(leaf), 0);
  return {
    counts: tail.counts,
    leaves: tail.leaves.length,
    hotLeaves: sum((leaf) => (leaf.hot ? 1 : 0)),
    kept: sum((leaf) => leaf.kept),
    skipped: sum((leaf) => leaf.skipped),
    withheld: sum((leaf) => leaf.unproved + leaf.forbidden),
    heldLocks: sum((leaf) => leaf.locks.length),
  };
}

function catalogDetails(tail: CatalogRule): object {
  return { counts: tail.counts };
}

/** `app/: 41,203 of 100,000 keys, 52.1 MiB, 18,400/s, 3.2 s left` or, when all are there, what it is behind. */
function lineOf(prefix: string, progress: TailProgress): string {
  const total = progress.itemsTotal === undefined ? '' : ` of ${count(progress.itemsTotal)}`;
  const name = prefix === '' ? 'all' : prefix;
  const size = progress.bytes === 0 ? '' : `, ${bytes(progress.bytes)}`;
  if (!progress.backfilled) {
    const left = progress.etaMs === undefined ? '' : `, ${duration(progress.etaMs)} left`;
    return `${name}: ${count(progress.items)}${total}${size}, ${count(progress.itemsPerSecond)}/s${left}`;
  }
  const lag = Number.isFinite(progress.lagMs)
    ? `${duration(progress.lagMs)} behind`
    : 'not known how far behind';
  return `${name}: ${count(progress.items)}${size}, ${lag}`;
}
