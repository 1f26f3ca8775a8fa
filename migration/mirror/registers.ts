import type { MirrorVersion } from './version.ts';

export type MirrorKind = 'kv' | 'node' | 'service' | 'check';

/** What the target holds of one register, tombstones included. */
export type Held = MirrorVersion & {
  readonly key: string;
  readonly deleted: boolean;
  /** Hex SHA-256 of the canonical value (`migration/digest.ts`); of no meaning for a tombstone. */
  readonly digest: string;
  /**
   * When this state was stored, on the asker's own counter of requests. The fork test may only judge what
   * was stored before the answer was asked for. A reader that fetches the held state before it asks the
   * source uses 0.
   */
  readonly storedAt: number;
};

/** One entry of a source's answer. */
export type Listed = {
  readonly key: string;
  /** Consul's ModifyIndex. */
  readonly stamp: number;
  readonly digest: string;
};

/** How far an answer of the source can be believed. */
export type AnswerTrust = {
  /** The mirror's timeline when the question was asked. */
  readonly timeline: number;
  /** The asker's counter of requests when the question was asked; greater than any `storedAt` it has seen. */
  readonly askedAt: number;
  /** X-Consul-Index; null when the header was missing. */
  readonly index: number | null;
  readonly knownLeader: boolean;
  /** X-Consul-Results-Filtered-By-ACLs: the list is shorter than the truth. */
  readonly filtered: boolean;
};
