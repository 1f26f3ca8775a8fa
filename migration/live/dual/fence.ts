import type { SourceAsker } from '../proxy/source-client.ts';
import { entryOf, readTxnAnswer, txnBody, type FenceCheck } from './consul-txn.ts';
import { readKey } from './read-key.ts';
import type { SourceServers } from './source-servers.ts';

/** Where keys are that dual writes use for themselves, at the source: never mirrored, and not the clients'. */
export const ownKeys = '_gw/';

/** Whether a key is ours; a rehearsal's are keys like any others. */
export function isOwnKey(key: string): boolean {
  return key.startsWith(ownKeys) && !key.startsWith(`${ownKeys}rehearsal/`);
}

export interface FenceOf {
  readonly prefix: string;
  readonly term: number;
}

/**
 * - `stale`: the source knows of a later term: this gateway has not heard of a step;
 * - `trouble`: it could not be asked, or does not let us.
 */
export type FenceOutcome =
  | { readonly kind: 'check'; readonly check: FenceCheck }
  | { readonly kind: 'stale'; readonly term: number }
  | { readonly kind: 'trouble'; readonly why: string; readonly denied: boolean };

export function fenceKey(prefix: string): string {
  return `${ownKeys}term/${prefix}`;
}

/**
 * The terms of rules as keys at the source: a write checks that its key still has the index that goes with the writer's
 * term, so gateways that missed a step are refused by the source itself.
 */
export class Fences {
  readonly #source: SourceAsker;
  readonly #token: () => string;
  readonly #servers: SourceServers | undefined;
  readonly #held = new Map<string, { readonly term: number; readonly index: number }>();
  /** The newest index that each fence ever had. */
  readonly #newest = new Map<string, number>();
  readonly #asked = new Map<string, Promise<FenceOutcome>>();

  /** `servers`: where given, a fence that is gone or older than it was is not set again in another cluster. */
  constructor(source: SourceAsker, token: () => string, servers?: SourceServers) {
    this.#source = source;
    this.#token = token;
    this.#servers = servers;
  }

  /** What is known of the fence of a rule; undefined: it must be asked for. */
  indexOf({ prefix, term }: FenceOf): number | undefined {
    const held = this.#held.get(prefix);
    return held?.term === term ? held.index : undefined;
  }

  /** The check of a rule's term, which is set at the source where there is none, or an earlier one. */
  check(of: FenceOf): Promise<FenceOutcome> | FenceOutcome {
    const index = this.indexOf(of);
    if (index !== undefined) return { kind: 'check', check: { key: fenceKey(of.prefix), index } };
    const name = `${of.term} ${of.prefix}`;
    const asked = this.#asked.get(name) ?? this.#establish(of).finally(() => this.#asked.delete(name));
    this.#asked.set(name, asked);
    return asked;
  }

  /** As `check`, and what is at the source is read in any case. */
  set(of: FenceOf): Promise<FenceOutcome> {
    this.forget(of.prefix);
    return Promise.resolve(this.check(of));
  }

  /** It failed: what is known of it is out of date. */
  forget(prefix: string): void {
    this.#held.delete(prefix);
  }

  learn(of: FenceOf, index: number): void {
    this.#held.set(of.prefix, { term: of.term, index });
    this.#newest.set(of.prefix, index);
  }

  async #establish(of: FenceOf): Promise<FenceOutcome> {
    const key = fenceKey(of.prefix);
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const reading = await readKey(this.#source, this.#token(), key);
      if (reading.kind === 'trouble') {
        return { kind: 'trouble', why: reading.why, denied: reading.why.startsWith('403') };
      }
      let held = 0;
      const there = reading.kind === 'entry' ? reading.entry.modifyIndex : 0;
      if (there < (this.#newest.get(of.prefix) ?? Infinity)) {
        const why = await this.#servers?.another();
        if (why !== undefined) return { kind: 'trouble', why, denied: false };
      }
      if (reading.kind === 'entry') {
        const term = Number(Buffer.from(reading.entry.value).toString());
        if (term > of.term) return { kind: 'stale', term };
        held = reading.entry.modifyIndex;
        if (term === of.term) return this.#known(of, held);
      }
      const value = Buffer.from(String(of.term)).toString('base64');
      const op = { KV: { Verb: 'cas', Key: key, Value: value, Index: held } };
      const answer = await this.#source.ask({
        ...{ method: 'PUT', path: '/v1/txn', token: this.#token() },
        body: txnBody([], [JSON.stringify(op)], []),
      });
      if (answer.kind !== 'answer') return { kind: 'trouble', why: answer.why, denied: false };
      const text = answer.body.toString();
      const said = readTxnAnswer(answer.status, text);
      const written = said.kind === 'done' ? entryOf(said.results[0], noValue) : undefined;
      if (written !== undefined) return this.#known(of, written.modifyIndex);
      if (said.kind === 'other' || text.includes('Permission denied')) {
        const denied = answer.status === 403 || text.includes('Permission denied');
        return { kind: 'trouble', why: `${answer.status} ${text.slice(0, 200)}`, denied };
      }
    }
    return { kind: 'trouble', why: `${key} changes all the time`, denied: false };
  }

  #known(of: FenceOf, index: number): FenceOutcome {
    this.learn(of, index);
    return { kind: 'check', check: { key: fenceKey(of.prefix), index } };
  }
}

const attemptsMax = 5;
const noValue = new Uint8Array();
