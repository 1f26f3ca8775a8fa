import { gunzip, gunzipSync } from 'node:zlib';
import type { ApiRequest } from '../../../compat/wire/http.ts';
import { authorityOf, isCompared, isDual, type PhaseRule } from '../../../src/state/migration.ts';
import type { Evidence } from '../../evidence/evidence.ts';
import type { CellKey } from '../../evidence/snapshot.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Acknowledged, Observed } from '../ports.ts';
import type { AgreementProbe } from './agreement.ts';
import type { Comparisons } from './comparisons.ts';
import { factsOf, type Facts } from './facts.ts';
import type { HeldVersions } from './held-versions.ts';
import type { Lane } from './lane.ts';
import { shadowLimits } from './limits.ts';
import type { Pace } from './pace.ts';
import { asQuestion, readKindOf, type Question, type ReadKind } from './question.ts';
import type { Redactor } from './redactor.ts';
import type { Sightings } from './sightings.ts';
import { Tallies, type Tally } from './tallies.ts';
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
  readonly ruleOf: (read: ReadKind) => PhaseRule | undefined;
  readonly ruleOfKey: (key: string) => PhaseRule | undefined;
  readonly isSampledKey: (key: string) => boolean;
  readonly gatewayNodes: () => ReadonlySet<string>;
  readonly held: HeldVersions;
  readonly lane: Lane;
  readonly pace: Pace;
  readonly redactor: Redactor;
  readonly visibility: Visibility;
  readonly agreement: AgreementProbe;
  readonly agreementPercent: number;
}

const intakeMax = 4_096;
/** Of the answers that wait to be looked at. */
const intakeBytesMax = 32 * 1024 * 1024;
/** Longer ones are not compared. */
const plainBytesMax = 16 * 1024 * 1024;
/** Looked at in one turn of the event loop, at most for so long. */
const turnMax = 64;
const turnMs = 1;

/** An answer that is going to be compared. */
interface Taken {
  readonly observed: Observed;
  readonly body: Uint8Array | string;
  readonly kind: ReadKind;
  readonly at: CellKey;
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * Takes in what clients were answered. Of every read it counts what its headers tell; whether it is compared is decided
 * before anything is made of its body, and the comparing is done when the event loop is free.
 */
export class Intake {
  /** Nothing is looked at before: what is kept may still be on its way from the disk. */
  isOpen = false;
  readonly #options: IntakeOptions;
  readonly #tallies = new Tallies();
  readonly #taken: Taken[] = [];
  readonly #countDropped: (by?: number) => void;
  readonly #countSampled: (by?: number) => void;
  #takenBytes = 0;
  #unpacking = 0;
  #draining = false;
  #drained: (() => void)[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { metrics } = options.gateway;
    this.#countDropped = metrics.counter('shadow.dropped');
    this.#countSampled = metrics.counter('shadow.sampled');
  }

  get waiting(): number {
    return this.#taken.length + this.#unpacking;
  }

  /** See `EvidenceSink.wants`. */
  wants(request: ApiRequest, rules: readonly PhaseRule[]): boolean {
    const { pace, isSampledKey } = this.#options;
    const rule = rules[0];
    if (rule === undefined || rules.some(({ phase }) => phase !== rule.phase)) return false;
    // Of keys that nobody compares.
    const isSampled = rule.of === 'catalog' || isSampledKey(request.rest);
    if (isSampled && pace.take()) return true;
    const tally = this.#tallies.ofRule(rule);
    tally.reads += 1;
    if (isSampled) tally.busy += 1;
    return false;
  }

  observed(observed: Observed): void {
    try {
      this.#take(observed);
    } catch (error) {
      this.#lost(error);
    }
  }

