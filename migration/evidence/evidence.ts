import { emptyCell, emptyScope } from './empty.ts';
import { addHash } from './distinct.ts';
import { addValue } from './histogram.ts';
import { Samples } from './samples.ts';
import type {
  CellKey,
  DifferenceKind,
  EvidenceCell,
  EvidencePart,
  EvidenceSample,
  GuaranteeName,
  Mark,
  Sampling,
  ScopeEvidence,
  SweepEvidence,
} from './snapshot.ts';
import { Timeline } from './timeline.ts';

export interface EvidenceIdentity {
  readonly gateway: EvidencePart['gateway'];
  /** Greater than that of any start before. */
  readonly epoch: number;
  readonly redaction: EvidencePart['redaction'];
  readonly rules: EvidencePart['rules'];
  readonly sampling: Sampling;
}

/** What a scope is of; a `CellKey` says it, too. */
export type ScopeKey = Omit<CellKey, 'endpoint'>;

/** A key as evidence knows it: an HMAC (hex) and a hash of it below 2^48. */
export interface KeyId {
  readonly hmac: string;
  readonly hash: number;
}

export type Settled = 'transient' | 'persistent' | 'indeterminate';

const cellsMax = 512;
const scopesMax = 256;
const clustersMax = 64;
const marksMax = 512;
const sweepsMax = 64;
const notesMax = 64;
/** Where cells and scopes beyond the bound are counted. */
export const otherPrefixes = '(others)';

/**
 * Counts what one gateway observes. Bounded: beyond the bounds things are counted together, and a note says so. Times
 * are arguments; wall clock (`atMs`) is for the timeline alone, durations are the caller's to measure.
 */
export class Evidence {
  readonly #identity: EvidenceIdentity;
  readonly #cells = new Map<string, EvidenceCell>();
  readonly #scopes = new Map<string, ScopeEvidence>();
  readonly #timeline: Timeline;
  readonly #samples: Samples;
  readonly #marks: Mark[];
  readonly #notes: Set<string>;
  #sweeps: SweepEvidence[];
  #sampling: Sampling;
  #redaction: EvidencePart['redaction'];
  readonly #sinceMs: number;
  readonly #restarts: number;
  #seq = 0;

  /** `before`: what was written down last. What was open then has no end that anybody saw. */
  constructor(identity: EvidenceIdentity, nowMs: number, before?: EvidencePart) {
    this.#identity = identity;
    this.#sampling = identity.sampling;
    this.#redaction = identity.redaction;
    this.#sinceMs = before?.sinceMs ?? nowMs;
    this.#restarts = before === undefined ? 0 : before.restarts + 1;
    this.#timeline = new Timeline(before?.timeline ?? []);
    this.#samples = new Samples(before?.samples ?? []);
    this.#marks = [...(before?.marks ?? [])];
    this.#notes = new Set(before?.notes);
    this.#sweeps = [...(before?.sweeps ?? [])];
    for (const cell of structuredClone(before?.cells ?? [])) {
      cell.counts.indeterminate += cell.counts.open;
      cell.counts.open = 0;
      this.#cells.set(cellId(cell), cell);
    }
    for (const scope of structuredClone(before?.scopes ?? [])) this.#scopes.set(scopeId(scope), scope);
    if (before === undefined) return;
    this.note('A gateway was started again: what it saw since it last wrote its counts down is not in here.');
    if (before.redaction.secretId !== identity.redaction.secretId) {
      this.note('The secret of redaction changed on the way: keys of before and after do not correlate.');
    }
    if (before.rules.sha256 !== identity.rules.sha256) {
      this.note('The rules by which differences are passed over changed on the way.');
    }
  }

  // Comparisons

  matched(at: CellKey, atMs: number): void {
    const cell = this.#compared(at, atMs);
    cell.counts.matched += 1;
    for (const age of cell.ages) age.n += 1;
  }

