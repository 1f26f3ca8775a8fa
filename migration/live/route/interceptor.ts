import type { Answered, Interceptor, Passed } from '../../../compat/http/interceptor.ts';
import type { RouteContext } from '../../../compat/routes/context.ts';
import { isForeign } from '../../../compat/routes/datacenter.ts';
import type { Route } from '../../../compat/routes/route.ts';
import { decodeTxn } from '../../../compat/routes/txn-decode.ts';
import { parseJson, type JsonValue } from '../../../compat/wire/go-json.ts';
import {
  failure,
  type ApiRequest,
  type Later,
  type Reply,
  type RouteResult,
} from '../../../compat/wire/http.ts';
import { authorityOf, isCompared, readerOf, type PhaseRule } from '../../../src/state/migration.ts';
import { getSession } from '../../../src/state/sessions.ts';
import { isReadOnly, type TxnOp } from '../../../src/state/txn.ts';
import { clientTxn } from '../dual/client-txn.ts';
import type { DualWriter } from '../dual/dual-writer.ts';
import { isOwnKey } from '../dual/fence.ts';
import { nameOfKey, nameOfTree, type OpenName } from '../dual/open-keys.ts';
import type { PartContext } from '../ports.ts';
import { upstreamRequest } from '../proxy/upstream-request.ts';
import { familyOf, type Family } from './family.ts';
import { LockedKeys } from './locked-keys.ts';
import { mixedTree, mixedTxn } from './mixed.ts';
import { noSource, ownReplyOf, replyOf } from './replies.ts';
import { ObservedPassed } from './observe-passed.ts';
import { isListing, Stitcher } from './stitch.ts';
import { handle, lockingSessions } from './own-routes.ts';
import { catalogName, OpenWrites } from './open-writes.ts';
import { joined, spanBelow, spanOfKey, type Span } from './summary.ts';
import { UnderWay } from './under-way.ts';
import { UsedEndpoints } from './used-endpoints.ts';
import { WaitingReads } from './waiting-reads.ts';

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
  readonly #observed: ObservedPassed;
  /** Writes that clients wait for. */
  readonly writes = new OpenWrites();
  readonly #locked: LockedKeys;
  readonly #stitcher: Stitcher | undefined;
  readonly #waiting = new WaitingReads();
  readonly #stops: (() => void)[] = [];
  #anySource = false;

  constructor(context: PartContext, dual: DualWriter | undefined, strategies: Strategies) {
    this.#context = context;
    this.#dual = dual;
    this.#strategies = strategies;
    this.#locked = new LockedKeys(context.gateway);
    this.#observed = new ObservedPassed(context);
    this.#stitcher = context.client === undefined ? undefined : new Stitcher(context, context.client);
  }

  start(): void {
    this.#locked.start();
    this.#look();
    this.#stops.push(
      this.#context.phases.onChange(() => {
        this.#look();
        this.#waiting.look();
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
    return this.#waiting.count;
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
        return this.#catalog(request, route, context);
      case 'rest':
        return this.#anySource ? this.#pass(request, route, []) : undefined;
    }
  }

  watches(request: ApiRequest, route: Route): ((answered: Answered) => void) | undefined {
    if (request.method !== 'GET') return undefined;
    const family = this.#familyOf(route);
    const rules =
      family === 'kv' ? this.#spanOfRead(request).rules : family === 'catalog' ? this.#catalogRules : [];
    if (!rules.some(({ phase }) => isCompared(phase))) return undefined;
    if (this.#context.evidence.wants?.(request, rules) === false) return undefined;
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

  #catalog(request: ApiRequest, route: Route, context: RouteContext): Routed {
    const own = this.#strategies.catalog;
    const routed = (): Routed => {
      const startedMs = this.#context.gateway.monoMs();
      const other = own === undefined ? this.#catalogByPhase(request, route) : own(request, route, context);
      if (other?.kind === 'passed') {
        this.#used.note(request, route);
        const rules = this.#catalogRules;
        if (request.method === 'GET' && rules.some(({ phase }) => isCompared(phase)))
          this.#observed.follow(request, rules, startedMs, other.reply);
      }
      return other ?? (request.method === 'GET' ? undefined : handle(request, route, context));
    };
    const { phases, hold } = this.#context;
    const { catalog } = phases;
    if (request.method === 'GET') return this.#untilMoved(routed(), request, route, context);
    const held = hold.held('catalog', '');
    if (held !== undefined) return this.#afterHold(held, request, route, context);
    return this.#counted(routed, catalog === undefined ? [] : [catalog], [catalogName]);
  }

  /** A wait at the source ends when reads of the catalog move here: what it would tell may be older than what is told here. */
  #untilMoved(routed: Routed, request: ApiRequest, route: Route, context: RouteContext): Routed {
    if (routed?.kind !== 'passed' || !isBlocking(request) || request.query.has('consistent')) return routed;
    const { phases, gateway } = this.#context;
    const reply = this.#waiting.until(routed.reply, { abort: routed.cancel }, () =>
      readerOf(phases.catalog?.phase ?? 'passthrough') === 'here'
        ? ownReplyOf(handle(request, route, context), gateway.view)
        : undefined,
    );
    return { ...routed, reply };
  }

  get #catalogRules(): readonly PhaseRule[] {
    const { catalog } = this.#context.phases;
    return catalog === undefined ? [] : [catalog];
  }

  #catalogByPhase(request: ApiRequest, route: Route): Routed {
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
    const listing = isListing(request);
    const locked = listing ? this.#locked.below(request.rest) : this.#locked.has(request.rest);
    const unstored = this.#dual?.isUnstored(request.rest, listing) ?? false;
    const careful = locked || unstored || request.query.has('consistent');
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
    const name = tree ? nameOfTree(key) : nameOfKey(key);
    const routed = (): Routed => {
      if (span.authority === undefined) return failure(409, mixedTree(phases, key));
      if (span.authority === 'here') return this.#here(request, route, context);
      return this.#dualKv(request, route, context, span) ?? this.#pass(request, route, []);
    };
    return this.#counted(routed, span.rules, [name]);
  }

  /** Undefined: it is passed on and no more. */
  #dualKv(request: ApiRequest, route: Route, context: RouteContext, span: Span): Routed {
    const dual = this.#dual;
    if (!span.dual || dual === undefined || isOwnKey(request.rest)) return undefined;
    const parsed = handle(request, route, context);
    // What this gateway would refuse the source refuses in its own words, or takes: the tail finds it then.
    if (parsed.kind !== 'write') return undefined;
    const { command } = parsed;
    if (command.kind === 'kv-put') return later(dual.put(request, command, span.rules[0] as PhaseRule));
    if (command.kind !== 'kv-delete' && command.kind !== 'kv-delete-tree') return undefined;
    return later(dual.delete(request, command, span.rules));
  }

  #txn(request: ApiRequest, route: Route, context: RouteContext): Routed {
    const { hold } = this.#context;
    const decoded = decodeTxn(request.body, context.limits);
    if (!decoded.ok) return this.#anySource ? this.#pass(request, route, []) : undefined;
    const ops = decoded.value;
    const spans = ops.map((op) => this.#spanOfOp(op));
    const span = spans.length === 0 ? undefined : joined(spans);
    if (span === undefined) return undefined;
    const readOnly = isReadOnly({ kind: 'txn', ops });
    const keys = ops.flatMap((op) => (op.kind === 'kv' ? [op.key] : []));
    if (!readOnly) {
      const holds = keys.map((key) => hold.held('kv', key));
      if (keys.length < ops.length) holds.push(hold.held('catalog', ''));
      const held = holds.find((each) => each !== undefined);
      if (held !== undefined) return this.#afterHold(held, request, route, context);
    }
    if (readOnly && span.authority === 'source') {
      const unsure = keys.some(
        (key) => this.#locked.below(key) || this.#dual?.isUnstored(key, true) === true,
      );
      const isHere = span.reader === 'here' && !unsure && !request.query.has('consistent');
      return isHere ? undefined : this.#pass(request, route, span.rules);
    }
    const routed = (): Routed => {
      if (span.authority === undefined) return mixedTxn(ops, spans);
      if (span.authority === 'here') return this.#here(request, route, context);
      return this.#dualTxn(request, ops, span) ?? this.#pass(request, route, []);
    };
    if (readOnly) return routed();
    const catalog = ops.some(({ kind }) => kind !== 'kv') ? [catalogName] : [];
    return this.#counted(routed, span.rules, [...clientTxn(ops).names, ...catalog]);
  }

  #dualTxn(request: ApiRequest, ops: readonly TxnOp[], span: Span): Routed {
    if (!span.dual || this.#dual === undefined) return undefined;
    const parsed = parseJson(Buffer.from(request.body).toString());
    if (!parsed.ok || !Array.isArray(parsed.value)) return undefined;
    const items = parsed.value as readonly JsonValue[];
    return later(this.#dual.txn(request, items, ops, span.rules));
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

  /** A write that this fleet decides. */
  #here(request: ApiRequest, route: Route, context: RouteContext): RouteResult {
    const result = handle(request, route, context);
    if (result.kind !== 'write') return result;
    const { adopt } = this.#strategies;
    const { gateway } = this.#context;
    const sessions = lockingSessions(result.command).filter(
      (id) => getSession(gateway.view, id) === undefined,
    );
    if (adopt === undefined || sessions.length === 0) return result;
    const adopted = Promise.allSettled(sessions.map((id) => adopt(id)));
    const proposed = adopted.then(() => gateway.propose(result.command));
    return later(proposed.then((outcome) => result.reply(outcome)));
  }

  /** A write counts as under way, under its rules and its names, until it is answered. */
  #counted(routed: () => Routed, rules: readonly PhaseRule[], names: readonly OpenName[]): Routed {
    const ends = [this.#underWay.begin(rules), this.writes.begin(names)];
    const end = (): void => {
      for (const each of ends) each();
    };
    let result: Routed;
    try {
      result = routed();
    } catch (error) {
      end();
      throw error;
    }
    switch (result?.kind) {
      case 'passed':
        return { ...result, reply: result.reply.finally(end) };
      case 'later':
        return { ...result, reply: result.reply.finally(end) };
      case 'write': {
        return {
          ...result,
          reply: (outcome) => {
            end();
            return result.reply(outcome);
          },
        };
      }
      default:
        end();
        return result;
    }
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
    const { client, gateway } = this.#context;
    if (client === undefined) return noSource(`${request.method} ${request.path}`);
    this.#used.note(request, route);
    const gone = new AbortController();
    const upstream = upstreamRequest(request, client.highWater);
    const waits = upstream.blocksMs !== undefined;
    const startedMs = gateway.monoMs();
    const passed = client.pass(upstream, gone.signal);
    if (compared && request.method === 'GET') {
      this.#observed.follow(request, rules, startedMs, passed);
    }
    const reply =
      waits && context !== undefined && rules.length > 0
        ? this.#waiting.until(passed, gone, () =>
            this.#spanOfRead(request).reader === 'here'
              ? ownReplyOf(handle(request, route, context), gateway.view)
              : undefined,
          )
        : passed.finally(this.#underWay.begin(waits ? [] : rules));
    return { kind: 'passed', reply, cancel: () => gone.abort() };
  }
}

function later(reply: Promise<Reply>): Later {
  return { kind: 'later', reply };
}

function isBlocking({ query }: ApiRequest): boolean {
  return query.has('index') && query.get('index') !== '0';
}
