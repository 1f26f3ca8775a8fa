import type { Report, RunFactsOperations } from './model.ts';

/** What a report needs to be told beside evidence. Times are wall clock, milliseconds since the epoch. */
export interface RunFacts {
  readonly id: string;
  readonly atMs: number;
  readonly toolVersion: string;
  readonly source: Report['run']['source'];
  /** The gateway that makes the report. */
  readonly target: Report['run']['target'];
  readonly sourceId: string;
  readonly timeline: number;
  /** Rules in force. Evidence of others is left out where `scope` is given. */
  readonly rules: readonly RuleFacts[];
  readonly scope?: { readonly of: string; readonly prefix: string };
  /** All that have not left. */
  readonly gateways: readonly { id: string; name: string; region: string; version: string; alive: boolean }[];
  /** Null: not known. */
  readonly clockSkewMsMax: number | null;
  readonly overrides: readonly {
    readonly of: string;
    readonly prefix: string;
    readonly phase: string;
    readonly atMs: number;
    readonly by: string;
    readonly reason: string;
    readonly gates: readonly string[];
  }[];
  readonly operations: RunFactsOperations;
  /** Beside those of the evidence: steps, faults. */
  readonly marks: readonly { atMs: number; what: string; detail: string; gateway: string }[];
  readonly notes: readonly string[];
}

export interface RuleFacts {
  readonly of: string;
  readonly prefix: string;
  readonly phase: string;
  readonly step: number;
  readonly term: number;
  readonly sinceMs: number;
  readonly reason: string;
}
