import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { ReadScope, Unconfirmed } from '../fleet/port.ts';
import type { RouteContext } from '../routes/context.ts';
import { isForeign, noPath } from '../routes/datacenter.ts';
import type { Route } from '../routes/route.ts';
import type { LiveQueries, SharedAnswer } from '../watch/live-queries.ts';
import {
  failure,
  type ApiRequest,
  type Method,
  type Read,
  type Reply,
  type RouteResult,
} from '../wire/http.ts';
import { Query } from '../wire/query.ts';
import { bodyTooLarge, notOwnedText } from '../wire/refusal.ts';
import {
  enterpriseRefusal,
  parseReadOptions,
  waitJitterFraction,
  type ReadOptions,
} from '../wire/read-options.ts';
import { readBody } from './body.ts';
import { orderProblem } from './browser-orders.ts';
import {
  confirmAll,
  failedHeaders,
  mayAskOwners,
  noScopes,
  pushConsistency,
  readScopes,
  scopesToConfirm,
  unansweredRead,
  type AnsweredHow,
  type Owners,
} from './consistency.ts';
import { IncomingRequest } from './incoming-request.ts';
import { sendDownload } from './download.ts';
import type { Interceptor, Passed } from './interceptor.ts';
import { WatchedAnswers } from './watched.ts';
import { frontPage, notFoundPage, redirect } from './pages.ts';
import { cleanPath } from './paths.ts';
import { pushHeaders, writePassed, writeReply, writeShared, type FlatHeaders } from './reply-writer.ts';
import { Router } from './router.ts';

export interface DispatcherOptions extends Owners {
  readonly routes: readonly Route[];
  readonly context: RouteContext;
  readonly live: LiveQueries;
  readonly propose: (command: Command, done: (outcome: CommandOutcome) => void) => void;
  /** Nothing this gateway has shown is above it. */
  readonly highestIndex: () => number;
  /** How to hand a request to another datacenter; undefined where no path to it is known. */
  readonly foreign?: (datacenter: string) => ((request: ApiRequest) => Promise<Reply>) | undefined;
  /** Who answers while the fleet migrates; asked of every request. */
  readonly interceptor?: Interceptor | undefined;
  readonly random: () => number;
  /** http_config.response_headers, sent with every answer. */
  readonly responseHeaders: Readonly<Record<string, string>>;
  /** http_config.block_endpoints: prefixes answered with 403. */
  readonly blockEndpoints: readonly string[];
  /** http_config.allow_write_http_from: whether this address may write. */
  readonly mayWrite: (remoteAddress: string) => boolean;
  /** migration.page_hosts: names under which this gateway's own pages may be opened, and order. */
  readonly pageHosts?: readonly string[];
  readonly onRequest?: (route: Route | undefined, method: string) => void;
  /** A route threw: a defect. The client got a 500. */
  readonly onDefect: (error: unknown, path: string) => void;
}

/** Bodies that no route bounds more tightly: Consul takes them at any length, here memory is not for the taking. */
const bodyBytesMaxDefault = 16 * 1024 * 1024;

const methods: readonly string[] = ['GET', 'PUT', 'POST', 'DELETE'] satisfies readonly Method[];

