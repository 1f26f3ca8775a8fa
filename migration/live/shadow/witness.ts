import { checkLinearizable, gammaOf } from '../../evidence/linearizability.ts';
import type { Evidence } from '../../evidence/evidence.ts';
import type { CellKey, EvidenceSample, SessionCounts } from '../../evidence/snapshot.ts';
import { authorityOf, type PhaseRule } from '../../../src/state/migration.ts';
import type { Clock } from '../../clock.ts';
import type { Acknowledged, Observed } from '../ports.ts';
import type { Facts } from './facts.ts';
import type { HeldVersions } from './held-versions.ts';
import { Histories, type History } from './histories.ts';
import type { Question } from './question.ts';
import type { Redactor } from './redactor.ts';
import { isSampled } from './sampling.ts';
import { SessionTracker } from './session-tracker.ts';

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

/** Who a request is from: never kept in clear. */
export function clientOf(redactor: Redactor, request: Observed['request']): string {
  return redactor.keyId('client', `${request.remoteAddress}\n${request.token}`).hmac;
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

  read(
    question: Question,
    at: CellKey,
    observed: Observed,
    facts: Facts,
    startMs: number,
    endMs: number,
  ): void {
    const { redactor } = this.#options;
    const client = clientOf(redactor, observed.request);
    if (facts.index > 0) {
      const regressed = this.#sessions.index(client, at, question.id, facts.index, startMs, endMs);
      this.#count(at, question, facts, 'indexRegressions', regressed);
    }
    const { key } = question;
    if (key === undefined) return;
    const version = this.#versionOf(key, at, observed, facts);
    if (version !== undefined) {
      const checks = this.#sessions.read(client, at, key, version, startMs, endMs);
      this.#count(at, question, facts, 'readYourWrites', checks.readYourWrites);
      this.#count(at, question, facts, 'monotonicReads', checks.monotonicReads);
    }
    if (version === undefined && facts.status !== 404) return;
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
      const client = clientOf(this.#options.redactor, request);
      this.#sessions.wrote(client, rule, key, index, Math.max(hereMs, sourceMs));
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

  #versionOf(key: string, at: CellKey, observed: Observed, facts: Facts): number | undefined {
    const entry = facts.entries.get(key);
    if (authorityOf(at.phase) === 'here') {
      // Nothing is the source's any more; indexes of this gateway tell versions apart as well.
      return observed.answeredBy === 'here' && entry !== undefined ? facts.index : undefined;
    }
    if (entry !== undefined) return entry.version;
    if (facts.status !== 404 || observed.answeredBy !== 'here') return undefined;
    const held = this.#options.held.now(key);
    return held?.deleted === true ? held.version : undefined;
  }

  #isRecorded(key: string): boolean {
    return isSampled(key, this.#options.linearizablePercent, 'linearizable');
  }

  #count(
    at: CellKey,
    question: Question,
    facts: Facts,
    which: Exclude<keyof SessionCounts, 'forgotten'>,
    violated: boolean | undefined,
  ): void {
    if (violated === undefined) return;
    const { evidence, clock } = this.#options;
    evidence.guarantee(at, which, violated, clock.now());
    if (violated) this.#sample(at, question.of, question.subject, sampleKinds[which], facts);
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
