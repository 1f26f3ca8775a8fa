import { createHash, randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject } from '../../../compat/wire/go-json.ts';
import { failure, type Reply } from '../../../compat/wire/http.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Phases } from '../ports.ts';
import { unreachable } from '../proxy/replies.ts';
import type { SourceClient } from '../proxy/source-client.ts';
import { isDenied, readTxnAnswer, txnBody, txnBytesMax, type FenceCheck, type SetOp } from './consul-txn.ts';
import { fenceKey, ownKeys, type Fences } from './fence.ts';
import { SharedTxns } from './shared-txns.ts';
import type { Fenced, Plan, TxnOfMany } from './write-plans.ts';

export interface FencedTxnOptions {
  readonly gateway: GatewayPort;
  readonly phases: Phases;
  readonly source: SourceClient;
  readonly fences: Fences;
}

/** How long it is remembered that a token may not use our keys at the source. */
const tokenMs = 60_000;
const tokensMax = 10_000;
const fenceAttempts = 3;

/** Writes at the source as transactions that a gateway which missed a step cannot make. */
export class FencedTxn {
  readonly #options: FencedTxnOptions;
  readonly #withoutRights = new Map<string, number>();
  readonly #countStale: (by?: number) => void;
  readonly #shared: SharedTxns;

  constructor(options: FencedTxnOptions) {
    this.#options = options;
    this.#shared = new SharedTxns(options.gateway.clock, (txn) => this.#ask(txn));
    this.#countStale = options.gateway.metrics.counter('dual.stale');
  }

  ask(plan: Plan): Promise<Fenced> {
    return this.#shared.join(plan);
  }

  async #ask(plan: TxnOfMany): Promise<Fenced> {
    const { source, fences, gateway } = this.#options;
    const { ops, request, rules } = plan;
    if (ops === undefined || this.#lacksRights(request.token)) return { kind: 'plain' };
    for (let attempt = 0; attempt < fenceAttempts; attempt += 1) {
      const checks: FenceCheck[] = [];
      for (const rule of rules) {
        const known = fences.check(rule);
        const fence = known instanceof Promise ? await known : known;
        if (fence.kind === 'stale') return { kind: 'refused', reply: this.stale(rule, fence.term) };
        if (fence.kind === 'trouble') {
          // Not sent: nothing was written. Without rights of our own there is no fence to be had; a lease needs less.
          if (fence.denied) return { kind: 'plain' };
          return { kind: 'refused', reply: unreachable(fence.why) };
        }
        checks.push(fence.check);
      }
      const restored = this.#restored(plan);
      const behind: SetOp[] = [
        ...restored.map(({ key, term }) => ({ key, value: String(term) })),
        ...(plan.deletes ? [{ key: `${ownKeys}mark/${gateway.nodeName}`, value: randomUUID() }] : []),
      ];
      const body = txnBody(checks, ops, behind);
      if (body.length > txnBytesMax) return { kind: 'plain' };
      const answer = await source.ask({ method: 'PUT', path: '/v1/txn', token: request.token, body });
      if (answer.kind !== 'answer') {
        const reply = unreachable(answer.why);
        return { kind: answer.kind === 'unsent' ? 'refused' : 'unknown', reply };
      }
      const text = answer.body.toString();
      if (answer.status === 429) return { kind: 'refused', reply: failure(429, text) };
      if (answer.status >= 500) return { kind: 'unknown', reply: failure(answer.status, text) };
      const said = readTxnAnswer(answer.status, text);
      if (said.kind === 'other') {
        if (answer.status === 200)
          return { kind: 'unknown', reply: unreachable('its answer makes no sense') };
        if (answer.status === 403 || isDenied(text)) this.#noteRights(request.token);
        return { kind: 'plain' };
      }
      if (said.kind === 'done') {
        const results = said.results.slice(checks.length, said.results.length - behind.length);
        const restoredResults = said.results.slice(said.results.length - behind.length);
        for (const [at, { prefix, term }] of restored.entries()) {
          const index = modifyIndexOf(restoredResults[at]);
          if (index === undefined) fences.forget(prefix);
          else fences.learn({ prefix, term }, index);
        }
        const markIndex = plan.deletes ? modifyIndexOf(said.results.at(-1)) : 0;
        if (markIndex === undefined)
          return { kind: 'unknown', reply: unreachable('its answer lacks an index') };
        return { kind: 'done', results, markIndex };
      }
      const ours = said.errors.filter(
        ({ opIndex }) => opIndex < checks.length || opIndex >= checks.length + ops.length,
      );
      if (ours.length === 0) {
        return {
          kind: 'failed',
          errors: said.errors.map(({ opIndex, what }) => ({ opIndex: opIndex - checks.length, what })),
        };
      }
      if (ours.some(({ what }) => isDenied(what))) {
        this.#noteRights(request.token);
        return { kind: 'plain' };
      }
      for (const rule of rules) fences.forget(rule.prefix);
    }
    return { kind: 'refused', reply: unreachable('the fences of its keys change all the time') };
  }

  /** A tree deletion that takes fences with it sets them again, in the same transaction. */
  #restored({
    trees,
  }: TxnOfMany): readonly { readonly prefix: string; readonly term: number; readonly key: string }[] {
    if (trees.length === 0) return [];
    return this.#options.phases.rules
      .filter(({ of, prefix }) => of === 'kv' && trees.some((tree) => fenceKey(prefix).startsWith(tree)))
      .map(({ prefix, term }) => ({ prefix, term, key: fenceKey(prefix) }));
  }

  /** Tells the client, and the log, that this gateway has not heard of a step. */
  stale(rule: PhaseRule, term: number): Reply {
    this.#countStale();
    this.#options.gateway.log.warn(
      { prefix: rule.prefix, term: rule.term, sourceTerm: term },
      'the migration moved on, and this gateway has not heard of it: it refuses writes',
    );
    const text =
      `rpc error making call: the migration of ${JSON.stringify(rule.prefix)} moved on (term ${term}), which this ` +
      `gateway has not heard of yet (term ${rule.term}): try again`;
    return failure(500, text);
  }

  #lacksRights(token: string): boolean {
    const untilMs = this.#withoutRights.get(hashOf(token));
    return untilMs !== undefined && untilMs > this.#options.gateway.monoMs();
  }

  #noteRights(token: string): void {
    if (this.#withoutRights.size >= tokensMax) this.#withoutRights.clear();
    this.#withoutRights.set(hashOf(token), this.#options.gateway.monoMs() + tokenMs);
  }
}

function hashOf(token: string): string {
  return token === '' ? '' : createHash('sha256').update(token).digest('base64');
}

function modifyIndexOf(result: JsonObject | undefined): number | undefined {
  const kv = result?.['KV'];
  const index = isJsonObject(kv) ? kv['ModifyIndex'] : undefined;
  return typeof index === 'number' ? index : undefined;
}