  acknowledged(write: Acknowledged): void {
    this.quietly(() => this.#acknowledged(write));
  }

  /** Adds to the evidence what was counted since it was called last. */
  flush(): void {
    const { counting, gateway } = this.#options;
    this.#tallies.flush(counting().evidence, gateway.clock.now());
  }

  /** Resolves when nothing waits to be looked at. */
  async idle(): Promise<void> {
    if (this.#draining || this.#unpacking > 0)
      await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** Evidence must never hurt what it is about. */
  quietly(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#options.gateway.log.error({ why }, 'evidence was lost by a defect');
    this.#options.counting().evidence.note(`Evidence was lost by a defect: ${why.slice(0, 200)}`);
  }

  #take(observed: Observed): void {
    const { gateway, ruleOf, isSampledKey } = this.#options;
    const { request, answeredBy, status, tookMs } = observed;
    const kind = readKindOf(request, gateway.datacenter);
    const rule = kind && ruleOf(kind);
    if (kind === undefined || rule === undefined) return;
    const tally = this.#tallies.of(rule, kind.endpoint);
    const { at } = tally;
    this.#tallies.ofRule(rule).reads += 1;
    if (!kind.blocking) tally.tookMs[answeredBy].push(tookMs);
    if (!(isDual(at.phase) || authorityOf(at.phase) === 'here')) return;
    if (!isSampledKey(kind.subject)) return;
    const { evidence, comparisons } = this.#options.counting();
    if (status >= 500) {
      evidence.failed(at, answeredBy, gateway.clock.now());
      return;
    }
    // Refusals (ACLs, parameters) are the source's to make: there is nothing to compare.
    if (status !== 200 && status !== 404) return;
    if (!this.isOpen) return;
    this.#countSampled();
    const endMs = observed.endedMs ?? gateway.monoMs();
    const startMs = endMs - tookMs;
    this.#witness(observed, kind, tally, startMs, endMs);
    if (!isCompared(at.phase) || comparisons === undefined) return;
    if (!this.#hasRoom(observed)) {
      this.#countDropped();
      tally.dropped += 1;
      return;
    }
    this.#keep({ observed, body: observed.body ?? '', kind, at, startMs, endMs });
  }

  /** What status and index alone tell: by the index a key's answer says its version. */
  #witness(observed: Observed, kind: ReadKind, tally: Tally, startMs: number, endMs: number): void {
    const { held, counting } = this.#options;
    const { sightings, witness } = counting();
    const { request, answeredBy, status } = observed;
    const { key } = kind;
    const index = indexOf(observed);
    let version: number | undefined;
    if (key !== undefined && status === 200 && index > 0) {
      version = answeredBy === 'source' ? index : held.shown(key, index);
      // Of one that waited the beginning tells nothing.
      if (answeredBy === 'source') sightings.saw(key, index, kind.blocking ? endMs : startMs, endMs, false);
    }
    const facts = (): Facts | undefined => {
      const { body, encoding } = observed;
      if (body === null) return undefined;
      const plain = encoding === undefined ? body : gunzipSync(body, { maxOutputLength: plainBytesMax });
      const question = asQuestion(request, kind);
      return question && this.#factsOf(observed, question, plain);
    };
    witness.read({ request, kind, tally, answeredBy, status, index, version, startMs, endMs, facts });
  }

  #hasRoom({ body, encoding }: Observed): boolean {
    if (this.waiting >= intakeMax || this.#takenBytes >= intakeBytesMax || this.#options.lane.isFull)
      return false;
    if (body === null || body.length > shadowLimits.answerBytesMax) return false;
    return encoding === undefined || encoding === 'gzip';
  }

  #keep(taken: Taken): void {
    this.#taken.push(taken);
    this.#takenBytes += taken.body.length;
    if (this.#draining) return;
    this.#draining = true;
    // After what the event loop has to do for clients.
    setImmediate(() => this.#drain());
  }

  #drain(): void {
    const { monoMs } = this.#options.gateway;
    const endMs = monoMs() + turnMs;
    for (let turn = 0; turn < turnMax && monoMs() < endMs; turn += 1) {
      const taken = this.#taken.shift();
      if (taken === undefined) break;
      this.#takenBytes -= taken.body.length;
      this.quietly(() => this.#unpack(taken));
    }
    if (this.#taken.length > 0) {
      setImmediate(() => this.#drain());
      return;
    }
    this.#draining = false;
    this.#tellIdle();
  }

  /** Most clients take answers packed: Go's unless told otherwise. */
  #unpack(taken: Taken): void {
    if (taken.observed.encoding === undefined) {
      this.#look(taken, taken.body);
      return;
    }
    this.#unpacking += 1;
    gunzip(taken.body, { maxOutputLength: plainBytesMax }, (error, plain) => {
      this.#unpacking -= 1;
      this.quietly(() => {
        if (error === null) this.#look(taken, plain);
        else this.#failed(taken);
      });
      this.#tellIdle();
    });
  }

  #look({ observed, kind, at, startMs, endMs }: Taken, plain: Uint8Array | string): void {
    const { gateway, counting, lane, redactor, agreement, agreementPercent } = this.#options;
    const { evidence, comparisons } = counting();
    const { request, answeredBy } = observed;
    const question = asQuestion(request, kind);
    if (question === undefined) return;
    const facts = this.#factsOf(observed, question, plain);
    if (facts === undefined) {
      evidence.failed(at, answeredBy, gateway.clock.now());
      return;
    }
    evidence.sampled(at, redactor.keyId(kind.of, kind.subject));
    const woken = kind.blocking && facts.index > Number(request.query.get('index'));
    comparisons?.offer({ question, at, answeredBy, facts, startMs, endMs, woken });
    const { key } = kind;
    if (key !== undefined && gateway.random() * 100 < agreementPercent) {
      lane.offer(() => agreement.ask(at, key));
    }
  }

  #failed({ observed, at }: Taken): void {
    const { gateway, counting } = this.#options;
    counting().evidence.failed(at, observed.answeredBy, gateway.clock.now());
  }

  #factsOf(observed: Observed, question: Question, body: Uint8Array | string): Facts | undefined {
    const { held, gatewayNodes } = this.#options;
    const { answeredBy, status, contentType } = observed;
    const versionHere = (key: string, shown: number): number | undefined => held.shown(key, shown);
    return factsOf(
      question,
      { status, index: indexOf(observed), body, contentType },
      { gatewayNodes: gatewayNodes(), ...(answeredBy === 'here' ? { versionHere } : {}) },
    );
  }

  #tellIdle(): void {
    if (this.#draining || this.#unpacking > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
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

/** This gateway sends 1 in place of 0. */
function indexOf({ answeredBy, index }: Observed): number {
  return answeredBy === 'here' ? Math.max(1, index) : index;
}
