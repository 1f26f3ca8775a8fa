import { checkLinearizable, gammaOf } from '../../evidence/linearizability.ts';
import type { Evidence } from '../../evidence/evidence.ts';
import type { CellKey, EvidenceSample, SessionCounts } from '../../evidence/snapshot.ts';
import { authorityOf, type PhaseRule } from '../../../src/state/migration.ts';
import type { Clock } from '../../clock.ts';
import type { ApiRequest } from '../../../compat/wire/http.ts';
import type { Acknowledged } from '../ports.ts';
import type { Facts } from './facts.ts';
import type { HeldVersions } from './held-versions.ts';
import { Histories, type History } from './histories.ts';
import { questionId, type ReadKind } from './question.ts';
import type { Redactor } from './redactor.ts';
import { isSampled, wideHashOf } from './sampling.ts';
import { SessionTracker } from './session-tracker.ts';
import type { Tally } from './tallies.ts';

export interface WitnessOptions {
  readonly evidence: Evidence;
  readonly redactor: Redactor;
  readonly held: HeldVersions;
  readonly ruleOf: (key: string) => PhaseRule | undefined;
  readonly clock: Clock;
  readonly linearizablePercent: number;
  /** In place of the tracker's own bound. */
  readonly knownMax?: number;
}

/** A client's read, with what its status and its headers tell: no body is looked into. */
export interface Seen {
  readonly request: ApiRequest;
  readonly kind: ReadKind;
  readonly tally: Tally;
  readonly answeredBy: 'source' | 'here';
  readonly status: number;
  readonly index: number;
  /** Of a key that is there: the source's ModifyIndex, as far as it is known. */
  readonly version: number | undefined;
  /** Monotonic milliseconds. */
  readonly startMs: number;
  readonly endMs: number;
  /** For showing it; undefined: it is not at hand. */
  readonly facts: () => Facts | undefined;
}

/** Who a request is from: never kept in clear. */
export function clientOf({ remoteAddress, token }: ApiRequest): string {
  return wideHashOf(`${remoteAddress}\n${token}`);
}

const sampleKinds = {
  readYourWrites: 'read-your-writes',
  monotonicReads: 'monotonic-reads',
  indexRegressions: 'index-regression',
} as const;

/** Sees what clients do here, in order, and judges what they may expect: sessions, and the histories of some keys. */
export class Witness {
  readonly #options: WitnessOptions;
  readonly #sessions: SessionTracker;
  readonly #histories: Histories;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#histories = new Histories((history) => this.#judge(history));
    this.#sessions = new SessionTracker((at) => options.evidence.forgot(at), options.knownMax);
  }

  read(seen: Seen): void {
    const { request, kind, tally, status, index, startMs, endMs } = seen;
    const { at } = tally;
    const client = clientOf(request);
    if (index > 0) {
      const regressed = this.#sessions.index(client, at, questionId(request), index, startMs, endMs);
      this.#count(seen, 'indexRegressions', regressed);
    }
    const { key } = kind;
    if (key === undefined) return;
    const version = this.#versionOf(key, seen);
    if (version !== undefined) {
      const checks = this.#sessions.read(client, at, key, version, startMs, endMs);
      this.#count(seen, 'readYourWrites', checks.readYourWrites);
      this.#count(seen, 'monotonicReads', checks.monotonicReads);
    }
    if (version === undefined && status !== 404) return;
    if (this.#isRecorded(key)) {
      this.#histories.add(key, { kind: 'read', version, startMs, endMs }, endMs);
    }
  }

  /** Of a client's write; one without a client only tells histories that it was. */
  wrote(write: Acknowledged): void {
    const { key, index, deleted, request, startedMs, hereMs, sourceMs } = write;
    // A client heard of it after both sides had it.
    const rule = this.#options.ruleOf(key);
    if (request !== undefined && rule !== undefined) {
      this.#sessions.wrote(clientOf(request), rule, key, index, Math.max(hereMs, sourceMs));
    }
    if (!this.#isRecorded(key)) return;
    const startMs = startedMs ?? -Infinity;
    this.#histories.add(
      key,
      { kind: 'write', version: index, deleted, startMs, endMs: Math.max(hereMs, sourceMs) },
      hereMs,
    );
  }

  tick(nowMs: number): void {
    this.#histories.tick(nowMs);
  }

  /** Versions of before and after do not compare. */
  clear(): void {
    this.#sessions.clear();
    this.#histories.clear();
  }

  #versionOf(key: string, { tally: { at }, answeredBy, status, index, version }: Seen): number | undefined {
    if (authorityOf(at.phase) === 'here') {
      // Nothing is the source's any more; indexes of this gateway tell versions apart as well.
      return answeredBy === 'here' && status === 200 ? index : undefined;
    }
    if (status === 200) return version;
    if (status !== 404 || answeredBy !== 'here') return undefined;
    const held = this.#options.held.now(key);
    return held?.deleted === true ? held.version : undefined;
  }

  #isRecorded(key: string): boolean {
    return isSampled(key, this.#options.linearizablePercent, 'linearizable');
  }

  #count(
    { tally, kind, facts }: Seen,
    which: Exclude<keyof SessionCounts, 'forgotten'>,
    violated: boolean | undefined,
  ): void {
    if (violated === undefined) return;
    if (!violated) {
      tally.kept[which] += 1;
      return;
    }
    const { evidence, clock } = this.#options;
    evidence.guarantee(tally.at, which, true, clock.now());
    this.#sample(tally.at, kind.of, kind.subject, sampleKinds[which], facts());
  }

  #judge({ key, operations }: History): void {
    const { evidence, ruleOf } = this.#options;
    const rule = ruleOf(key);
    if (rule === undefined) return;
    const verdict = checkLinearizable(operations);
    evidence.linearizable(rule, verdict, operations.length);
    const { writes, violations } = gammaOf(operations);
    evidence.gamma(rule, writes, violations);
    if (verdict !== 'no') return;
    const at = { of: rule.of, prefix: rule.prefix, phase: rule.phase, endpoint: 'kv-get' };
    this.#sample(at, 'kv', key, 'not-linearizable', undefined);
  }

  #sample(
    at: CellKey,
    of: string,
    subject: string,
    kind: EvidenceSample['kind'],
    facts: Facts | undefined,
  ): void {
    const { evidence, redactor, clock } = this.#options;
    evidence.sample({
      ...at,
      atMs: clock.now(),
      outcome: 'violation',
      kind,
      key: redactor.key(of, subject),
      source: null,
      here: facts === undefined ? null : redactor.side(facts, subject),
      fields: [],
      looks: 1,
      openMs: 0,
    });
  }
}
