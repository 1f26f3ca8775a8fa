import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { Dependencies } from '../../src/state/dependencies.ts';
import type { ReadView } from '../../src/state/store.ts';
import type { ReadScope } from '../fleet/port.ts';
import type { Query } from './query.ts';
import { renderJson } from './go-json.ts';

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

/** A request as routes see it: already bounded, decoded and cleaned. */
export interface ApiRequest {
  readonly method: Method;
  /** The decoded path. */
  readonly path: string;
  /** What follows the route's own path, for routes whose path ends in a slash; else empty. */
  readonly rest: string;
  readonly query: Query;
  /** By lower-case name. Needs its request: `this` makes taking it apart from it a type error. */
  header(this: ApiRequest, name: string): string | undefined;
  readonly body: Uint8Array;
  /** Of routes that take their body as it comes (`Route.streamsBody`): the body, once; `body` is then empty. */
  readonly stream?: AsyncIterable<Uint8Array>;
  readonly remoteAddress: string;
  /** From ?token=, X-Consul-Token or Authorization: Bearer, in this order; empty when none. */
  readonly token: string;
}

/** A finished answer. */
export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  readonly body: string | Uint8Array;
  /** `undefined`: no Content-Type header and no body. */
  readonly contentType: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A read that may block. Two reads with the same key are the same read: they are evaluated and rendered once for
 * all who wait. So the key names the route and everything in the request that the result depends on.
 */
export interface Read {
  readonly kind: 'read';
  readonly key: string;
  /** Pure: reads `view`, adds every topic that the answer depends on to `dependencies`. */
  evaluate(view: ReadView, dependencies: Dependencies): Answer;
  /** Whose writes the answer shows: how fresh it is, and who is asked by `?consistent`. The catalog's by default. */
  readonly scope?: ReadScope;
  /** Whether Consul sends X-Consul-Effective-Consistency here (catalog, health and query endpoints). */
  readonly effectiveConsistency?: boolean;
  /** About this gateway alone (events): `?dc=` is passed over, and of Consul's headers only the index is sent. */
  readonly agentLocal?: boolean;
  /** A blocking read returns when its index is greater than the one given (default), or different (events). */
  readonly wakesOn?: 'increase' | 'difference';
}

export interface Answer {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly contentType: string | undefined;
  /** X-Consul-Index; bigint for events. Zero is sent as 1. */
  readonly index: number | bigint;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A write: proposed to the state machine, answered when it is durable. */
export interface Write {
  readonly kind: 'write';
  readonly command: Command;
  /** Of one that only reads: what of, as `Read.scope`. */
  readonly scopes?: readonly ReadScope[];
  reply(outcome: CommandOutcome): Reply;
}

/** An answer that needs I/O (join, snapshot, …). */
export interface Later {
  readonly kind: 'later';
  readonly reply: Promise<Reply>;
  /** The client went away: whatever waits may end. */
  readonly cancel?: () => void;
}

/** An answer without end (agent/monitor): `start` gets a sink and answers how to stop. */
export interface Stream {
  readonly kind: 'stream';
  readonly contentType: string;
  start(sink: (chunk: string | Uint8Array) => void): () => void;
}

/**
 * A long answer that is made while it is sent, as fast as its reader takes it. A failure to open it is a reply; one
 * on the way closes the connection, so that nobody takes a part for the whole.
 */
export interface Download {
  readonly kind: 'download';
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly open: Promise<AsyncIterable<Uint8Array> | Reply>;
}

export type RouteResult = Reply | Read | Write | Later | Stream | Download;

export const jsonType = 'application/json';
/** Consul's errors: plain text, no newline at the end. */
export const textType = 'text/plain; charset=utf-8';

/** A 200 with a JSON body. `pretty` is `request.query.has('pretty')`. */
export function json(value: unknown, pretty = false): Reply {
  return { kind: 'reply', status: 200, body: jsonBody(value, pretty), contentType: jsonType };
}

/** JSON as Consul renders it: compact, or with 4 spaces and a final newline. */
export function jsonBody(value: unknown, pretty: boolean): string {
  return pretty ? `${renderJson(value, 4)}\n` : renderJson(value);
}

export function failure(status: number, message: string): Reply {
  return { kind: 'reply', status, body: message, contentType: message === '' ? undefined : textType };
}

/** A 200 without a body, as the agent's mutations answer. */
export const empty: Reply = { kind: 'reply', status: 200, body: '', contentType: undefined };
