import type { CellKey, EvidenceSample, SampleOutcome } from '../../evidence/snapshot.ts';
import { ageTimesMs, type DifferenceKind } from '../../evidence/snapshot.ts';
import type { Evidence } from '../../evidence/evidence.ts';
import type { Clock } from '../../clock.ts';
import { factsOf, type Facts } from './facts.ts';
import type { HeldVersions } from './held-versions.ts';
import type { HereReader } from './here-reader.ts';
import { judge, type Verdict } from './judge.ts';
import type { Lane } from './lane.ts';
import { shadowLimits } from './limits.ts';
import type { Question } from './question.ts';
import type { Redactor } from './redactor.ts';
import type { Sightings } from './sightings.ts';
import { readSource, type SourceAsk } from './source-reader.ts';
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
  readonly source: SourceAsk;
  readonly here: HereReader;
  readonly held: HeldVersions;
  readonly sightings: Sightings;
  readonly gatewayNodes: () => ReadonlySet<string>;
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

interface Look {
  readonly source: Facts;
  readonly here: Facts;
  readonly verdict: Verdict;
  /** When here was read. */
  readonly atMs: number;
}

const failuresMax = 5;
const retryMs = 5_000;

/** Compares answers in the lane, looks again at those that differ, and counts what comes of it. */
export class Comparisons {
  readonly #options: ComparisonsOptions;
  readonly #open = new Set<Open>();
  readonly #indexSteps = new IndexSteps();
  #followed = 0;

  constructor(options: ComparisonsOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#open.size;
  }

  get followed(): number {
    return this.#followed;
  }

  /** Never waits, never throws. */
  offer(comparison: Comparison): void {
    const { lane, evidence, clock } = this.#options;
    const taken = lane.offer(() => this.#guarded(() => this.#compare(comparison)));
    if (!taken) evidence.dropped(comparison.at, clock.now());
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
      const kind = await this.#noise(comparison);
      if (kind !== undefined) evidence.noise(at, kind);
    }
  }

  /** The client's answer is the first reading of the source; the last one is needed only where here differs from it. */
  async #lookBesideSource(comparison: Comparison): Promise<Look | undefined> {
    const { question, at, facts: before } = comparison;
    const here = this.#readHere(question, at);
    if (here === undefined) return undefined;
    const atMs = this.#options.monoMs();
    let after: Facts | undefined = before;
    let verdict = judge(before, here, before);
    if (isOpen(verdict)) {
      after = await this.#readSource(question, at);
      if (after === undefined) return undefined;
      verdict = judge(before, here, after);
    }
    this.#stale(comparison, here, atMs);
    return { source: after, here, verdict, atMs };
  }

  /** The client's answer was given here: the source is read around a second reading of here, where they differ. */
  async #lookBesideHere(comparison: Comparison): Promise<Look | undefined> {
    const { question, at, facts: shown, startMs } = comparison;
    const { evidence, clock, monoMs, redactor } = this.#options;
    const before = await this.#readSource(question, at);
    if (before === undefined) return undefined;
    this.#stale(comparison, shown, startMs);
    const first = judge(before, shown, before);
    if (!isOpen(first)) return { source: before, here: shown, verdict: first, atMs: startMs };
    const here = this.#readHere(question, at);
    if (here === undefined) return undefined;
    const atMs = monoMs();
    const after = await this.#readSource(question, at);
    if (after === undefined) return undefined;
    const verdict = judge(before, here, after);
    if (verdict.kind === 'differs') return { source: after, here, verdict, atMs };
    // Here has caught up: either the client's answer was old, or the source changed after it. Only a version tells.
    const staleMs = this.#staleness(question, shown, startMs)?.lowMs ?? 0;
    if (first.kind !== 'differs' || staleMs === 0) {
      return { source: after, here, verdict: { kind: 'moving' }, atMs };
    }
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
    const look = await this.#look(question, at);
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
      const look = isWanted(question) ? await this.#look(question, at) : undefined;
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

  /** Source, here, and the source again where they differ. */
  async #look(question: Question, at: CellKey): Promise<Look | undefined> {
    const before = await this.#readSource(question, at);
    if (before === undefined) return undefined;
    const here = this.#readHere(question, at);
    if (here === undefined) return undefined;
    const atMs = this.#options.monoMs();
    const verdict = judge(before, here, before);
    if (!isOpen(verdict)) return { source: before, here, verdict, atMs };
    const after = await this.#readSource(question, at);
    return after === undefined
      ? undefined
      : { source: after, here, verdict: judge(before, here, after), atMs };
  }

  /** The source against itself, as `#look` would. Undefined: it did not answer. */
  async #noise({ question, at }: Comparison): Promise<DifferenceKind | null | undefined> {
    const first = await this.#readSource(question, at);
    const second = first && (await this.#readSource(question, at));
    if (first === undefined || second === undefined) return undefined;
    if (!isOpen(judge(first, second, first))) return null;
    const third = await this.#readSource(question, at);
    const verdict = third && judge(first, second, third);
    if (verdict === undefined || verdict.kind === 'moving') return undefined;
    return verdict.kind === 'differs' ? verdict.difference : null;
  }

  async #readSource(question: Question, at: CellKey): Promise<Facts | undefined> {
    const { lane, source, evidence, clock, monoMs, sightings, gatewayNodes } = this.#options;
    await lane.token();
    const startMs = monoMs();
    const { path, token } = question;
    const answer = await readSource(source, { path, token, signal: lane.signal });
    const endMs = monoMs();
    const facts = answer && factsOf(question, answer, { gatewayNodes: gatewayNodes() });
    if (facts === undefined) {
      if (!lane.signal.aborted) evidence.failed(at, 'source', clock.now());
      return undefined;
    }
    evidence.latency(at, 'source', endMs - startMs);
    const version = question.key === undefined ? undefined : facts.entries.get(question.key)?.version;
    if (question.key !== undefined && version !== undefined) {
      sightings.saw(question.key, version, startMs, endMs, false);
    }
    return facts;
  }

  #readHere(question: Question, at: CellKey): Facts | undefined {
    const { here, held, evidence, clock, monoMs, gatewayNodes } = this.#options;
    const startMs = monoMs();
    const answer = here.read(question.path);
    const versionHere = (key: string, index: number): number | undefined => held.shown(key, index);
    const facts = answer && factsOf(question, answer, { gatewayNodes: gatewayNodes(), versionHere });
    if (facts === undefined) evidence.failed(at, 'here', clock.now());
    else evidence.latency(at, 'here', monoMs() - startMs);
    return facts;
  }

  #stale({ question, at }: Comparison, shown: Facts, readMs: number): void {
    const staleness = this.#staleness(question, shown, readMs);
    if (staleness === undefined) return;
    this.#options.evidence.stale(at, staleness.lowMs, staleness.highMs, this.#options.clock.now());
    this.#options.evidence.behind(at, staleness.versionsBehind);
  }

  #staleness(question: Question, shown: Facts, readMs: number): ReturnType<Sightings['staleness']> {
    const { key } = question;
    if (key === undefined) return undefined;
    const version = shown.entries.get(key)?.version ?? this.#versionOfAbsence(key, shown);
    return version === undefined ? undefined : this.#options.sightings.staleness(key, version, readMs);
  }

  /** Since which version a key is not there. */
  #versionOfAbsence(key: string, shown: Facts): number | undefined {
    const held = this.#options.held.now(key);
    return shown.status === 404 && held?.deleted === true ? held.version : undefined;
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

function isOpen(verdict: Verdict): boolean {
  return verdict.kind === 'differs' || verdict.kind === 'moving';
}
