import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { ReadView } from '../../src/state/store.ts';
import type { Clock } from '../clock.ts';
import type { TlsSettings } from '../source/address.ts';

// What everything in here stands on: the gateway around it, and where the source is.

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
  /** Node id of who owns the zone that a prefix is in; undefined: nobody yet. */
  ownerOf(prefix: string): string | undefined;
  /** Own log: its origin and the seq of the newest entry. */
  ownHead(): { readonly origin: string; readonly seq: number };
  /** Resolves once this replica has seen so much of a log; rejects after `waitMs`. */
  untilSeen(origin: string, seq: number, waitMs: number): Promise<void>;
  /** What was written here and is not acknowledged by other gateways. Left out: there are none. */
  readonly backlog?: () => { readonly messages: number; readonly bytes: number };
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

/** The source as it is configured here. */
export interface SourceSettings {
  /** Not empty; the first that answers is used. */
  readonly addresses: readonly string[];
  /** For what this gateway asks on its own behalf. */
  readonly token: string;
  readonly tls: TlsSettings;
  readonly requestsPerSecondMax: number;
  readonly connectionsMax: number;
  readonly timeoutMs: number;
  /** How long an address may be silent before it is asked whether it is there, if there are others. Left out: 750. */
  readonly noticeMs?: number;
}