  /** Differed only in what the rules pass over. */
  ignored(at: CellKey, atMs: number): void {
    const cell = this.#compared(at, atMs);
    cell.counts.ignored += 1;
    for (const age of cell.ages) age.n += 1;
  }

  /** The source changed while it was compared. */
  indeterminate(at: CellKey, atMs: number): void {
    this.#compared(at, atMs).counts.indeterminate += 1;
    this.#timeline.at(at, atMs).indeterminate += 1;
  }

  /** Differs at the first look, and is to be looked at again. Each one is `settled` later. */
  opened(at: CellKey, atMs: number): void {
    this.#compared(at, atMs).counts.open += 1;
    this.#timeline.at(at, atMs).differed += 1;
  }

  stillOpen(at: CellKey, openMs: number): void {
    const cell = this.#cell(at);
    cell.longestOpenMs = Math.max(cell.longestOpenMs, openMs);
  }

  settled(
    at: CellKey,
    kind: DifferenceKind,
    outcome: Settled,
    key: KeyId,
    openMs: number,
    atMs: number,
  ): void {
    const cell = this.#cell(at);
    cell.counts.open -= 1;
    cell.counts[outcome] += 1;
    cell.longestOpenMs = Math.max(cell.longestOpenMs, openMs);
    this.#timeline.at(at, atMs)[outcome] += 1;
    if (outcome === 'indeterminate') return;
    cell.kinds[kind][outcome] += 1;
    if (outcome === 'transient') addValue(cell.openMs, openMs);
    this.#cluster(cell, key.hmac, outcome);
  }

  /** Once for each age: whether what differed at the first look still did when it was so old. */
  aged(at: CellKey, ageMs: number, open: boolean): void {
    const age = this.#cell(at).ages.find((each) => each.ageMs === ageMs);
    if (age === undefined) return;
    age.n += 1;
    if (open) age.open += 1;
  }

  /** Sampled, and not compared. */
  dropped(at: CellKey, atMs: number, by = 1): void {
    this.#cell(at).counts.dropped += by;
    this.#timeline.at(at, atMs).dropped += by;
  }

  /** Sampled, and one side did not answer. */
  failed(at: CellKey, side: 'source' | 'here', atMs: number): void {
    this.#cell(at).counts[side === 'source' ? 'sourceErrors' : 'hereErrors'] += 1;
    this.#timeline.at(at, atMs).errors += 1;
  }

  /** The source compared with itself; `kind` null: no difference. */
  noise(at: CellKey, kind: DifferenceKind | null): void {
    const { noise } = this.#cell(at);
    noise.compared += 1;
    if (kind === null) return;
    noise.differed += 1;
    noise.kinds[kind] = (noise.kinds[kind] ?? 0) + 1;
  }

