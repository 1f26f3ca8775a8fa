import type { ApiRequest } from '../../compat/wire/http.ts';
import type { MigrationKind, MigrationSource, PhaseRule } from '../../src/state/migration.ts';
import type { GatewayPort, SourceSettings } from './gateway-port.ts';
import type { SourceClient } from './proxy/source-client.ts';

// What the parts of a live migration ask of the gateway they run in, and of each other: interfaces only.

/** The rules as they are in force here. */
export interface Phases {
  /** False: this gateway just started, and may not have heard of the newest steps: it answers for no rule yet. */
  readonly known: boolean;
  readonly rules: readonly PhaseRule[];
  readonly source: MigrationSource | undefined;
  /** The rule of a key; undefined: no migration concerns it. */
  ofKey(key: string): PhaseRule | undefined;
  readonly catalog: PhaseRule | undefined;
  /** The rule that a prefix is in and all rules below it. */
  under(prefix: string): readonly PhaseRule[];
  onChange(listener: () => void): () => void;
}

export interface LiveSettings {
  /** Undefined: this gateway has none, and answers only what it can answer itself. */
  readonly source: SourceSettings | undefined;
  /** What the source is called, instead of an identity made of its servers. */
  readonly sourceId: string | undefined;
  readonly holdMsMax: number;
  readonly lagMsMax: number;
  readonly reverseKeysMax: number;
  /** 0 to 100. */
  readonly shadowPercent: number;
  readonly shadowRequestsPerSecondMax: number;
  readonly reportWindowMs: number;
}

/** Who tails the source, and copies back. */
export interface Runner {
  readonly isHere: boolean;
  /** Undefined: nobody that lives has a source. */
  readonly nodeName: string | undefined;
  onChange(listener: () => void): () => void;
}

/** What every part is made with: `export function openXyz(context: PartContext): XyzPart`. Nothing runs before start(). */
export interface PartContext {
  readonly gateway: GatewayPort;
  readonly phases: Phases;
  readonly settings: LiveSettings;
  readonly runner: Runner;
  /** The source as clients reach it, shared by all parts; undefined: none is configured. */
  readonly client: SourceClient | undefined;
  readonly hold: HoldGate;
  readonly evidence: EvidenceSink;
}

/** What gates and steps ask of the copying from the source (tail/). Meaningful at the runner. */
export interface TailControl {
  /** Under a rule; undefined: nothing of it was looked at yet. */
  progress(of: MigrationKind, prefix: string): TailProgress | undefined;
  pause(reason: string): void;
  resume(): void;
  /** Why it is paused by an operator; undefined: it is not. */
  readonly paused: string | undefined;
  /** Lets pass, or not, what the breaker holds back below the prefix. */
  answerBreaker(prefix: string, allow: boolean): boolean;
  /** Reads all of the prefix once, consistently, and applies what differs. Answers what it found. */
  compareNow(
    of: MigrationKind,
    prefix: string,
    waitMs: number,
  ): Promise<{ readonly entries: number; readonly changed: number }>;
}

export interface TailProgress {
  /** Everything was copied at least once since this runner, or one before it, began. */
  readonly backfilled: boolean;
  readonly items: number;
  readonly bytes: number;
  /** Items that are known to be there; undefined: not yet counted. */
  readonly itemsTotal: number | undefined;
  readonly itemsPerSecond: number;
  /** How far behind the source what is here may be. Infinity: not known. */
  readonly lagMs: number;
  readonly etaMs: number | undefined;
  /** All of them, in words. Empty: as fast as it goes. */
  readonly throttledBy: readonly string[];
  /** A question of the mass-delete breaker. */
  readonly breaker: string | undefined;
  readonly verifiedThroughIndex: number;
  /** The last trouble with the source; undefined: none now. */
  readonly problem: string | undefined;
}

/** What gates and steps ask of the dual writes (dual/), on every gateway. */
export interface DualControl {
  /** Writes below the prefix that this gateway took and that are not done on both sides, its intents among them. */
  open(of: MigrationKind, prefix: string): number;
  /** Keys whose fate at the source is not known: how many below the prefix, and the age of the oldest. */
  repairs(prefix: string): { readonly keys: number; readonly oldestMs: number };
  /** Keys to be read again at the source, and relayed. */
  repair(keys: readonly string[]): void;
  /** Requests, reads and passed ones among them, that are under way as a step before this one had it. */
  older(of: MigrationKind, prefix: string, step: number): number;
  /** Sets `_gw/term/<prefix>` at the source: writers that have not heard of this term fail from now on. */
  fence(prefix: string, term: number, waitMs: number): Promise<void>;
  /** Endpoints that clients used since the start and that are refused here, with how often. */
  usedEndpoints(): Readonly<Record<string, number>>;
}

/** A part of the migration as the composition runs it. */
export interface LivePart {
  start(): void;
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
  /** For `migrate status`: a JSON object. */
  status(): object;
}

/** Holds writes for a short while, at a cutover. */
export interface HoldGate {
  /** Undefined: go on. Else resolves when the hold is over, to whether the request should be routed anew. */
  held(of: MigrationKind, key: string): Promise<void> | undefined;
}

/** One request that a client made, as comparing and session guarantees see it. */
export interface Observed {
  readonly request: ApiRequest;
  readonly answeredBy: 'source' | 'here';
  readonly status: number;
  readonly index: number;
  /** As it was sent; null: it was passed on piece by piece. */
  readonly body: Uint8Array | string | null;
  /** Content-Encoding of the body, where there is one. */
  readonly encoding?: string;
  readonly tookMs: number;
  /** When it was answered (monotonic). Left out: now. */
  readonly endedMs?: number;
  /** Content-Type, where it is at hand. */
  readonly contentType?: string;
}

/** A dual write that both sides have: from here on the time until readers see it is counted. */
export interface Acknowledged {
  readonly key: string;
  /** The source's ModifyIndex. */
  readonly index: number;
  readonly deleted: boolean;
  /** When the source had acknowledged, and when this gateway had it (monotonic milliseconds). */
  readonly sourceMs: number;
  readonly hereMs: number;
  /** The client's request, and when it came: for what a client may expect of its own writes. None: a repair. */
  readonly request?: ApiRequest;
  readonly startedMs?: number;
}

/** What shadow reads are told; never throws, never waits. */
export interface EvidenceSink {
  /**
   * Asked once of each read under compared rules, before anything is kept of it: whether it is to be told how the read is
   * answered. False: it has counted the read, and has no time for more or no use for it. Left out: always.
   */
  wants?(request: ApiRequest, rules: readonly PhaseRule[]): boolean;
  observed(observed: Observed): void;
  acknowledged(write: Acknowledged): void;
  /** Something that the timeline of a report marks: a step, a fault, a fork. */
  mark(what: string, detail: string): void;
}
