import { setMaxListeners } from 'node:events';
import { Zones, readGrants } from '../../../src/state/zones.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { copyingOf, type MigrationKind, type PhaseRule } from '../../../src/state/migration.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import { topic } from '../../../src/state/topics.ts';
import type { LiveReader } from '../../source/live-reader.ts';
import type { PartContext } from '../ports.ts';
import { Canary } from './canary.ts';
import { CatalogRule } from './catalog-rule.ts';
import type { TailDeps } from './deps.ts';
import { Asks, keyOfTopic } from './held-cache.ts';
import { KvRule } from './kv-rule.ts';
import type { LagMeter } from './lag-meter.ts';
import type { TailLimits } from './limits.ts';
import { SourceLink } from './source-link.ts';
import type { Throttles } from './throttles.ts';
import { describe, orAborted } from './trouble.ts';

export interface RunOptions {
  readonly context: PartContext;
  readonly reader: LiveReader;
  readonly limits: TailLimits;
  readonly throttles: Throttles;
  readonly lag: LagMeter;
  readonly tokenGiven: boolean;
  /** Resolves when an operator lets it go on; undefined: nobody holds it. */
  readonly held: () => Promise<void> | undefined;
  /** Told of keys before they are stored. */
  readonly applying: (records: readonly MirrorRecord[]) => void;
}

type RuleTail = KvRule | CatalogRule;

/** Everything that runs while this gateway is the runner. */
export class TailRun {
  readonly link: SourceLink;
  readonly canary: Canary;
  readonly #options: RunOptions;
  readonly #stop = new AbortController();
  readonly #deps: TailDeps;
  readonly #tails = new Map<string, RuleTail>();
  readonly #asks = new Asks();
  readonly #ended: (() => void)[] = [];
  readonly #listWaiters: (() => void)[] = [];
  #listPlaces: number;
  #zones: Zones;
  #terms = 0;
  #running: Promise<void> = Promise.resolve();
  #changing: Promise<void> = Promise.resolve();

  constructor(options: RunOptions) {
    this.#options = options;
    const { context, reader, limits, throttles, tokenGiven } = options;
    const { gateway, phases, evidence, settings } = context;
    const { signal } = this.#stop;
    // Every question that is under way listens to it.
    setMaxListeners(0, signal);
    this.#listPlaces = limits.listsAtOnce;
    this.#zones = new Zones(readGrants(gateway.view));
    this.link = new SourceLink({
      ...{ gateway, phases, reader, evidence, throttles, tokenGiven, signal },
      sourceId: settings.sourceId,
      identityMs: limits.identityMs,
      onTimeline: () => this.#rebase(),
    });
    this.canary = new Canary(gateway, reader, signal, limits.canaryMs);
    this.#deps = {
      ...{ gateway, phases, reader, limits, evidence, throttles, signal },
      asks: this.#asks,
      source: () => this.link.facts,
      timeline: () => this.link.timeline,
      termOf: (key) => this.#zones.lentTerm(Kind.kv, key) ?? 0,
      terms: () => this.#terms,
      catalogTerm: () => this.#zones.lentTerm(Kind.node, '') ?? 0,
      fork: (timeline, found) => this.link.fork(timeline, found),
      held: () => options.held() ?? this.link.untilUp(),
      suspect: () => this.link.suspect(),
      // Names, the canary and the catalog wait, too.
      hotMax: () =>
        Math.max(1, Math.floor((limits.waitingMax - 4 - this.#tails.size) / Math.max(1, this.#tails.size))),
      listPlace: () => this.#takeListPlace(),
      lag: (ms) => options.lag.add(ms),
      applying: options.applying,
    };
  }

  get tails(): readonly RuleTail[] {
    return [...this.#tails.values()];
  }

  start(): void {
    const { gateway, phases } = this.#options.context;
    this.#ended.push(
      gateway.onCommit((touched) => this.#onCommit(touched)),
      phases.onChange(() => this.#onPhases()),
    );
    this.#running = Promise.all([this.link.run(), this.#afterUp()]).then(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    for (const end of this.#ended.splice(0)) end();
    await this.#running;
    await this.#changing;
    await Promise.all(this.tails.map((tail) => tail.stop()));
    this.#options.reader.close();
  }

  tail(of: MigrationKind, prefix: string): RuleTail | undefined {
    return this.#tails.get(nameOf(of, prefix));
  }

  async #afterUp(): Promise<void> {
    await orAborted(this.link.untilUp(), this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    this.#onPhases();
    await Promise.all([this.canary.run(), this.#tick()]);
  }

  async #tick(): Promise<void> {
    const { gateway } = this.#options.context;
    const { limits } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await gateway.clock.sleep(limits.tickMs, signal);
      await orAborted(this.#deps.held(), signal);
      for (const tail of this.tails) {
        if (signal.aborted || tail instanceof CatalogRule) continue;
        await tail.tick().catch((error: unknown) => {
          if (!signal.aborted) this.#options.throttles.note(describe(error), 5000);
        });
      }
    }
  }

  #onCommit(touched: ReadonlySet<string>): void {
    if (touched.has(topic.zones)) {
      this.#zones = new Zones(readGrants(this.#options.context.gateway.view));
      this.#terms += 1;
      this.#onPhases();
    }
    for (const each of touched) {
      const key = keyOfTopic(each);
      if (key === undefined) continue;
      for (const tail of this.#tails.values()) if (tail instanceof KvRule) tail.touched(key);
    }
  }

  #onPhases(): void {
    this.link.agreed();
    if (!this.link.isUp || this.#stop.signal.aborted) return;
    // One change after the other: a rule that is to run again has stopped before.
    this.#changing = this.#changing.then(() => this.#reconcile());
  }

  async #reconcile(): Promise<void> {
    const { phases } = this.#options.context;
    const wanted = new Map<string, PhaseRule>();
    for (const rule of phases.rules) {
      if (copyingOf(rule.phase) === 'from-source') wanted.set(nameOf(rule.of, rule.prefix), rule);
    }
    for (const [name, tail] of this.#tails) {
      const rule = wanted.get(name);
      if (rule !== undefined && rule.term === tail.rule.term && this.#isOnlyFarther(tail.rule, rule))
        continue;
      this.#tails.delete(name);
      await tail.stop();
    }
    if (this.#stop.signal.aborted) return;
    for (const [name, rule] of wanted) {
      if (this.#tails.has(name)) continue;
      const tail = rule.of === 'kv' ? new KvRule(rule, this.#deps) : new CatalogRule(rule, this.#deps);
      this.#tails.set(name, tail);
      tail.start();
    }
  }

  /** The same rule in another phase that copies the same way: nothing of its tail changes. */
  #isOnlyFarther(before: PhaseRule, now: PhaseRule): boolean {
    return before.step === now.step || before.of === 'kv';
  }

  #rebase(): void {
    for (const tail of this.#tails.values()) tail.rebase();
    this.#onPhases();
  }

  async #takeListPlace(): Promise<() => void> {
    if (this.#listPlaces === 0) await new Promise<void>((resolve) => this.#listWaiters.push(resolve));
    else this.#listPlaces -= 1;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      const next = this.#listWaiters.shift();
      if (next === undefined) this.#listPlaces += 1;
      else next();
    };
  }
}

function nameOf(of: MigrationKind, prefix: string): string {
  return `${of} ${prefix}`;
}