  latency(at: CellKey, side: 'source' | 'here', tookMs: number): void {
    addValue(this.#cell(at).latency[side], tookMs);
  }

  /** How much later (negative: earlier) a blocking read would have woken here than at the source. */
  woke(at: CellKey, laterMs: number): void {
    const { wake } = this.#cell(at);
    if (laterMs >= 0) addValue(wake.later, laterMs);
    else addValue(wake.earlier, -laterMs);
  }

  /** Content changed here; `missed`: its index did not grow, so one who waits with it would have slept on. */
  indexStep(at: CellKey, missed: boolean): void {
    const { wake } = this.#cell(at);
    wake.indexSteps += 1;
    if (missed) wake.missedWakes += 1;
  }

  // What does not depend on the endpoint

  read(at: ScopeKey, by = 1): void {
    this.#scope(at).coverage.reads += by;
  }

  /** Of sampled keys, and passed over: the gateway had no time to spare. */
  busy(at: ScopeKey, by = 1): void {
    this.#scope(at).coverage.busy += by;
    this.note(
      'Some reads of sampled keys were not compared because the gateway was busy: of what happens under full load less is seen.',
    );
  }

  wrote(at: ScopeKey): void {
    this.#scope(at).coverage.writes += 1;
  }

  sampled(at: ScopeKey, key: KeyId): void {
    const { coverage } = this.#scope(at);
    coverage.sampled += 1;
    addHash(coverage.keys, key.hash);
  }

  /** How long an answer was behind; equal bounds: known exactly. */
  stale(at: ScopeKey, lowMs: number, highMs: number, atMs: number): void {
    const { staleness } = this.#scope(at);
    addValue(staleness.low, lowMs);
    addValue(staleness.high, highMs);
    if (lowMs === highMs) staleness.exact += 1;
    else staleness.bounded += 1;
    const bucket = this.#timeline.at(at, atMs);
    bucket.stalenessMsMax = Math.max(bucket.stalenessMsMax, lowMs);
  }

  /** By how many versions an answer was behind. */
  behind(at: ScopeKey, versions: number): void {
    const counts = this.#scope(at).versionsBehind;
    const bin = Math.min(Math.max(0, Math.trunc(versions)), counts.length - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }

  /** A write became visible between `lowMs` and `highMs` after its acknowledgement; Infinity: nobody saw it. */
  visible(at: ScopeKey, where: 'own' | 'zone' | 'all', lowMs: number, highMs: number): void {
    for (const bin of this.#scope(at).visibility[where]) {
      if (highMs <= bin.tMs) bin.fresh += 1;
      else if (lowMs > bin.tMs) bin.stale += 1;
      else bin.unknown += 1;
    }
  }

  agreement(at: ScopeKey, where: 'zone' | 'all', outcome: 'agreed' | 'disagreed' | 'unknown'): void {
    const counts = this.#scope(at).agreement[where];
    if (outcome === 'unknown') {
      counts.unknown += 1;
      return;
    }
    counts.asked += 1;
    if (outcome === 'agreed') counts.agreed += 1;
  }

  /** `by`: how many at once, of which all did or none. */
  guarantee(at: ScopeKey, which: GuaranteeName, violated: boolean, atMs: number, by = 1): void {
    const counts = this.#scope(at).sessions[which];
    counts.checked += by;
    if (!violated) return;
    counts.violations += by;
    this.#timeline.at(at, atMs)[which] += by;
  }

  forgot(at: ScopeKey): void {
    this.#scope(at).sessions.forgotten += 1;
  }

  linearizable(at: ScopeKey, verdict: 'yes' | 'no' | 'unknown', operations: number): void {
    const counts = this.#scope(at).linearizable;
    counts[verdict] += 1;
    counts.operations += operations;
  }

  gamma(at: ScopeKey, writes: number, violationsMs: readonly number[]): void {
    const { gamma } = this.#scope(at);
    gamma.writes += writes;
    gamma.violations += violationsMs.length;
    for (const ms of violationsMs) addValue(gamma.badness, ms);
  }

  // What explains the numbers

  mark(mark: Mark): void {
    this.#marks.push(mark);
    if (this.#marks.length > marksMax) this.#marks.shift();
  }

  /** Redacted already. */
  sample(sample: EvidenceSample): void {
    this.#samples.add(sample);
  }

  sweep(sweep: SweepEvidence): void {
    this.#sweeps.push(sweep);
    // The newest two of each rule are kept, then the newest of all.
    const ofRule = this.#sweeps.filter((each) => each.of === sweep.of && each.prefix === sweep.prefix);
    const oldest = ofRule.length > 2 ? ofRule[0] : undefined;
    this.#sweeps = this.#sweeps.filter((each) => each !== oldest).slice(-sweepsMax);
  }

  note(text: string): void {
    if (this.#notes.size < notesMax) this.#notes.add(text);
  }

  setSampling(sampling: Sampling): void {
    if (JSON.stringify(sampling) === JSON.stringify(this.#sampling)) return;
    this.#sampling = sampling;
    this.note('The sampling was changed on the way; what stands here is how it was last.');
  }

  setRedaction(redaction: EvidencePart['redaction']): void {
    this.#redaction = redaction;
  }

  /** A copy; each has a greater number than the one before. */
  part(nowMs: number): EvidencePart {
    this.#seq += 1;
    return structuredClone({
      gateway: this.#identity.gateway,
      epoch: this.#identity.epoch,
      seq: this.#seq,
      sinceMs: this.#sinceMs,
      untilMs: nowMs,
      restarts: this.#restarts,
      redaction: this.#redaction,
      rules: this.#identity.rules,
      sampling: this.#sampling,
      cells: [...this.#cells.values()],
      scopes: [...this.#scopes.values()],
      timeline: this.#timeline.buckets(),
      marks: this.#marks,
      samples: this.#samples.all(),
      sweeps: this.#sweeps,
      notes: [...this.#notes],
    });
  }

  #compared(at: CellKey, atMs: number): EvidenceCell {
    const cell = this.#cell(at);
    cell.counts.compared += 1;
    this.#timeline.at(at, atMs).compared += 1;
    return cell;
  }

  #cell(at: CellKey): EvidenceCell {
    return heldOrNew(
      this.#cells,
      cellsMax,
      at,
      cellId,
      () => this.#crowded(),
      (key) => ({
        of: key.of,
        prefix: key.prefix,
        phase: key.phase,
        endpoint: key.endpoint,
        ...emptyCell(),
      }),
    );
  }

  #scope(at: ScopeKey): ScopeEvidence {
    return heldOrNew(
      this.#scopes,
      scopesMax,
      at,
      scopeId,
      () => this.#crowded(),
      (key) => ({
        of: key.of,
        prefix: key.prefix,
        phase: key.phase,
        ...emptyScope(),
      }),
    );
  }

  #crowded(): void {
    this.note(`There were more rules and endpoints than are kept apart: the rest is under ${otherPrefixes}.`);
  }

  #cluster(cell: EvidenceCell, key: string, outcome: 'transient' | 'persistent'): void {
    let cluster = cell.clusters.find((each) => each.key === key);
    if (cluster === undefined) {
      cluster = { key, transient: 0, persistent: 0 };
      cell.clusters.push(cluster);
    }
    cluster[outcome] += 1;
    if (cell.clusters.length <= clustersMax) return;
    // The least of the others makes room: great clusters, which widen intervals, stay.
    const others = cell.clusters.filter((each) => each !== cluster);
    const size = (each: (typeof others)[number]): number => each.transient + each.persistent;
    const least = others.reduce((a, b) => (size(b) < size(a) ? b : a));
    cell.clusters = cell.clusters.filter((each) => each !== least);
    cell.otherClusters.keys += 1;
    cell.otherClusters.transient += least.transient;
    cell.otherClusters.persistent += least.persistent;
  }
}

function heldOrNew<K extends ScopeKey, T>(
  all: Map<string, T>,
  max: number,
  key: K,
  idOf: (key: K) => string,
  crowded: () => void,
  make: (key: K) => T,
): T {
  const id = idOf(key);
  const held = all.get(id);
  if (held !== undefined) return held;
  let wanted = key;
  if (all.size >= max && key.prefix !== otherPrefixes) {
    crowded();
    wanted = { ...key, prefix: otherPrefixes };
    const others = all.get(idOf(wanted));
    if (others !== undefined) return others;
  }
  const made = make(wanted);
  all.set(idOf(wanted), made);
  return made;
}

/** Names of endpoints and phases hold no line break, prefixes may: they come last. */
function cellId(key: CellKey): string {
  return `${key.of}\n${key.phase}\n${key.endpoint}\n${key.prefix}`;
}

function scopeId(key: ScopeKey): string {
  return `${key.of}\n${key.phase}\n${key.prefix}`;
}
