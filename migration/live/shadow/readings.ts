import type { Evidence } from '../../evidence/evidence.ts';
import type { CellKey, DifferenceKind } from '../../evidence/snapshot.ts';
import type { Clock } from '../../clock.ts';
import { factsOf, type Facts } from './facts.ts';
import type { HeldVersions } from './held-versions.ts';
import type { HereReader } from './here-reader.ts';
import { judge, mayBeHidden, type Verdict } from './judge.ts';
import type { Lane } from './lane.ts';
import type { Question } from './question.ts';
import type { Sightings, Staleness } from './sightings.ts';
import { readSource, type SourceAsk } from './source-reader.ts';

export interface ReadingsOptions {
  readonly evidence: Evidence;
  readonly lane: Lane;
  readonly source: SourceAsk;
  readonly here: HereReader;
  readonly held: HeldVersions;
  readonly sightings: Sightings;
  readonly gatewayNodes: () => ReadonlySet<string>;
  readonly clock: Clock;
  readonly monoMs: () => number;
  /** For what this gateway asks on its own behalf. */
  readonly ownToken: string;
}

/** Source, here, and the source again where they differ. */
export interface Look {
  readonly source: Facts;
  readonly here: Facts;
  readonly verdict: Verdict;
  /** When here was read. */
  readonly atMs: number;
}

const absentPath = '/v1/kv/_gw/absent?consistent';

/** Reads both sides, and notes what the readings tell beside their content. Undefined: a side did not answer. */
export class Readings {
  readonly #options: ReadingsOptions;

  constructor(options: ReadingsOptions) {
    this.#options = options;
  }

  async source(question: Question, at: CellKey, token = question.token): Promise<Facts | undefined> {
    const { lane, source, evidence, clock, monoMs, sightings, gatewayNodes } = this.#options;
    await lane.token();
    const startMs = monoMs();
    const answer = await readSource(source, { path: question.path, token, signal: lane.signal });
    const endMs = monoMs();
    const facts = answer && factsOf(question, answer, { gatewayNodes: gatewayNodes() });
    if (facts === undefined) {
      if (!lane.signal.aborted) evidence.failed(at, 'source', clock.now());
      return undefined;
    }
    evidence.latency(at, 'source', endMs - startMs);
    const { key } = question;
    const version = key === undefined ? undefined : facts.entries.get(key)?.version;
    if (key !== undefined && version !== undefined) sightings.saw(key, version, startMs, endMs, false);
    // Of a key that is not there Consul answers the index of all keys.
    if (key !== undefined && facts.status === 404 && facts.index > 1) {
      sightings.indexes.nothingAbove(facts.index, startMs);
    }
    return facts;
  }

  here(question: Question, at: CellKey): Facts | undefined {
    const { here, held, evidence, clock, monoMs, gatewayNodes } = this.#options;
    const startMs = monoMs();
    const answer = here.read(question.path);
    const versionHere = (key: string, index: number): number | undefined => held.shown(key, index);
    const facts = answer && factsOf(question, answer, { gatewayNodes: gatewayNodes(), versionHere });
    if (facts === undefined) evidence.failed(at, 'here', clock.now());
    else evidence.latency(at, 'here', monoMs() - startMs);
    return facts;
  }

  async look(question: Question, at: CellKey): Promise<Look | undefined> {
    const before = await this.source(question, at);
    return before && this.lookFrom(question, at, before);
  }

  /** Where the source was read already. */
  async lookFrom(question: Question, at: CellKey, before: Facts): Promise<Look | undefined> {
    const here = this.here(question, at);
    if (here === undefined) return undefined;
    const atMs = this.#options.monoMs();
    const verdict = judge(before, here, before);
    if (!isOpen(verdict)) return { source: before, here, verdict, atMs };
    const after = await this.source(question, at);
    if (after === undefined) return undefined;
    const look = { source: after, here, verdict: judge(before, here, after), atMs };
    return (await this.#isOfRights(question, at, look)) ? { ...look, verdict: { kind: 'moving' } } : look;
  }

  /** The source against itself, as `look` would. */
  async noise(question: Question, at: CellKey): Promise<DifferenceKind | null | undefined> {
    const first = await this.source(question, at);
    const second = first && (await this.source(question, at));
    if (first === undefined || second === undefined) return undefined;
    if (!isOpen(judge(first, second, first))) return null;
    const third = await this.source(question, at);
    const verdict = third && judge(first, second, third);
    if (verdict === undefined || verdict.kind === 'moving') return undefined;
    return verdict.kind === 'differs' ? verdict.difference : null;
  }

  /** How long an answer of here was behind, as far as that is known. */
  staleness(question: Question, shown: Facts, readMs: number): Staleness | undefined {
    const { key } = question;
    if (key === undefined) return undefined;
    const version = shown.entries.get(key)?.version ?? this.#versionOfAbsence(key, shown);
    return version === undefined ? undefined : this.#options.sightings.staleness(key, version, readMs);
  }

  /** Learns up to which index the source has written by now: by this, later writes are dated. */
  async indexNow(): Promise<void> {
    const { lane, source, monoMs, sightings, ownToken } = this.#options;
    await lane.token();
    const startMs = monoMs();
    const answer = await readSource(source, { path: absentPath, token: ownToken, signal: lane.signal });
    if (answer?.status === 404 && answer.index > 1) sightings.indexes.nothingAbove(answer.index, startMs);
  }

  /** Whether what seems to be too much here is only what the client's token may not see over there. */
  async #isOfRights(question: Question, at: CellKey, { verdict, here }: Look): Promise<boolean> {
    const { ownToken, evidence } = this.#options;
    if (verdict.kind !== 'differs' || question.token === ownToken || !mayBeHidden(verdict)) return false;
    const seen = await this.source(question, at, ownToken);
    if (seen === undefined || isOpen(judge(seen, here, seen))) return false;
    evidence.note('Some tokens of clients may see less at the source than is held here: indeterminate.');
    return true;
  }

  /** Since which version a key is not there. */
  #versionOfAbsence(key: string, shown: Facts): number | undefined {
    const held = this.#options.held.now(key);
    return shown.status === 404 && held?.deleted === true ? held.version : undefined;
  }
}

export function isOpen(verdict: Verdict): boolean {
  return verdict.kind === 'differs' || verdict.kind === 'moving';
}
