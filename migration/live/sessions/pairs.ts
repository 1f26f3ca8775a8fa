import type { Passed, PassedReply } from '../../../compat/http/interceptor.ts';
import { json, type ApiRequest } from '../../../compat/wire/http.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { canonicalSessionId, sessionIdProblem } from '../../../src/state/session-id.ts';
import { sessionValue } from '../../../src/state/session-health.ts';
import { getSession } from '../../../src/state/sessions.ts';
import type { SessionValue } from '../../../src/state/values.ts';
import { ownReply } from '../proxy/replies.ts';
import type { SourceClient } from '../proxy/source-client.ts';
import { upstreamRequest } from '../proxy/upstream-request.ts';
import type { LivePart, PartContext } from '../ports.ts';
import { sessionModeOf, type SessionMode } from './session-mode.ts';
import { SourceSessions, type SourceSession } from './source-sessions.ts';

/** What routes ask about sessions while keys move. */
export interface SessionStrategy {
  /** Of `/v1/session/*`. Undefined: this gateway answers by its own routes. */
  intercept(request: ApiRequest): Passed | undefined;
  /** A lock is about to be taken here with this session: resolves once it is here, if the source has it. */
  adopt(id: string): Promise<void>;
}

export interface SessionPairs extends SessionStrategy, LivePart {
  /** Resolves once every session of the source has its twin here; rejects after `waitMs` with a text for people. */
  ready(waitMs: number): Promise<void>;
}

/** Reads again after trouble, or where a list could not be trusted. Guess. */
const pauseMs = 1000;
const canaryName = 'grapevine canary';

/**
 * Sessions while some locks are at the source and some are here. The source makes a session, so its clock and its
 * checks decide when it ends; here it has a twin under the same id, without a clock, that locks can be taken with. A
 * client sees one session. The end at the source ends the twin; when the last prefix has come here, twins get clocks of
 * their own, and the source is not asked any more.
 */
export function openSessionPairs(context: PartContext, client: SourceClient): SessionPairs {
  return new Pairs(context, client);
}

class Pairs implements SessionPairs {
  readonly #context: PartContext;
  readonly #client: SourceClient;
  readonly #source: SourceSessions;
  readonly #stops: (() => void)[] = [];
  #mode: SessionMode = 'none';
  #looping: Promise<void> | undefined;
  #wake = (): void => {};
  #stopped = false;
  #canary: string | undefined;
  /** The index of the last list whose sessions all have their twins. */
  #pairedAt: number | undefined;
  #problem: string | undefined;

