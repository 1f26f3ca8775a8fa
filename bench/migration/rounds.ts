import type { Server } from '../wan/orders.ts';
import { type Answered, WireClient } from '../wan/wire-client.ts';

/** What so many clients were answered in one round: times in milliseconds. */
export interface Round {
  readonly tookMs: readonly number[];
  readonly perSecond: number;
}

/** Clients of one server, each asking again as soon as it was answered. */
export class Clients {
  readonly #wires: readonly WireClient[];
  #count = 0;

  private constructor(wires: readonly WireClient[]) {
    this.#wires = wires;
  }

  static async open(server: Server, count: number): Promise<Clients> {
    return new Clients(await Promise.all(Array.from({ length: count }, () => WireClient.open(server))));
  }

  async round(ms: number, ask: (wire: WireClient, n: number) => Promise<Answered>): Promise<Round> {
    const tookMs: number[] = [];
    const startedMs = performance.now();
    await Promise.all(
      this.#wires.map(async (wire) => {
        for (let now = performance.now(); now - startedMs < ms;) {
          const answer = await ask(wire, this.#count++);
          const thenMs = performance.now();
          if (answer.status !== 200) throw new Error(`answered ${answer.status} ${answer.body}`);
          tookMs.push(thenMs - now);
          now = thenMs;
        }
      }),
    );
    return { tookMs, perSecond: (tookMs.length / (performance.now() - startedMs)) * 1000 };
  }

  close(): void {
    for (const wire of this.#wires) wire.close();
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}
