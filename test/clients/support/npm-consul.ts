import { once } from 'node:events';
import { afterAll } from '@jest/globals';
import Consul from 'consul';
import type { ServerUnderTest } from './servers.ts';

/** The npm client, connected on first use and disconnected at the end of the enclosing describe. */
export function npmConsul(server: ServerUnderTest): () => Consul {
  let client: Consul | undefined;
  afterAll(() => client?.destroy());
  return () => (client ??= new Consul({ host: '127.0.0.1', port: server.agent.httpPort }));
}

/** What a watch told, in order. */
export class Watched {
  readonly changes: unknown[] = [];
  readonly errors: { readonly status: unknown; readonly message: string }[] = [];
  readonly #watch: ReturnType<Consul['watch']>;
  readonly #show: (data: unknown) => unknown;

  /** `show` picks of each change what the test is about. */
  constructor(
    client: Consul,
    method: (options: never) => Promise<unknown>,
    options: Record<string, unknown>,
    show: (data: unknown) => unknown,
  ) {
    this.#show = show;
    this.#watch = client.watch({
      method,
      // The types know strings only, the client takes what the method takes.
      options: options as Record<string, string>,
      backoffFactor: 10,
    });
    this.#watch.on('change', (data: unknown) => this.changes.push(this.#show(data)));
    this.#watch.on('error', (error: Error & { statusCode?: unknown }) =>
      this.errors.push({ status: error.statusCode, message: error.message }),
    );
  }

  /** Waits until so many changes were told in all. */
  async until(changes: number): Promise<void> {
    const late = AbortSignal.timeout(20_000);
    while (this.changes.length < changes) await once(this.#watch, 'change', { signal: late });
  }

  async ended(): Promise<void> {
    if (!this.#watch.isRunning()) return;
    // A watch that ends by an error tells both, and `once` would take the error for its own.
    await new Promise<void>((resolve) => this.#watch.on('end', resolve));
  }

  end(): void {
    this.#watch.end();
  }
}
