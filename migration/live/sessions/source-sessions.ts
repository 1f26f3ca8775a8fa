import { z } from 'zod';
import type { SessionValue } from '../../../src/state/values.ts';
import { canonicalSessionId, sessionIdProblem } from '../../../src/state/session-id.ts';
import type { SourceClient } from '../proxy/source-client.ts';

/** A session as the source shows it. Consul 1.8 and later have the same fields. */
const sessionForm = z.object({
  ID: z.string().refine((id) => sessionIdProblem(id) === undefined, 'not the id of a session'),
  Name: z
    .string()
    .max(64 * 1024)
    .default(''),
  LockDelay: z.number().nonnegative().default(0),
  Behavior: z.enum(['release', 'delete']).default('release'),
  TTL: z.string().max(64).default(''),
});

const listForm = z.array(sessionForm).max(1_000_000);

export interface SourceSession {
  readonly id: string;
  readonly name: string;
  /** Nanoseconds. */
  readonly lockDelayNs: number;
  readonly behavior: SessionValue['behavior'];
  readonly ttl: string;
}

export type SessionList =
  | { readonly kind: 'sessions'; readonly sessions: readonly SourceSession[]; readonly index: number }
  /** Nothing can be said of what is not in it. */
  | { readonly kind: 'untrusted'; readonly why: string };

const waitMs = 20_000;

/** What a migration asks of the sessions of its source, with its own token. */
export class SourceSessions {
  readonly #client: SourceClient;
  readonly #token: string;

  constructor(client: SourceClient, token: string) {
    this.#client = client;
    this.#token = token;
  }

  /** All of them; with an index above 0 once the set changed, or after a while. */
  list(index: number, signal?: AbortSignal): Promise<SessionList> {
    const blocks = index > 0 ? `&index=${index}&wait=${waitMs / 1000}s` : '';
    return this.#read(`/v1/session/list?consistent${blocks}`, index > 0 ? waitMs : undefined, signal);
  }

  /** At most one. */
  info(id: string): Promise<SessionList> {
    return this.#read(`/v1/session/info/${id}?consistent`);
  }

  /** Answers its id, or undefined where the source refuses. */
  async create(name: string): Promise<string | undefined> {
    const body = JSON.stringify({ Name: name, LockDelay: '0s', Checks: [], NodeChecks: [] });
    const answer = await this.#client.ask({
      method: 'PUT',
      path: '/v1/session/create',
      token: this.#token,
      body,
    });
    if (answer.kind !== 'answer' || answer.status !== 200) return undefined;
    const parsed = z.object({ ID: sessionForm.shape.ID }).safeParse(jsonOf(answer.body));
    return parsed.success ? canonicalSessionId(parsed.data.ID) : undefined;
  }

  async destroy(id: string): Promise<boolean> {
    const answer = await this.#client.ask({
      method: 'PUT',
      path: `/v1/session/destroy/${id}`,
      token: this.#token,
    });
    return answer.kind === 'answer' && answer.status === 200;
  }

  async #read(path: string, blocksMs?: number, signal?: AbortSignal): Promise<SessionList> {
    const answer = await this.#client.ask({
      ...{ method: 'GET', path, token: this.#token },
      ...(blocksMs === undefined ? {} : { blocksMs }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.kind !== 'answer') return untrusted(`no answer (${answer.why})`);
    if (answer.status !== 200) return untrusted(`status ${answer.status}`);
    const index = Number(answer.header('x-consul-index') ?? Number.NaN);
    if (!(index > 0)) return untrusted('an answer without an index');
    if (answer.header('x-consul-knownleader') === 'false') return untrusted('no leader is known');
    if (answer.header('x-consul-results-filtered-by-acls') === 'true') {
      return untrusted('the token may not see all sessions: give it session_prefix "" { policy = "read" }');
    }
    const parsed = listForm.safeParse(jsonOf(answer.body));
    if (!parsed.success) return untrusted('an answer that is no list of sessions');
    const sessions = parsed.data.map(({ ID, Name, LockDelay, Behavior, TTL }) => ({
      ...{ id: canonicalSessionId(ID), name: Name, lockDelayNs: LockDelay, behavior: Behavior, ttl: TTL },
    }));
    return { kind: 'sessions', sessions, index };
  }
}

function untrusted(why: string): SessionList {
  return { kind: 'untrusted', why };
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}
