import { Router } from '../../../compat/http/router.ts';
import type { RouteContext } from '../../../compat/routes/context.ts';
import type { Route } from '../../../compat/routes/route.ts';
import type { ApiRequest, Method, RouteResult } from '../../../compat/wire/http.ts';
import { Query } from '../../../compat/wire/query.ts';
import type { Connection, WireAnswer, WireRequest } from '../../source/connection.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { SideAnswer } from './facts.ts';

/** How this gateway would answer, asked inside the process: its own routes over its own state. */
export interface HereReader {
  /** `path`: percent-encoded, with its query. Synchronous: one consistent state. Undefined: no endpoint that reads. */
  read(path: string): SideAnswer | undefined;
  /** As a connection, for what reads Consul's API as a whole. */
  readonly wire: Pick<Connection, 'address' | 'request'>;
}

export interface HereOptions {
  readonly gateway: GatewayPort;
  readonly routes: readonly Route[];
  /** Undefined: the gateway does not answer yet. */
  readonly context: () => RouteContext | undefined;
}

export function openHere({ gateway, routes, context }: HereOptions): HereReader {
  const router = new Router(routes);

  const ask = (method: Method, path: string, body: Uint8Array): RouteResult | undefined => {
    const ports = context();
    const cut = path.indexOf('?');
    const decoded = decodeURIComponent(cut < 0 ? path : path.slice(0, cut));
    const match = router.match(decoded);
    const handler = match?.route.methods[method];
    const query = Query.parse(cut < 0 ? '' : path.slice(cut + 1));
    if (ports === undefined || match === undefined || handler === undefined || query === undefined)
      return undefined;
    const request: ApiRequest = {
      ...{ method, path: decoded, rest: match.rest, query, body },
      header: () => undefined,
      remoteAddress: '127.0.0.1',
      token: '',
    };
    return handler(request, ports);
  };

  const read = (path: string): SideAnswer | undefined => {
    const result = ask('GET', path, new Uint8Array());
    if (result?.kind === 'reply') return { ...pick(result), index: 0 };
    if (result?.kind !== 'read') return undefined;
    const answer = result.evaluate(gateway.view, { add: () => undefined });
    return { ...pick(answer), index: Math.max(1, Number(answer.index)) };
  };

  const whole = async (request: WireRequest): Promise<SideAnswer | undefined> => {
    if (request.method === 'GET') return read(request.path);
    const result = ask(request.method, request.path, Buffer.from(request.body ?? ''));
    // A transaction that only reads is a command as any other.
    if (result?.kind === 'write') {
      return { ...pick(result.reply(await gateway.propose(result.command))), index: 0 };
    }
    return result?.kind === 'reply' ? { ...pick(result), index: 0 } : undefined;
  };

  return {
    read,
    wire: {
      address: 'this gateway',
      request: async (request): Promise<WireAnswer> => {
        const answer = await whole(request);
        if (answer === undefined) throw new Error(`${request.path}: this gateway does not answer it`);
        const body = Buffer.from(answer.body);
        if (body.length > request.bytesMax) return { kind: 'too-large' };
        const headers: Readonly<Record<string, string>> = {
          'x-consul-index': String(answer.index),
          'x-consul-knownleader': 'true',
        };
        return { kind: 'answer', status: answer.status, header: (name) => headers[name.toLowerCase()], body };
      },
    },
  };
}

function pick(answer: {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly contentType: string | undefined;
}): Omit<SideAnswer, 'index'> {
  return { status: answer.status, body: answer.body, contentType: answer.contentType };
}
