import type { CellKey, EvidenceSample, SampleOutcome } from '../../evidence/snapshot.ts';
import { ageTimesMs } from '../../evidence/snapshot.ts';
import type { Evidence } from '../../evidence/evidence.ts';
import type { Clock } from '../../clock.ts';
import type { Facts } from './facts.ts';
import type { HeldVersions } from './held-versions.ts';
import { judge } from './judge.ts';
import type { Lane } from './lane.ts';
import { shadowLimits } from './limits.ts';
import type { Question } from './question.ts';
import { isOpen, type Look, type Readings } from './readings.ts';
import type { Redactor } from './redactor.ts';
import { lookAgain, suspectOf, type SuspectState } from './suspects.ts';
import { IndexSteps } from './index-steps.ts';

/** An answer that a client got, to be compared with the other side's. */
export interface Comparison {
  readonly question: Question;
  readonly at: CellKey;
  readonly answeredBy: 'source' | 'here';
  readonly facts: Facts;
  /** When the client's request came and when it was answered (monotonic milliseconds). */
  readonly startMs: number;
  readonly endMs: number;
  /** Whether it waited and was woken by a change. */
  readonly woken: boolean;
}

export interface ComparisonsOptions {
  readonly evidence: Evidence;
  readonly redactor: Redactor;
  readonly lane: Lane;
  readonly readings: Readings;
  readonly held: HeldVersions;
  /** Whether the rules still have such answers compared. */
  readonly isWanted: (question: Question) => boolean;
  readonly clock: Clock;
  readonly monoMs: () => number;
  readonly random: () => number;
  readonly recheckDelaysMs: readonly number[];
  readonly noisePercent: number;
}

interface Open {
  readonly comparison: Comparison;
  /** What the source had when the difference was seen. */
  readonly version: number | undefined;
  suspect: SuspectState;
  source: Facts;
  here: Facts;
  failures: number;
}

const failuresMax = 5;
const retryMs = 5_000;
/** Without a comparison for so long the source is left alone. */
const activeMs = 10_000;

/** Compares answers in the lane, looks again at those that differ, and counts what comes of it. */
export class Comparisons {
  readonly #options: ComparisonsOptions;
  readonly #open = new Set<Open>();
  readonly #indexSteps = new IndexSteps();
  #followed = 0;
  #offeredMs = -Infinity;

  constructor(options: ComparisonsOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Never waits, never throws. */
  offer(comparison: Comparison): void {
    const { lane, evidence, clock, monoMs } = this.#options;
    this.#offeredMs = monoMs();
    const taken = lane.offer(() => this.#guarded(() => this.#compare(comparison)));
    if (!taken) evidence.dropped(comparison.at, clock.now());
  }

  /** Called a few times a second. */
  tick(): void {
    const { lane, monoMs, readings } = this.#options;
    // Behind all that waits it would tell nothing.
    if (monoMs() - this.#offeredMs > activeMs || lane.waiting > 0) return;
    lane.offer(() => this.#guarded(() => readings.indexNow()));
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#options.lane.signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      this.#options.evidence.note(`A comparison failed by a defect: ${why.slice(0, 200)}`);
    }
  }

  async #compare(comparison: Comparison): Promise<void> {
    const { answeredBy, at } = comparison;
    const { evidence, random, noisePercent } = this.#options;
    const look =
      answeredBy === 'source'
        ? await this.#lookBesideSource(comparison)
        : await this.#lookBesideHere(comparison);
    if (look !== undefined) this.#judged(comparison, look);
    if (random() * 100 < noisePercent) {
      const kind = await this.#options.readings.noise(comparison.question, at);
      if (kind !== undefined) evidence.noise(at, kind);
    }
  }

  /** The client's answer is the first reading of the source; the last one is needed only where here differs from it. */
  async #lookBesideSource({ question, at, facts }: Comparison): Promise<Look | undefined> {
    const look = await this.#options.readings.lookFrom(question, at, facts);
    if (look !== undefined) this.#stale(at, question, look.here, look.atMs);
    return look;
  }

  /** The client's answer was given here: the source is read around a second reading of here, where they differ. */
  async #lookBesideHere(comparison: Comparison): Promise<Look | undefined> {
    const { question, at, facts: shown, startMs } = comparison;
    const { evidence, clock, redactor, readings } = this.#options;
    const before = await readings.source(question, at);
    if (before === undefined) return undefined;
    this.#stale(at, question, shown, startMs);
    const first = judge(before, shown, before);
    if (!isOpen(first)) return { source: before, here: shown, verdict: first, atMs: startMs };
    const look = await readings.lookFrom(question, at, before);
    if (look === undefined || isOpen(look.verdict)) return look;
    // Here has caught up: either the client's answer was old, or the source changed after it. Only a version tells.
    const staleMs = readings.staleness(question, shown, startMs)?.lowMs ?? 0;
    if (first.kind !== 'differs' || staleMs === 0) return { ...look, verdict: { kind: 'moving' } };
    evidence.opened(at, clock.now());
    const key = redactor.keyId(question.of, question.subject);
    evidence.settled(at, first.difference, 'transient', key, staleMs, clock.now());
    this.#agesOf(at, staleMs);
    const suspect = suspectOf(first, startMs, []);
    this.#sample(comparison, 'transient', suspect, { source: before, here: shown }, staleMs);
    return undefined;
  }

