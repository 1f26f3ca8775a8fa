import type { Instant } from '../kernel/instant.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { Call, CallReply, CallService, RpcMessage } from './rpc-messages.ts';

export type CallResult =
  | { readonly ok: true; readonly body: Uint8Array }
  | { readonly ok: false; readonly error: string };

export interface CallsOptions {
  readonly nodeId: string;
  readonly send: (to: Endpoint, message: RpcMessage) => void;
  readonly result: (token: number, result: CallResult) => void;
}

/** Calls under way at most: one more is refused. */
const openMax = 10_000;

/** Questions that the process around another gateway's machine answers: keyrings, events, requests passed on. */
export class Calls {
  readonly #options: CallsOptions;
  readonly #open = new Map<number, { readonly token: number; readonly dueMs: number }>();
  #nextId = 1;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  get nextTickMs(): number {
    let next = Infinity;
    for (const { dueMs } of this.#open.values()) next = Math.min(next, dueMs);
    return next;
  }

  call(
    token: number,
    to: Endpoint,
    service: CallService,
    body: Uint8Array,
    waitMs: number,
    now: Instant,
  ): void {
    const { result, send, nodeId } = this.#options;
    if (this.#open.size >= openMax)
      return result(token, { ok: false, error: 'too many calls are under way' });
    const id = this.#nextId++;
    this.#open.set(id, { token, dueMs: now.monoMs + waitMs });
    return send(to, { kind: 'call', id, from: nodeId, service, body });
  }

  /** The answer to a call of another gateway. */
  reply(to: Endpoint, call: Pick<Call, 'id'>, answer: CallResult): void {
    const body = answer.ok ? answer.body : new Uint8Array();
    this.#options.send(to, { kind: 'call-reply', id: call.id, error: answer.ok ? null : answer.error, body });
  }

  settle({ id, error, body }: CallReply): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    this.#options.result(open.token, error === null ? { ok: true, body } : { ok: false, error });
  }

  tick(now: Instant): void {
    for (const [id, { token, dueMs }] of this.#open) {
      if (now.monoMs < dueMs) continue;
      this.#open.delete(id);
      this.#options.result(token, { ok: false, error: 'no answer in time' });
    }
  }
}
