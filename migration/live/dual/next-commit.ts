import type { GatewayPort } from '../gateway-port.ts';

/**
 * Nobody waits for what rides here: it is proposed along with the next write's intent, so that both are one commit, or
 * after this long. Milliseconds; longer than a client takes to send its next write over a kept connection. Guess.
 */
const waitMsMax = 2;

/** What joins a commit that comes anyway, if one comes soon. */
export class NextCommit {
  readonly #clock: GatewayPort['clock'];
  readonly #riders: (() => void)[] = [];

  constructor({ clock }: GatewayPort) {
    this.#clock = clock;
  }

  /** Resolves when it is time to propose. */
  soon(): Promise<void> {
    if (this.#riders.length === 0) void this.#clock.sleep(waitMsMax).then(() => this.go());
    return new Promise((resolve) => this.#riders.push(resolve));
  }

  /** It is time for all that wait. */
  go(): void {
    for (const resolve of this.#riders.splice(0)) resolve();
  }
}
