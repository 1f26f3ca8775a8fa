import type { RouteContext } from '../routes/context.ts';
import type { Route } from '../routes/route.ts';
import type { ApiRequest, RouteResult } from '../wire/http.ts';

/** An answer of somebody else that is passed on as it is: status, headers and body. */
export interface PassedReply {
  readonly status: number;
  /** Name, value, name, value; without those of the connection. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
}

/** A request that somebody else answers. Rejects only on defects: trouble over there is an answer, too. */
export interface Passed {
  readonly kind: 'passed';
  readonly reply: Promise<PassedReply>;
  /** The client went away. */
  readonly cancel: () => void;
}

/** A request as it was answered here. */
export interface Answered {
  readonly status: number;
  readonly index: number | bigint;
  readonly body: string | Uint8Array;
  /** From the first byte that was read to the last one written, milliseconds. */
  readonly tookMs: number;
}

/**
 * Stands between HTTP and the routes while a fleet migrates: says of each request who answers it. Asked after the common
 * parameters were checked.
 */
export interface Interceptor {
  /** Undefined: this gateway answers by its own route. */
  intercept(request: ApiRequest, route: Route, context: RouteContext): RouteResult | Passed | undefined;
  /** Whether a path that is no endpoint here is asked about all the same: with a route whose path is ''. */
  passes?(path: string): boolean;
  /** Whether somebody wants to know how this request is answered here: asked once, before the answer. */
  watches?(request: ApiRequest, route: Route): ((answered: Answered) => void) | undefined;
}
