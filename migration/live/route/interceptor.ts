import type { Answered, Interceptor, Passed, PassedReply } from '../../../compat/http/interceptor.ts';
import type { RouteContext } from '../../../compat/routes/context.ts';
import { isForeign } from '../../../compat/routes/datacenter.ts';
import type { Route } from '../../../compat/routes/route.ts';
import { decodeTxn } from '../../../compat/routes/txn-decode.ts';
import { parseJson, type JsonValue } from '../../../compat/wire/go-json.ts';
import {
  failure,
  jsonBody,
  jsonType,
  type ApiRequest,
  type Later,
  type Reply,
  type RouteResult,
  type Write,
} from '../../../compat/wire/http.ts';
import type { Command } from '../../../src/state/command.ts';
import { authorityOf, readerOf, type PhaseRule } from '../../../src/state/migration.ts';
import { getSession } from '../../../src/state/sessions.ts';
import { isReadOnly, type TxnOp } from '../../../src/state/txn.ts';
import type { DualWriter } from '../dual/dual-writer.ts';
import { isOwnKey } from '../dual/fence.ts';
import type { PartContext } from '../ports.ts';
import { upstreamRequest } from '../proxy/upstream-request.ts';
import { familyOf, type Family } from './family.ts';
import { LockedKeys } from './locked-keys.ts';
import { decidedBy, mixedAuthority, noSource, ownReplyOf, replyOf } from './replies.ts';
import { isListing, Stitcher } from './stitch.ts';
import { joined, spanBelow, spanOfKey, type Span } from './summary.ts';
import { UnderWay } from './under-way.ts';
import { UsedEndpoints } from './used-endpoints.ts';

type Routed = RouteResult | Passed | undefined;

/** How another part has a say in endpoints of its own. Undefined: this gateway answers by its own routes. */
export type Strategy = (request: ApiRequest, route: Route, context: RouteContext) => Routed;

export interface Strategies {
  /** `/v1/session/*` */
  readonly sessions?: Strategy;
  /** A lock is about to be taken here: resolves once its session is here, if the source has it. */
  readonly adopt?: (session: string) => Promise<void>;
  /** `/v1/catalog/*`, `/v1/health/*`, `/v1/coordinate/*` */
  readonly catalog?: Strategy;
}

/** Consul's wait for a held write would be as long as it takes; holds are short and end by themselves. */
const notHeard =
  'No cluster leader: this gateway just started, and has not heard yet how far the migration is: try again';

/** Says of each request who answers it, by the phases of the rules (the table of docs/migration.md). */
export class PhaseInterceptor implements Interceptor {
  readonly #context: PartContext;
  readonly #dual: DualWriter | undefined;
  readonly #strategies: Strategies;
  readonly #families = new WeakMap<Route, Family>();
  readonly #used = new UsedEndpoints();
  readonly #underWay = new UnderWay();
  readonly #locked: LockedKeys;
  readonly #stitcher: Stitcher | undefined;
  /** Queries that wait at the source, and how each is answered when it is no longer the source's to answer. */
  readonly #waiting = new Set<() => void>();
  readonly #stops: (() => void)[] = [];
  #anySource = false;

  constructor(context: PartContext, dual: DualWriter | undefined, strategies: Strategies) {
    this.#context = context;
    this.#dual = dual;
    this.#strategies = strategies;
    this.#locked = new LockedKeys(context.gateway);
    this.#stitcher = context.client === undefined ? undefined : new Stitcher(context, context.client);
  }

