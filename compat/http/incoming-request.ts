import type { IncomingMessage } from 'node:http';
import type { ApiRequest, Method } from '../wire/http.ts';
import type { Query } from '../wire/query.ts';

/**
 * A request as routes see it. A class with prototype accessors: an accessor in an object literal would give every
 * request a hidden class of its own, and those keep the request alive until the next major collection.
 */
export class IncomingRequest implements ApiRequest {
  readonly #req: IncomingMessage;
  readonly method: Method;
  readonly path: string;
  readonly rest: string;
  readonly query: Query;
  readonly body: Uint8Array;

  constructor(
    req: IncomingMessage,
    method: Method,
    path: string,
    rest: string,
    query: Query,
    body: Uint8Array,
  ) {
    this.#req = req;
    this.method = method;
    this.path = path;
    this.rest = rest;
    this.query = query;
    this.body = body;
  }

  get stream(): AsyncIterable<Uint8Array> {
    return this.#req;
  }

  get remoteAddress(): string {
    return this.#req.socket.remoteAddress ?? '';
  }

  get token(): string {
    if (this.query.has('token')) return this.query.get('token');
    const header = this.header('x-consul-token');
    if (header !== undefined) return header;
    return /^bearer\s+(.+)$/i.exec(this.header('authorization') ?? '')?.[1]?.trim() ?? '';
  }

  header(name: string): string | undefined {
    const value = this.#req.headers[name];
    return Array.isArray(value) ? value.join(',') : value;
  }
}
