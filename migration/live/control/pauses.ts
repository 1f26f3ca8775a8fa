import { z } from 'zod';
import type { GatewayPort } from '../gateway-port.ts';
import type { TailControl } from '../ports.ts';
import { Newest } from './newest.ts';

const form = z.object({
  atMs: z.number(),
  /** Why nothing is copied; null: copying goes on. */
  reason: z.string().max(4096).nullable(),
});

/** Whether copying is paused: known to every gateway, since any of them may be the next one to copy. */
export class Pauses {
  readonly #gateway: GatewayPort;
  readonly #tail: Pick<TailControl, 'pause' | 'resume'> | undefined;
  readonly #newest: Newest<z.infer<typeof form>>;

  constructor(gateway: GatewayPort, tail: Pick<TailControl, 'pause' | 'resume'> | undefined) {
    this.#gateway = gateway;
    this.#tail = tail;
    this.#newest = new Newest(gateway, {
      ...{ key: 'pause', topic: 'paused', form },
      onNew: ({ reason }) => this.#act(reason),
    });
  }

  /** Answers the names of living gateways that could not be told. */
  set(reason: string | null): Promise<readonly string[]> {
    // Also where another clock is ahead: this one knows of what it ends.
    const atMs = Math.max(this.#gateway.clock.now(), (this.#newest.last()?.atMs ?? 0) + 1);
    return this.#newest.keep({ atMs, reason });
  }

  start(): void {
    const held = this.#newest.last()?.reason ?? null;
    if (held !== null) this.#act(held);
    this.#newest.start();
  }

  stop(): void {
    this.#newest.stop();
  }

  #act(reason: string | null): void {
    if (reason === null) this.#tail?.resume();
    else this.#tail?.pause(reason);
  }
}
