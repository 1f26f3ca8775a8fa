import type { MirrorRecord } from '../../../src/state/mirror.ts';
import type { TermOf } from '../../mirror/version.ts';
import type { ForkEvidence } from '../../mirror/leaf-decision.ts';
import type { LiveReader } from '../../source/live-reader.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { EvidenceSink, Phases } from '../ports.ts';
import type { Asks } from './held-cache.ts';
import type { TailLimits } from './limits.ts';
import type { Throttles } from './throttles.ts';

/** What a tail knows of its source beside its entries. */
export interface SourceFacts {
  readonly id: string;
  readonly aclsEnabled: boolean;
  readonly tokenGiven: boolean;
  readonly version: string;
}

/** What the tails of all rules share, for as long as one run of the runner lasts. */
export interface TailDeps {
  readonly gateway: GatewayPort;
  readonly phases: Phases;
  readonly reader: LiveReader;
  readonly limits: TailLimits;
  readonly evidence: EvidenceSink;
  readonly throttles: Throttles;
  readonly asks: Asks;
  /** Ends the run. */
  readonly signal: AbortSignal;
  readonly source: () => SourceFacts;
  readonly timeline: () => number;
  /** Under which the source's word on a key is written now. */
  readonly termOf: TermOf;
  /** Another number when terms may have changed. */
  readonly terms: () => number;
  readonly catalogTerm: () => number;
  /** The source contradicted what it had said in this timeline: resolves when the next one is agreed on. */
  readonly fork: (timeline: number, evidence: readonly ForkEvidence[]) => Promise<void>;
  /** Resolves when work may go on; undefined: it may. */
  readonly held: () => Promise<void> | undefined;
  /** The source was out of reach: nothing of it is taken until it was looked at again. */
  readonly suspect: () => void;
  /** How many blocking queries each rule may have. */
  readonly hotMax: () => number;
  /** Takes a place among the leaves that are listed at once; answers how to give it back. */
  readonly listPlace: () => Promise<() => void>;
  readonly lag: (ms: number) => void;
  /** Told of keys before they are stored. */
  readonly applying: (records: readonly MirrorRecord[]) => void;
}
