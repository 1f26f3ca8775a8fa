import { authorityOf, isCompared, isDual, type PhaseRule } from '../../../src/state/migration.ts';
import type { Evidence } from '../../evidence/evidence.ts';
import type { CellKey } from '../../evidence/snapshot.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Acknowledged, Observed } from '../ports.ts';
import type { AgreementProbe } from './agreement.ts';
import type { Comparisons } from './comparisons.ts';
import { factsOf } from './facts.ts';
import type { HeldVersions } from './held-versions.ts';
import type { Lane } from './lane.ts';
import { shadowLimits } from './limits.ts';
import { questionOf, type Question } from './question.ts';
import type { Redactor } from './redactor.ts';
import type { Sightings } from './sightings.ts';
import type { Visibility } from './visibility.ts';
import type { Witness } from './witness.ts';

/** What is made anew when kept evidence was read. */
export interface Counting {
  readonly evidence: Evidence;
  readonly sightings: Sightings;
  readonly witness: Witness;
  /** Undefined: there is no source to compare with. */
  readonly comparisons: Comparisons | undefined;
}

export interface IntakeOptions {
  readonly gateway: GatewayPort;
  readonly counting: () => Counting;
  /** The rule that an answer counts under; undefined: none, or several that are not all alike. */
  readonly ruleOf: (question: Question) => PhaseRule | undefined;
  readonly ruleOfKey: (key: string) => PhaseRule | undefined;
  readonly isSampledKey: (key: string) => boolean;
  readonly gatewayNodes: () => ReadonlySet<string>;
  readonly held: HeldVersions;
  readonly lane: Lane;
  readonly redactor: Redactor;
  readonly visibility: Visibility;
  readonly agreement: AgreementProbe;
  readonly agreementPercent: number;
}

const intakeMax = 4_096;
/** Looked at in one turn of the event loop. */
const turnMax = 64;

interface Taken {
  readonly observed: Observed;
  readonly question: Question;
  readonly at: CellKey;
  readonly startMs: number;
  readonly endMs: number;
}

/** Takes in what clients were answered, at next to no cost, and looks at it when the event loop is free. */
export class Intake {
  /** Nothing is looked at before: what is kept may still be on its way from the disk. */
  isOpen = false;
  readonly #options: IntakeOptions;
  readonly #taken: Taken[] = [];
  readonly #countDropped: (by?: number) => void;
  readonly #countSampled: (by?: number) => void;
  #draining = false;
  #drained: (() => void)[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { metrics } = options.gateway;
    this.#countDropped = metrics.counter('shadow.dropped');
    this.#countSampled = metrics.counter('shadow.sampled');
  }

  get waiting(): number {
    return this.#taken.length;
  }

  observed(observed: Observed): void {
    this.quietly(() => this.#take(observed));
  }

  acknowledged(write: Acknowledged): void {
    this.quietly(() => this.#acknowledged(write));
  }

  /** Resolves when nothing waits to be looked at. */
  async idle(): Promise<void> {
    if (this.#draining) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** Evidence must never hurt what it is about. */
  quietly(work: () => void): void {
    try {
      work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.gateway.log.error({ why }, 'evidence was lost by a defect');
      this.#options.counting().evidence.note(`Evidence was lost by a defect: ${why.slice(0, 200)}`);
    }
  }

  #take(observed: Observed): void {
    const { gateway, ruleOf, isSampledKey, counting } = this.#options;
    const question = questionOf(observed.request, gateway.datacenter);
    const rule = question && ruleOf(question);
    if (question === undefined || rule === undefined) return;
    const { of, prefix, phase } = rule;
    const { evidence } = counting();
    const at: CellKey = { of, prefix, phase, endpoint: question.endpoint };
    evidence.read(at);
    if (!question.blocking) evidence.latency(at, observed.answeredBy, observed.tookMs);
    if (!(isDual(phase) || authorityOf(phase) === 'here')) return;
    if (!isSampledKey(question.subject)) return;
    if (observed.status >= 500) {
      evidence.failed(at, observed.answeredBy, gateway.clock.now());
      return;
    }
    // Refusals (ACLs, parameters) are the source's to make: there is nothing to compare.
    if (observed.status !== 200 && observed.status !== 404) return;
    if (!this.isOpen) return;
    this.#countSampled();
    if (this.#taken.length >= intakeMax || observed.body.length > shadowLimits.answerBytesMax) {
      this.#countDropped();
      evidence.dropped(at, gateway.clock.now());
      return;
    }
    const endMs = observed.endedMs ?? gateway.monoMs();
    this.#taken.push({ observed, question, at, startMs: endMs - observed.tookMs, endMs });
    if (this.#draining) return;
    this.#draining = true;
    // After what the event loop has to do for clients.
    setImmediate(() => this.#drain());
  }

  #drain(): void {
    for (const taken of this.#taken.splice(0, turnMax)) this.quietly(() => this.#look(taken));
    if (this.#taken.length > 0) {
      setImmediate(() => this.#drain());
      return;
    }
    this.#draining = false;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #look({ observed, question, at, startMs, endMs }: Taken): void {
    const { gateway, counting, held, gatewayNodes, lane, redactor, agreement, agreementPercent } =
      this.#options;
    const { evidence, sightings, witness, comparisons } = counting();
    const { answeredBy, status, body, contentType } = observed;
    // This gateway sends 1 in place of 0.
    const index = answeredBy === 'here' ? Math.max(1, observed.index) : observed.index;
    const versionHere = (key: string, shown: number): number | undefined => held.shown(key, shown);
    const facts = factsOf(
      question,
      { status, index, body, contentType },
      { gatewayNodes: gatewayNodes(), ...(answeredBy === 'here' ? { versionHere } : {}) },
    );
    if (facts === undefined) {
      evidence.failed(at, answeredBy, gateway.clock.now());
      return;
    }
    const { key } = question;
    const version = key === undefined ? undefined : facts.entries.get(key)?.version;
    if (key !== undefined && version !== undefined && answeredBy === 'source') {
      // Of one that waited the beginning tells nothing.
      sightings.saw(key, version, question.blocking ? endMs : startMs, endMs, false);
    }
    witness.read(question, at, observed, facts, startMs, endMs);
    if (!isCompared(at.phase) || comparisons === undefined) return;
    evidence.sampled(at, redactor.keyId(question.of, question.subject));
    const woken = question.blocking && index > Number(observed.request.query.get('index'));
    comparisons.offer({ question, at, answeredBy, facts, startMs, endMs, woken });
    if (key !== undefined && gateway.random() * 100 < agreementPercent) {
      lane.offer(() => agreement.ask(at, key));
    }
  }

  #acknowledged(write: Acknowledged): void {
    const { counting, ruleOfKey, isSampledKey, visibility } = this.#options;
    const rule = ruleOfKey(write.key);
    if (rule === undefined) return;
    const { evidence, sightings, witness } = counting();
    evidence.wrote(rule);
    if (!this.isOpen || !isSampledKey(write.key)) return;
    const { key, index, sourceMs, hereMs, startedMs } = write;
    sightings.saw(key, index, sourceMs, sourceMs, true);
    // It was written after it was asked for, and so was everything above it.
    if (startedMs !== undefined) sightings.indexes.nothingAbove(index - 1, startedMs);
    witness.wrote(write);
    const ownMs = Math.max(0, hereMs - sourceMs);
    evidence.visible(rule, 'own', ownMs, ownMs);
    if (!visibility.watch(rule, key, index, sourceMs)) {
      evidence.note('Not every write was watched on its way to the other gateways: there were too many.');
    }
  }
}