  constructor(context: PartContext, client: SourceClient) {
    this.#context = context;
    this.#client = client;
    this.#source = new SourceSessions(client, context.settings.source?.token ?? '');
    context.gateway.metrics.gauge('sessions.paired', () => this.#twins().length);
  }

  start(): void {
    const { phases, runner } = this.#context;
    const look = (): void => {
      this.#mode = sessionModeOf(phases.rules);
      if (this.#mode !== 'paired') this.#pairedAt = undefined;
      this.#wake();
      if (runner.isHere && this.#isAtWork()) this.#looping ??= this.#loop();
    };
    this.#stops.push(phases.onChange(look), runner.onChange(look));
    look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const stop of this.#stops.splice(0)) stop();
    this.#wake();
    await this.#looping;
  }

  status(): object {
    return {
      mode: this.#mode,
      paired: this.#twins().length,
      complete: this.#pairedAt !== undefined,
      problem: this.#problem ?? null,
    };
  }

  async ready(waitMs: number): Promise<void> {
    const { gateway } = this.#context;
    const endMs = gateway.monoMs() + waitMs;
    const list = await this.#source.list(0);
    if (list.kind === 'untrusted') throw new Error(`the sessions of the source cannot be read: ${list.why}`);
    await this.#makeTwins(list.sessions);
    if (gateway.monoMs() > endMs) throw new Error('the sessions of the source did not get here in time');
  }

  async adopt(id: string): Promise<void> {
    if (this.#mode !== 'paired' || sessionIdProblem(id) !== undefined) return;
    if (getSession(this.#context.gateway.view, id) !== undefined) return;
    const list = await this.#source.info(canonicalSessionId(id));
    if (list.kind === 'sessions') await this.#makeTwins(list.sessions);
  }

  intercept(request: ApiRequest): Passed | undefined {
    if (this.#mode === 'none' || this.#mode === 'here') return undefined;
    const gone = new AbortController();
    const passed = this.#client.pass(upstreamRequest(request, this.#client.highWater), gone.signal);
    const reply = this.#mode === 'paired' ? this.#paired(request, passed) : passed;
    return { kind: 'passed', reply, cancel: () => gone.abort() };
  }

  async #paired(request: ApiRequest, passed: Promise<PassedReply>): Promise<PassedReply> {
    const reply = await passed;
    const { path, method } = request;
    if (method !== 'PUT') return reply;
    if (path === '/v1/session/create' && reply.status === 200) await this.#created(reply);
    const [, action, id] = /^\/v1\/session\/(renew|destroy)\/(.*)$/.exec(path) ?? [];
    if (action === undefined || id === undefined || sessionIdProblem(id) !== undefined) return reply;
    const isGone = action === 'destroy' ? reply.status === 200 : reply.status === 404;
    if (isGone) await this.#end([canonicalSessionId(id)]);
    // What is locked here stays locked while the source is away, and the client must hear that it does.
    if (action === 'renew' && reply.status >= 500) return this.#renewedHere(id) ?? reply;
    return reply;
  }

  /** The client locks with it at once, perhaps here. */
  async #created(reply: PassedReply): Promise<void> {
    if (!(reply.body instanceof Uint8Array)) return;
    const text = Buffer.from(reply.body).toString('utf8');
    const id = /"ID"\s*:\s*"([0-9a-fA-F-]{36})"/.exec(text)?.[1];
    if (id !== undefined) await this.adopt(id);
  }

  #renewedHere(id: string): PassedReply | undefined {
    const row = getSession(this.#context.gateway.view, id);
    if (row === undefined) return undefined;
    const { name, node, lockDelayNs, behavior, ttl } = sessionValue(row);
    return ownReply(
      json([
        {
          ...{ ID: row.key, Name: name, Node: node, LockDelay: lockDelayNs, Behavior: behavior, TTL: ttl },
          ...{ NodeChecks: [], ServiceChecks: null },
          ...{ CreateIndex: row.createIndex, ModifyIndex: row.modifyIndex },
        },
      ]),
    );
  }

  #isAtWork(): boolean {
    if (this.#stopped || !this.#context.runner.isHere) return false;
    return this.#mode === 'paired' || this.#twins().length > 0;
  }

  async #loop(): Promise<void> {
    let index = 0;
    while (this.#isAtWork()) {
      // oxlint-disable-next-line no-await-in-loop -- one list after the other, each from where the last one ended
      index = await this.#round(index).catch((error: unknown) => this.#troubled(String(error)));
      // oxlint-disable-next-line no-await-in-loop
      if (index === 0) await this.#pause();
    }
    if (this.#canary !== undefined) await this.#source.destroy(this.#canary);
    this.#canary = undefined;
    this.#looping = undefined;
  }

  /** Answers the index to go on from; 0: from the start, after a pause. */
  async #round(index: number): Promise<number> {
    if (this.#mode === 'paired') {
      this.#canary ??= await this.#source.create(canaryName);
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      const list = await this.#source.list(index, woken.signal);
      if (woken.signal.aborted) return 0;
      if (list.kind === 'untrusted') return this.#troubled(list.why);
      await this.#makeTwins(list.sessions);
      await this.#endMissing(list.sessions);
      this.#problem = undefined;
      this.#pairedAt = list.index;
      // An index that fell says nothing about what was missed: from the start.
      return list.index >= index ? list.index : 0;
    }
    if (this.#mode === 'here') return this.#letGo();
    // No lock is here any more.
    await this.#end(this.#twins().map(({ id }) => id));
    return 0;
  }

  /** Twins get clocks of their own: clients renew them here from now on. */
  async #letGo(): Promise<number> {
    const list = await this.#source.list(0);
    if (list.kind === 'untrusted') return this.#troubled(list.why);
    const listed = new Map(list.sessions.map((session) => [session.id, session]));
    await this.#endMissing(list.sessions);
    for (const twin of this.#twins()) {
      const session = listed.get(twin.id);
      // oxlint-disable-next-line no-await-in-loop -- few, once
      if (session !== undefined) await this.#put({ ...valueOf(session, twin.node), ttl: session.ttl });
    }
    this.#problem = undefined;
    return 0;
  }

  async #makeTwins(sessions: readonly SourceSession[]): Promise<void> {
    const { view, nodeName } = this.#context.gateway;
    await Promise.all(
      sessions
        .filter(({ id }) => id !== this.#canary && getSession(view, id) === undefined)
        .map((session) => this.#put({ ...valueOf(session, nodeName), paired: true })),
    );
  }

  /**
   * Ends the twins of sessions that are not in the list, where that proves something: our own session must be in it,
   * and a second look must agree.
   */
  async #endMissing(sessions: readonly SourceSession[]): Promise<void> {
    const listed = new Set(sessions.map(({ id }) => id));
    const missing = this.#twins().filter(({ id }) => !listed.has(id));
    if (missing.length === 0) return;
    if (this.#canary === undefined || !listed.has(this.#canary)) {
      this.#canary = undefined;
      this.#troubled('the list of sessions lacks our own: nothing is ended by it');
      return;
    }
    for (const { id } of missing) {
      // oxlint-disable-next-line no-await-in-loop -- few, and each is asked about by itself
      const look = await this.#source.info(id);
      // oxlint-disable-next-line no-await-in-loop
      if (look.kind === 'sessions' && look.sessions.length === 0) await this.#end([id]);
    }
  }

  #twins(): readonly SessionValue[] {
    return [...this.#context.gateway.view.range(Kind.session, '', undefined)]
      .filter((row) => row.value !== null)
      .map(sessionValue)
      .filter((session) => session.paired === true);
  }

  async #put(session: SessionValue): Promise<void> {
    const outcome = await this.#context.gateway.propose({ kind: 'session-create', session });
    if (outcome.kind === 'refused') this.#troubled(`no twin of session ${session.id}: ${outcome.message}`);
  }

  async #end(ids: readonly string[]): Promise<void> {
    const { gateway } = this.#context;
    for (const id of ids) {
      const row = getSession(gateway.view, id);
      if (row === undefined) continue;
      // oxlint-disable-next-line no-await-in-loop -- few
      const outcome = await gateway.propose({ kind: 'session-destroy', id });
      if (outcome.kind !== 'not-owned') continue;
      // The gateway that made the twin is gone: it is made once more, by this one, to be ended.
      // oxlint-disable-next-line no-await-in-loop
      await this.#put({ ...sessionValue(row), node: gateway.nodeName });
      // oxlint-disable-next-line no-await-in-loop
      await gateway.propose({ kind: 'session-destroy', id });
    }
  }

  #troubled(why: string): number {
    if (this.#problem !== why) this.#context.gateway.log.warn({ why }, 'sessions cannot be paired');
    this.#problem = why;
    return 0;
  }

  async #pause(): Promise<void> {
    if (this.#stopped) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await this.#context.gateway.clock.sleep(pauseMs, woken.signal);
    this.#wake = () => {};
  }
}

function valueOf(session: SourceSession, node: string): SessionValue {
  const { id, name, lockDelayNs, behavior } = session;
  // No checks, no clock: the source has them.
  return { id, name, node, lockDelayNs, behavior, ttl: '', nodeChecks: [], serviceChecks: null };
}