  #judged(comparison: Comparison, look: Look): void {
    const { at, question } = comparison;
    const { evidence, clock, recheckDelaysMs } = this.#options;
    const { verdict, source, here } = look;
    if (question.blocking) this.#step(comparison, here);
    switch (verdict.kind) {
      case 'matched':
        evidence.matched(at, clock.now());
        return this.#woke(comparison);
      case 'ignored':
        evidence.ignored(at, clock.now());
        return undefined;
      case 'moving':
        evidence.indeterminate(at, clock.now());
        return undefined;
      case 'differs': {
        evidence.opened(at, clock.now());
        const suspect = suspectOf(verdict, look.atMs, recheckDelaysMs);
        const version = question.key === undefined ? undefined : source.entries.get(question.key)?.version;
        const open: Open = { comparison, version, suspect, source, here, failures: 0 };
        if (recheckDelaysMs.length === 0) return this.#settle(open, 'persistent', 0);
        if (this.#open.size >= shadowLimits.suspectsMax) {
          evidence.note(
            'More answers differed at once than could be looked at again: the rest is indeterminate.',
          );
          return this.#settle(open, 'indeterminate', 0);
        }
        this.#open.add(open);
        void this.#later(open.suspect.dueMs, () => this.#again(open));
      }
    }
  }

  async #again(open: Open): Promise<void> {
    const { evidence, monoMs, recheckDelaysMs, isWanted } = this.#options;
    const { question, at } = open.comparison;
    if (!isWanted(question)) return this.#settle(open, 'indeterminate', monoMs() - open.suspect.openSinceMs);
    const look = await this.#options.readings.look(question, at);
    if (look === undefined) {
      open.failures += 1;
      if (open.failures > failuresMax) {
        return this.#settle(open, 'indeterminate', monoMs() - open.suspect.openSinceMs);
      }
      void this.#later(monoMs() + retryMs, () => this.#again(open));
      return undefined;
    }
    const step = lookAgain(open.suspect, look.verdict, look.atMs, recheckDelaysMs);
    if (step.kind === 'transient') return this.#settle(open, 'transient', this.#openMs(open, step.openMs));
    open.source = look.source;
    open.here = look.here;
    if (step.kind === 'indeterminate') return this.#settle(open, 'indeterminate', step.openMs);
    open.suspect = step.suspect;
    if (step.kind === 'persistent') return this.#settle(open, 'persistent', step.openMs);
    evidence.stillOpen(at, look.atMs - step.suspect.openSinceMs);
    void this.#later(step.suspect.dueMs, () => this.#again(open));
    return undefined;
  }

  #settle(open: Open, outcome: 'transient' | 'persistent' | 'indeterminate', openMs: number): void {
    const { evidence, clock, redactor } = this.#options;
    const { comparison, suspect } = open;
    const { at, question } = comparison;
    this.#open.delete(open);
    const key = redactor.keyId(question.of, question.subject);
    evidence.settled(at, suspect.difference, outcome, key, openMs, clock.now());
    this.#sample(comparison, outcome, suspect, open, openMs);
    if (outcome === 'transient') {
      this.#agesOf(at, openMs);
      this.#woke(comparison);
    }
    if (outcome !== 'persistent') return;
    if (this.#followed >= shadowLimits.followedMax) {
      for (const ageMs of ageTimesMs) evidence.aged(at, ageMs, true);
      return;
    }
    this.#followed += 1;
    this.#follow(open, 0);
  }

  /** Nines by age: what lasts is looked at again when it is one, five and ten minutes old. */
  #follow(open: Open, age: number): void {
    const ageMs = ageTimesMs[age];
    if (ageMs === undefined) {
      this.#followed -= 1;
      return;
    }
    const { evidence, isWanted } = this.#options;
    const { question, at } = open.comparison;
    void this.#later(open.suspect.openSinceMs + ageMs, async () => {
      const look = isWanted(question) ? await this.#options.readings.look(question, at) : undefined;
      const verdict = look?.verdict;
      const still = verdict?.kind !== 'differs' ? [] : [...verdict.entries.keys()];
      const differs = still.some((id) => open.suspect.entries.has(id));
      if (look !== undefined) evidence.aged(at, ageMs, differs);
      if (differs)
        evidence.stillOpen(at, look?.atMs === undefined ? 0 : look.atMs - open.suspect.openSinceMs);
      this.#follow(open, age + 1);
    });
  }

  #agesOf(at: CellKey, openMs: number): void {
    for (const ageMs of ageTimesMs) this.#options.evidence.aged(at, ageMs, openMs > ageMs);
  }

  /** In the lane when it is time; tried anew while the lane is full. */
  async #later(dueMs: number, work: () => Promise<void>): Promise<void> {
    const { clock, lane, monoMs } = this.#options;
    await clock.sleep(Math.max(0, dueMs - monoMs()), lane.signal);
    if (lane.signal.aborted) return;
    if (!lane.offer(() => this.#guarded(work))) await this.#later(monoMs() + 1_000, work);
  }

  #stale(at: CellKey, question: Question, shown: Facts, readMs: number): void {
    const staleness = this.#options.readings.staleness(question, shown, readMs);
    if (staleness === undefined) return;
    this.#options.evidence.stale(at, staleness.lowMs, staleness.highMs, this.#options.clock.now());
    this.#options.evidence.behind(at, staleness.versionsBehind);
  }

  /** When it cleared: by the record of what arrived, where there is one; else by the look that found it so. */
  #openMs(open: Open, openMs: number): number {
    const { held, monoMs } = this.#options;
    const { key } = open.comparison.question;
    if (key === undefined || open.version === undefined) return openMs;
    const { sinceMs } = held.since(key, open.version);
    if (sinceMs === null) return openMs;
    return Math.min(openMs, Math.max(0, monoMs() - sinceMs - open.suspect.openSinceMs));
  }

  /** A blocking read of one key: when it would have woken here. */
  #woke({ question, at, facts, endMs, woken }: Comparison): void {
    const { held, evidence, monoMs } = this.#options;
    const version = question.key === undefined ? undefined : facts.entries.get(question.key)?.version;
    if (!woken || question.key === undefined || version === undefined) return;
    const { sinceMs } = held.since(question.key, version);
    if (sinceMs !== null) evidence.woke(at, monoMs() - sinceMs - endMs);
  }

  #step({ question, at }: Comparison, here: Facts): void {
    const step = this.#indexSteps.saw(question.id, here);
    if (step !== undefined) this.#options.evidence.indexStep(at, step === 'missed');
  }

  #sample(
    { question, at }: Comparison,
    outcome: SampleOutcome,
    suspect: SuspectState,
    sides: { readonly source: Facts; readonly here: Facts },
    openMs: number,
  ): void {
    const { evidence, redactor, clock } = this.#options;
    const ids = [...suspect.entries.keys()];
    const shownId = question.key ?? ids[0] ?? '';
    const sample: EvidenceSample = {
      ...at,
      atMs: clock.now(),
      outcome,
      kind: suspect.difference,
      key: redactor.key(question.of, question.subject),
      source: redactor.side(sides.source, shownId),
      here: redactor.side(sides.here, shownId),
      fields: ids.slice(0, 16).map((id) => redactor.name(id)),
      looks: suspect.looks,
      openMs,
    };
    evidence.sample(sample);
  }
}