/**
 * Turns HTTP requests into route results and those into answers. The same for both front doors: `node:http` directly
 * for the endpoints that carry the load, Express for the rest.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #router: Router;
  readonly #baseHeaders: FlatHeaders;
  /** Who wants to know how a request is answered. */
  readonly #watched = new WatchedAnswers();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#router = new Router(options.routes);
    this.#baseHeaders = ['Vary', 'Accept-Encoding', 'X-Consul-Default-Acl-Policy', 'allow'];
    pushHeaders(this.#baseHeaders, options.responseHeaders);
  }

  /** Answers the request if its route is hot; false leaves it to the long tail. */
  tryHot(req: IncomingMessage, res: ServerResponse): boolean {
    const url = req.url ?? '/';
    const cut = url.indexOf('?');
    const cleaned = cleanPath(cut < 0 ? url : url.slice(0, cut));
    if (cleaned.kind !== 'path') return false;
    const match = this.#router.match(cleaned.path);
    if (match?.route.hot !== true) return false;
    this.#serve(req, res, match.route, cleaned.path, match.rest, cut < 0 ? '' : url.slice(cut + 1));
    return true;
  }

  /** Answers any request; `notFound` is called when there is no such endpoint. */
  handle(req: IncomingMessage, res: ServerResponse, notFound: () => void): void {
    const url = req.url ?? '/';
    const cut = url.indexOf('?');
    const rawPath = cut < 0 ? url : url.slice(0, cut);
    const rawQuery = cut < 0 ? '' : url.slice(cut + 1);
    const cleaned = cleanPath(rawPath);
    // Consul makes these answers before anything that adds headers: none that are configured come with them.
    if (cleaned.kind === 'unprintable') return writeReply(req, res, failure(400, ''), []);
    if (cleaned.kind === 'malformed') {
      return writeReply(req, res, failure(400, 'Invalid URL path: its escapes are not UTF-8'), []);
    }
    const match = this.#router.match(cleaned.path);
    if (match === undefined && this.#router.wantsSlash(cleaned.path)) {
      return redirect(req, res, `${cleaned.path}/`, rawQuery);
    }
    if (cleaned.kind === 'redirect') return redirect(req, res, cleaned.path, rawQuery);
    if (match !== undefined) return this.#serve(req, res, match.route, cleaned.path, match.rest, rawQuery);
    const passable = this.#options.interceptor?.passes?.(cleaned.path) === true;
    if (passable) return this.#serve(req, res, unknownRoute, cleaned.path, '', rawQuery);
    this.#options.onRequest?.(undefined, req.method ?? '');
    return cleaned.path === '/' ? this.#page(req, res, frontPage) : notFound();
  }

  /** The answer to an endpoint that does not exist. */
  notFound(req: IncomingMessage, res: ServerResponse): void {
    this.#page(req, res, notFoundPage(req.url ?? '/'));
  }

  /** What is no endpoint has the configured headers (in Consul since 1.9), and none of the endpoints' own. */
  #page(req: IncomingMessage, res: ServerResponse, reply: Reply): void {
    const headers: FlatHeaders = [];
    pushHeaders(headers, this.#options.responseHeaders);
    writeReply(req, res, reply, headers);
  }

  #serve(
    req: IncomingMessage,
    res: ServerResponse,
    route: Route,
    path: string,
    rest: string,
    rawQuery: string,
  ): void {
    const { context, blockEndpoints } = this.#options;
    const method = req.method ?? '';
    this.#options.onRequest?.(route, method);
    if (blockEndpoints.some((prefix) => path.startsWith(prefix))) {
      return this.#reply(req, res, failure(403, 'Endpoint is blocked by agent configuration'));
    }
    const handler = methods.includes(method) ? route.methods[method as Method] : undefined;
    if (handler === undefined) return this.#methodProblem(req, res, route, method);
    const query = Query.parse(rawQuery);
    if (query === undefined) return this.#reply(req, res, failure(500, ''));
    if (method !== 'GET' && !this.#options.mayWrite(req.socket.remoteAddress ?? '')) {
      return this.#reply(req, res, failure(403, 'Access is restricted'));
    }
    if (method !== 'GET' && route.orders === true) {
      const problem = orderProblem(req.headers, this.#options.pageHosts ?? []);
      if (problem !== undefined) return this.#reply(req, res, failure(403, problem));
    }
    const answer = (body: Uint8Array): void => {
      const request = new IncomingRequest(req, method as Method, path, rest, query, body);
      this.#guarded(req, res, () => this.#answer(req, res, route, request));
    };
    if (method === 'GET' || route.streamsBody === true) return answer(noBody);
    const bytesMax = route.bodyBytesMax?.(context) ?? bodyBytesMaxDefault;
    readBody(req, bytesMax, (outcome) => {
      if (outcome.kind === 'body') return answer(outcome.body);
      if (outcome.kind === 'aborted') return undefined;
      const refusal = bodyTooLarge(outcome.bytes, bytesMax, route.bodySetting);
      return this.#reply(req, res, refusal, ['Connection', 'close']);
    });
  }

  /** A route that throws has a defect: the log gets it, the client a 500. */
  #guarded(req: IncomingMessage, res: ServerResponse, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.onDefect(error, req.url ?? '');
      this.#reply(req, res, failure(500, 'internal error: see the log of this gateway'));
    }
  }

  #methodProblem(req: IncomingMessage, res: ServerResponse, route: Route, method: string): void {
    const allow = ['OPTIONS', ...Object.keys(route.methods)].join(',');
    const reply = method === 'OPTIONS' ? { ...failure(200, ''), headers: { Allow: allow } } : undefined;
    this.#reply(
      req,
      res,
      reply ?? { ...failure(405, `method ${method} not allowed`), headers: { Allow: allow } },
    );
  }

  #answer(req: IncomingMessage, res: ServerResponse, route: Route, request: ApiRequest): void {
    let options: ReadOptions | undefined;
    if (route.common !== 'none') {
      const refusal = enterpriseRefusal(request, route.enterprise);
      if (refusal !== undefined) return this.#reply(req, res, refusal);
    }
    if (route.common === 'read') {
      const parsed = parseReadOptions(request, this.#options.context.limits.waits);
      if (!parsed.ok) return this.#reply(req, res, parsed.error);
      const { cached } = parsed.value;
      options = cached && route.cached !== true ? { ...parsed.value, cached: false } : parsed.value;
    }
    const { context } = this.#options;
    const handOn = this.#handsOn(route, request);
    const { interceptor } = this.#options;
    if (interceptor !== undefined && handOn === undefined) {
      const other = interceptor.intercept(request, route, context);
      if (other !== undefined) {
        return other.kind === 'passed'
          ? this.#pass(req, res, other)
          : this.#deliver(req, res, other, options);
      }
      this.#watched.begin(res, interceptor, request, route);
    }
    // What only changes things is the other datacenter's to check; a read may turn out to be of this agent alone.
    if (handOn !== undefined && request.method !== 'GET') return this.#handOn(req, res, request, handOn);
    const result = (route.methods[request.method] as NonNullable<Route['methods'][Method]>)(request, context);
    const isLocal = result.kind === 'reply' || (result.kind === 'read' && result.agentLocal === true);
    if (route.common !== 'none' && !isLocal && isForeign(request, context)) {
      if (handOn !== undefined) return this.#handOn(req, res, request, handOn);
      return this.#reply(
        req,
        res,
        noPath,
        result.kind === 'read' && route.path !== '/v1/kv/' ? unansweredRead : [],
      );
    }
    return this.#deliver(req, res, result, options);
  }

  #pass(req: IncomingMessage, res: ServerResponse, { reply, cancel }: Passed): void {
    if (res.destroyed || req.socket.destroyed) cancel();
    else res.once('close', cancel);
    reply.then(
      (passed) => writePassed(res, passed),
      (error: unknown) =>
        this.#guarded(req, res, () => {
          throw error;
        }),
    );
  }

  /** Work that was promised has failed: the client is told how. */
  #failed(req: IncomingMessage, res: ServerResponse, error: unknown): void {
    this.#options.onDefect(error, req.url ?? '');
    this.#reply(req, res, failure(500, error instanceof Error ? error.message : String(error)));
  }

  #handsOn(route: Route, request: ApiRequest): ((request: ApiRequest) => Promise<Reply>) | undefined {
    const { context, foreign } = this.#options;
    // The agent's own endpoints are about this agent, whatever datacenter is named.
    if (route.common === 'none' || request.path.startsWith('/v1/agent/')) return undefined;
    return isForeign(request, context) ? foreign?.(request.query.get('dc')) : undefined;
  }

  #handOn(
    req: IncomingMessage,
    res: ServerResponse,
    request: ApiRequest,
    handOn: (request: ApiRequest) => Promise<Reply>,
  ): void {
    handOn(request).then(
      (reply) => this.#reply(req, res, reply),
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        this.#reply(req, res, failure(500, `rpc error: no answer from the other datacenter: ${why}`));
      },
    );
  }

  #deliver(
    req: IncomingMessage,
    res: ServerResponse,
    result: RouteResult,
    options: ReadOptions | undefined,
  ): void {
    switch (result.kind) {
      case 'reply':
        return this.#reply(req, res, result);
      case 'write':
        return this.#afterOwners(
          req,
          res,
          scopesToConfirm(this.#options, result.scopes ?? noScopes, options),
          [],
          () =>
            this.#options.propose(result.command, (outcome) =>
              this.#guarded(req, res, () => this.#reply(req, res, result.reply(outcome))),
            ),
        );
      case 'later':
        if (result.cancel !== undefined) res.once('close', result.cancel);
        result.reply.then(
          (reply) => this.#reply(req, res, reply),
          (error: unknown) => this.#failed(req, res, error),
        );
        return undefined;
      case 'read':
        return this.#read(req, res, result, options);
      case 'download':
        sendDownload(res, result, this.#baseHeaders).then(
          (instead) => (instead === undefined ? undefined : this.#reply(req, res, instead)),
          (error: unknown) => this.#failed(req, res, error),
        );
        return undefined;
      case 'stream': {
        res.writeHead(200, [...this.#baseHeaders, 'Content-Type', result.contentType]);
        res.flushHeaders();
        const stop = result.start((chunk) => {
          // A reader that does not keep up loses lines rather than costing memory.
          if (res.writableLength < streamBacklogBytesMax) res.write(chunk);
        });
        res.on('close', stop);
        return undefined;
      }
    }
  }

  /** Goes on once this replica has what the owners had; where one cannot be asked, answers that. */
  #afterOwners(
    req: IncomingMessage,
    res: ServerResponse,
    scopes: readonly ReadScope[],
    failureHeaders: FlatHeaders,
    work: () => void,
  ): void {
    const { confirm } = this.#options;
    if (scopes.length === 0 || confirm === undefined) return work();
    const answer = (problem: Unconfirmed | undefined): void => {
      if (problem === undefined) return work();
      const refusal = failure(500, notOwnedText({ ...problem, kind: 'not-owned' }));
      return this.#reply(req, res, refusal, failureHeaders);
    };
    confirmAll(confirm, scopes).then(
      // Gone meanwhile: nobody waits for the answer.
      (problem) => (req.socket.destroyed ? undefined : this.#guarded(req, res, () => answer(problem))),
      (error: unknown) =>
        this.#guarded(req, res, () => {
          throw error;
        }),
    );
  }

  #read(req: IncomingMessage, res: ServerResponse, read: Read, options: ReadOptions | undefined): void {
    if (!mayAskOwners(options)) return this.#readHere(req, res, read, options);
    const scopes = scopesToConfirm(this.#options, readScopes(read), options);
    return this.#afterOwners(req, res, scopes, failedHeaders(read), () =>
      this.#readHere(req, res, read, options, scopes.length > 0),
    );
  }

  #readHere(
    req: IncomingMessage,
    res: ServerResponse,
    read: Read,
    options: ReadOptions | undefined,
    confirmed = false,
  ): void {
    const { live } = this.#options;
    const kept = options?.cached === true && live.keeps(read);
    const shared = live.answer(read);
    const index = options?.index ?? 0;
    if (options === undefined || !this.#mustWait(read, index, shared)) {
      return this.#writeAnswer(req, res, read, shared, options, { kept, confirmed });
    }
    // Gone while the request was on its way to its route: nobody would tell this wait that it is over.
    if (req.socket.destroyed) return;
    const waitMs = options.waitMs * (1 + this.#options.random() / waitJitterFraction);
    // Rounded up, so that thousands of waits share the timer lists of Node.
    const timer = setTimeout(
      () => this.#guarded(req, res, () => waiter.expire()),
      Math.ceil(waitMs / 50) * 50,
    );
    const waiter = live.wait(read, index, (woken) => {
      clearTimeout(timer);
      res.off('close', onClose);
      const scopes = scopesToConfirm(this.#options, readScopes(read), options);
      // What woke it may be old already: who asked for the newest gets what the owners have by now.
      this.#afterOwners(req, res, scopes, failedHeaders(read), () =>
        this.#writeAnswer(req, res, read, scopes.length > 0 ? live.answer(read) : woken, options, {
          confirmed: scopes.length > 0,
        }),
      );
    });
    const onClose = (): void => {
      clearTimeout(timer);
      waiter.cancel();
    };
    res.on('close', onClose);
  }

  #mustWait(read: Read, index: number | bigint, shared: SharedAnswer): boolean {
    if (index <= 0) return false;
    // oxlint-disable-next-line eqeqeq -- number and bigint indexes compare by value
    if (read.wakesOn === 'difference') return shared.answer.index == index;
    // An index that this gateway never showed: the client moved here from another one. Answer the true index.
    return shared.answer.index <= index && index <= this.#options.highestIndex();
  }

  #writeAnswer(
    req: IncomingMessage,
    res: ServerResponse,
    read: Read,
    shared: SharedAnswer,
    options: ReadOptions | undefined,
    how: AnsweredHow,
  ): void {
    const headers = this.#baseHeaders.slice();
    const { index } = shared.answer;
    headers.push('X-Consul-Index', index > 0 ? String(index) : '1');
    pushConsistency(headers, this.#options, read, options, how);
    if (this.#options.interceptor !== undefined) this.#watched.answered(res, shared.answer);
    writeShared(req, res, shared, headers);
  }

  #reply(req: IncomingMessage, res: ServerResponse, reply: Reply, extra: FlatHeaders = []): void {
    if (this.#options.interceptor !== undefined) this.#watched.answered(res, { ...reply, index: 0 });
    writeReply(req, res, reply, [...this.#baseHeaders, ...extra]);
  }
}

/** A monitor's client may be this far behind before lines are dropped. Guess. */
const streamBacklogBytesMax = 1024 * 1024;

const noBody = new Uint8Array();

/** What is no endpoint here, while somebody else is asked about it. */
const unknownRoute: Route = {
  path: '',
  methods: Object.fromEntries(
    methods.map((method) => [method, ({ path }: ApiRequest) => notFoundPage(path)]),
  ),
  common: 'none',
  streamsBody: true,
  state: 'refused',
};
