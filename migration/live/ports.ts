import type { ApiRequest } from '../../compat/wire/http.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { MigrationKind, MigrationSource, PhaseRule } from '../../src/state/migration.ts';
import type { ReadView } from '../../src/state/store.ts';
import type { Clock } from '../clock.ts';

// What the parts of a live migration ask of the gateway they run in, and of each other: interfaces only.

/** The gateway that a migration runs in. */
export interface GatewayPort {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly datacenter: string;
  /** This replica. */
  readonly view: ReadView;
  /** Resolves when the outcome is durable here (and at the owner, if that is another gateway). */
  propose(command: Command): Promise<CommandOutcome>;
  /** Calls after every commit with the topics that it touched (src/state/topics.ts). Answers how to stop. */
  onCommit(listener: (touched: ReadonlySet<string>) => void): () => void;
  /** All gateways of the fleet that have not left, this one among them. */
  gateways(): readonly GatewayMember[];
  onGatewaysChanged(listener: () => void): () => void;
  /** Asks the migration of another gateway; rejects with an Error whose message is for people. */
  call(nodeName: string, topic: string, body: unknown, waitMs: number): Promise<unknown>;
  /** Answers such calls. One handler per topic. What it gets came from the network: it validates. */
  serve(topic: string, handler: (body: unknown, from: string) => Promise<unknown>): void;
  /** Own log: its origin and the seq of the newest entry. */
  ownHead(): { readonly origin: string; readonly seq: number };
  /** Resolves once this replica has seen so much of a log; rejects after `waitMs`. */
  untilSeen(origin: string, seq: number, waitMs: number): Promise<void>;
  readonly clock: Clock;
  /** Monotonic milliseconds. */
  readonly monoMs: () => number;
  readonly random: () => number;
  readonly log: PartLog;
  readonly metrics: PartMetrics;
}

export interface GatewayMember {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly region: string;
  readonly alive: boolean;
}

export interface PartLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  debug(fields: object, message: string): void;
}

/** Names are dotted, without the prefix `grapevine.migration.`; labels are few and bounded. */
export interface PartMetrics {
  counter(name: string, labels?: Readonly<Record<string, string>>): (by?: number) => void;
  gauge(name: string, read: () => number, labels?: Readonly<Record<string, string>>): void;
  /** Milliseconds. */
  histogram(name: string, labels?: Readonly<Record<string, string>>): (value: number) => void;
}

/** The rules as they are in force here. */
export interface Phases {
  readonly rules: readonly PhaseRule[];
  readonly source: MigrationSource | undefined;
  /** The rule of a key; undefined: no migration concerns it. */
  ofKey(key: string): PhaseRule | undefined;
  readonly catalog: PhaseRule | undefined;
  /** The rule that a prefix is in and all rules below it. */
  under(prefix: string): readonly PhaseRule[];
  onChange(listener: () => void): () => void;
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
  readonly body: Uint8Array | string;
  readonly tookMs: number;
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
}

/** What shadow reads are told; never throws, never waits. */
export interface EvidenceSink {
  observed(observed: Observed): void;
  acknowledged(write: Acknowledged): void;
  /** Something that the timeline of a report marks: a step, a fault, a fork. */
  mark(what: string, detail: string): void;
}