  start(): void {
    this.#locked.start();
    this.#look();
    this.#stops.push(
      this.#context.phases.onChange(() => {
        this.#look();
        for (const look of [...this.#waiting]) look();
      }),
    );
  }

  stop(): void {
    this.#locked.stop();
    for (const stop of this.#stops.splice(0)) stop();
  }

  usedEndpoints(): Readonly<Record<string, number>> {
    return this.#used.counts;
  }

  older(of: PhaseRule['of'], prefix: string, step: number): number {
    return this.#underWay.older(of, prefix, step);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  passes(path: string): boolean {
    return this.#anySource && this.#context.client !== undefined && path.startsWith('/v1/');
  }

  intercept(request: ApiRequest, route: Route, context: RouteContext): Routed {
    const { phases } = this.#context;
    if (phases.rules.length === 0 && phases.known) return undefined;
    const family = this.#familyOf(route);
    if (family === 'own') return undefined;
    if (!phases.known) return failure(500, notHeard);
    if (isForeign(request, context)) return this.#anySource ? this.#pass(request, route, []) : undefined;
    switch (family) {
      case 'kv':
        return request.method === 'GET'
          ? this.#readKv(request, route, context)
          : this.#writeKv(request, route, context);
      case 'txn':
        return this.#txn(request, route, context);
      case 'session':
        if (this.#strategies.sessions !== undefined) {
          return this.#strategies.sessions(request, route, context);
        }
        return this.#anySource ? this.#pass(request, route, []) : undefined;
      case 'catalog':
        if (this.#strategies.catalog !== undefined) {
          return this.#noted(this.#strategies.catalog(request, route, context), request, route);
        }
        return this.#catalog(request, route);
      case 'rest':
        return this.#anySource ? this.#pass(request, route, []) : undefined;
    }
  }

  watches(request: ApiRequest, route: Route): ((answered: Answered) => void) | undefined {
    if (request.method !== 'GET' || this.#familyOf(route) !== 'kv') return undefined;
    const span = this.#spanOfRead(request);
    if (!span.compared) return undefined;
    return ({ status, index, body, tookMs }) =>
      this.#context.evidence.observed({
        ...{ request, answeredBy: 'here', status, body, tookMs },
        index: Number(index),
      });
  }

  #look(): void {
    this.#anySource = this.#context.phases.rules.some(({ phase }) => authorityOf(phase) === 'source');
  }

  #familyOf(route: Route): Family {
    let family = this.#families.get(route);
    if (family === undefined) {
      family = familyOf(route);
      this.#families.set(route, family);
    }
    return family;
  }

  #noted(routed: Routed, request: ApiRequest, route: Route): Routed {
    if (routed?.kind === 'passed') this.#used.note(request, route);
    return routed;
  }

  #catalog(request: ApiRequest, route: Route): Routed {
    const rule = this.#context.phases.catalog;
    if (rule === undefined) return this.#anySource ? this.#pass(request, route, []) : undefined;
    const side = request.method === 'GET' ? readerOf(rule.phase) : authorityOf(rule.phase);
    return side === 'source' ? this.#pass(request, route, [rule]) : undefined;
  }

  #spanOfRead(request: ApiRequest): Span {
    const { phases } = this.#context;
    return isListing(request) ? spanBelow(phases, request.rest) : spanOfKey(phases, request.rest);
  }

  #readKv(request: ApiRequest, route: Route, context: RouteContext): Routed {
    const span = this.#spanOfRead(request);
    if (span.reader === undefined) return this.#stitched(request, span);
    if (span.reader === 'source') return this.#pass(request, route, span.rules, span.compared, context);
    if (span.authority === 'here') return undefined;
    // The source decides, and this gateway answers: but not what must be the newest, and not for locks.
    const locked = isListing(request) ? this.#locked.below(request.rest) : this.#locked.has(request.rest);
    const careful = locked || request.query.has('consistent');
    return careful ? this.#pass(request, route, span.rules, span.compared, context) : undefined;
  }

  #writeKv(request: ApiRequest, route: Route, context: RouteContext): Routed {
    const { phases, hold } = this.#context;
    const { rest: key, query } = request;
    const tree = request.method === 'DELETE' && query.has('recurse');
    const span = tree ? spanBelow(phases, key) : spanOfKey(phases, key);
    if (span.rules.length === 0) return undefined;
    const held = hold.held('kv', key);
    if (held !== undefined) return this.#afterHold(held, request, route, context);
    if (span.authority === undefined) return failure(409, this.#mixedTree(key));
    if (span.authority === 'here') return this.#tracked(request, route, context, span.rules);
    const dual = this.#dual;
    if (!span.dual || dual === undefined || isOwnKey(key)) {
      return this.#pass(request, route, span.rules, false, context);
    }
    const parsed = handle(request, route, context);
    // What this gateway would refuse the source refuses in its own words, or takes: then nothing is lost either.
    if (parsed.kind !== 'write') return this.#pass(request, route, span.rules, false, context);
    const { command } = parsed;
    const end = this.#underWay.begin(span.rules);
    if (command.kind === 'kv-put') {
      return later(dual.put(request, command, span.rules[0] as PhaseRule).finally(end));
    }
    if (command.kind === 'kv-delete' || command.kind === 'kv-delete-tree') {
      return later(dual.delete(request, command, span.rules).finally(end));
    }
    end();
    return this.#pass(request, route, span.rules, false, context);
  }

  #txn(request: ApiRequest, route: Route, context: RouteContext): Routed {
    const { hold, gateway } = this.#context;
    const decoded = decodeTxn(request.body, context.limits);
    if (!decoded.ok) return this.#anySource ? this.#pass(request, route, []) : undefined;
    const ops = decoded.value;
    const spans = ops.map((op) => this.#spanOfOp(op));
    const span = spans.length === 0 ? undefined : joined(spans);
    if (span === undefined) return undefined;
    const readOnly = isReadOnly({ kind: 'txn', ops });
    const keys = ops.flatMap((op) => (op.kind === 'kv' ? [op.key] : []));
    if (!readOnly) {
      for (const key of keys) {
        const held = hold.held('kv', key);
        if (held !== undefined) return this.#afterHold(held, request, route, context);
      }
    }
    if (span.authority === undefined) return this.#mixedTxn(ops, spans);
    if (span.authority === 'here') return this.#tracked(request, route, context, span.rules);
    if (readOnly) {
      const locked = keys.some((key) => this.#locked.below(key));
      const isHere = span.reader === 'here' && !locked && !request.query.has('consistent');
      return isHere ? undefined : this.#pass(request, route, span.rules, false, context);
    }
    const parsed = parseJson(Buffer.from(request.body).toString());
    if (!span.dual || this.#dual === undefined || !parsed.ok || !Array.isArray(parsed.value)) {
      return this.#pass(request, route, span.rules, false, context);
    }
    const end = this.#underWay.begin(span.rules);
    const kvRules = span.rules.filter((rule) => rule.of === 'kv');
    gateway.log.debug({ ops: ops.length }, 'a transaction is written to both sides');
    return later(this.#dual.txn(request, parsed.value as readonly JsonValue[], ops, kvRules).finally(end));
  }

  #spanOfOp(op: TxnOp): Span {
    const { phases } = this.#context;
    if (op.kind === 'kv') {
      const isTree = op.verb === 'get-tree' || op.verb === 'delete-tree';
      return isTree ? spanBelow(phases, op.key) : spanOfKey(phases, op.key);
    }
    const rule = phases.catalog;
    const side = rule === undefined ? (this.#anySource ? 'source' : 'here') : authorityOf(rule.phase);
    const reader = rule === undefined ? side : readerOf(rule.phase);
    return { rules: [], authority: side, reader, dual: false, compared: false };
  }

  #mixedTxn(ops: readonly TxnOp[], spans: readonly Span[]): Reply {
    const sideOf = (at: number): string => spans[at]?.authority ?? 'both';
    const other = spans.findIndex((_, at) => sideOf(at) !== sideOf(0) || sideOf(at) === 'both');
    const words = (at: number): string => {
      const op = ops[at];
      const name = op?.kind === 'kv' ? op.key : 'the catalog';
      return decidedBy(name, spans[at]?.rules[0], spans[at]?.authority ?? 'here');
    };
    const what = mixedAuthority('a transaction', words(0), words(other));
    const body = jsonBody({ Results: null, Errors: [{ OpIndex: other, What: what }] }, false);
    return { kind: 'reply', status: 409, body, contentType: jsonType };
  }

  #mixedTree(prefix: string): string {
    const { phases } = this.#context;
    const rules = phases.under(prefix);
    const first = decidedBy(prefix, phases.ofKey(prefix), sideOf(phases.ofKey(prefix)));
    const rule = rules.find((each) => sideOf(each) !== sideOf(phases.ofKey(prefix)));
    const other = decidedBy(rule?.prefix ?? prefix, rule, sideOf(rule));
    return mixedAuthority('the deletion of a tree', first, other);
  }

  /** A write that this fleet decides: counted until it is answered. */
  #tracked(request: ApiRequest, route: Route, context: RouteContext, rules: readonly PhaseRule[]): Routed {
    const result = handle(request, route, context);
    if (result.kind !== 'write' || rules.length === 0) return result;
    const end = this.#underWay.begin(rules);
    const { adopt } = this.#strategies;
    const { gateway } = this.#context;
    const sessions = lockingSessions(result.command).filter(
      (id) => getSession(gateway.view, id) === undefined,
    );
    if (adopt !== undefined && sessions.length > 0) {
      const adopted = Promise.allSettled(sessions.map((id) => adopt(id)));
      const proposed = adopted.then(() => gateway.propose(result.command));
      return later(proposed.then((outcome) => result.reply(outcome)).finally(end));
    }
    return {
      ...result,
      reply: (outcome) => {
        end();
        return result.reply(outcome);
      },
    } satisfies Write;
  }

  #afterHold(held: Promise<void>, request: ApiRequest, route: Route, context: RouteContext): Later {
    return later(held.then(() => this.#again(request, route, context)));
  }

  /** Routes a request anew, to its end. */
  async #again(request: ApiRequest, route: Route, context: RouteContext): Promise<Reply> {
    const routed = this.intercept(request, route, context) ?? handle(request, route, context);
    switch (routed.kind) {
      case 'reply':
        return routed;
      case 'later':
        return routed.reply;
      case 'passed':
        return replyOf(await routed.reply);
      case 'write':
        return routed.reply(await this.#context.gateway.propose(routed.command));
      default:
        return failure(500, `unexpected result ${routed.kind}`);
    }
  }

  #stitched(request: ApiRequest, span: Span): Routed {
    if (this.#stitcher === undefined) return noSource(`the list below ${JSON.stringify(request.rest)}`);
    const gone = new AbortController();
    const end = this.#underWay.begin(isBlocking(request) ? [] : span.rules);
    const reply = this.#stitcher.list(request, gone.signal).finally(end);
    return { kind: 'later', reply, cancel: () => gone.abort() };
  }

  /** `rules`: of what the request is about. With `context` a wait at the source ends when its rules move here. */
  #pass(
    request: ApiRequest,
    route: Route,
    rules: readonly PhaseRule[],
    compared = false,
    context?: RouteContext,
  ): Passed | Reply {
    const { client, gateway, evidence } = this.#context;
    if (client === undefined) return noSource(`${request.method} ${request.path}`);
    this.#used.note(request, route);
    const gone = new AbortController();
    const upstream = upstreamRequest(request, client.highWater);
    if (upstream.blocksMs !== undefined && context !== undefined && rules.length > 0) {
      const reply = this.#untilMoved(client.pass(upstream, gone.signal), gone, request, route, context);
      return { kind: 'passed', reply, cancel: () => gone.abort() };
    }
    const end = this.#underWay.begin(upstream.blocksMs === undefined ? rules : []);
    const startedMs = compared && request.method === 'GET' ? gateway.monoMs() : undefined;
    const reply = client.pass(upstream, gone.signal).finally(end);
    if (startedMs !== undefined) {
      void reply.then(({ status, headers, body }) => {
        if (!(body instanceof Uint8Array) || headerOf(headers, 'content-encoding') !== undefined) return;
        const tookMs = gateway.monoMs() - startedMs;
        const index = Number(headerOf(headers, 'x-consul-index') ?? 0);
        setImmediate(() => evidence.observed({ request, answeredBy: 'source', status, index, body, tookMs }));
      });
    }
    return { kind: 'passed', reply, cancel: () => gone.abort() };
  }

  /** Waits at the source for as long as it is the one to ask; then the client gets what is here. */
  #untilMoved(
    passed: Promise<PassedReply>,
    gone: AbortController,
    request: ApiRequest,
    route: Route,
    context: RouteContext,
  ): Promise<PassedReply> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#spanOfRead(request).reader !== 'here') return;
        this.#waiting.delete(look);
        resolve(ownReplyOf(handle(request, route, context), this.#context.gateway.view));
        gone.abort();
      };
      this.#waiting.add(look);
      passed.then(resolve, reject).finally(() => this.#waiting.delete(look));
    });
  }
}

function handle(request: ApiRequest, route: Route, context: RouteContext): RouteResult {
  const handler = route.methods[request.method];
  return handler === undefined
    ? failure(405, `method ${request.method} not allowed`)
    : handler(request, context);
}

/** The sessions that a write takes locks with. */
function lockingSessions(command: Command): readonly string[] {
  if (command.kind === 'kv-put') return command.mode.kind === 'acquire' ? [command.mode.session] : [];
  if (command.kind !== 'txn') return [];
  return command.ops.flatMap((op) => (op.kind === 'kv' && op.verb === 'lock' ? [op.session] : []));
}

function later(reply: Promise<Reply>): Later {
  return { kind: 'later', reply };
}

function sideOf(rule: PhaseRule | undefined): 'source' | 'here' {
  return rule === undefined ? 'here' : authorityOf(rule.phase);
}

function isBlocking({ query }: ApiRequest): boolean {
  return query.has('index') && query.get('index') !== '0';
}

function headerOf(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((each, place) => place % 2 === 0 && each.toLowerCase() === name);
  return at < 0 ? undefined : headers[at + 1];
}
