import { z } from 'zod';
import type { Evidence, ScopeKey } from '../../evidence/evidence.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { HeldVersions } from './held-versions.ts';
import { shadowLimits } from './limits.ts';

const askedForm = z.object({
  keys: z
    .array(z.object({ key: z.string().max(64 * 1024), version: z.number().nonnegative() }))
    .max(shadowLimits.watchedMax),
});

const toldForm = z.object({
  keys: z
    .array(z.object({ here: z.boolean(), sinceMs: z.number().nonnegative().nullable() }))
    .max(shadowLimits.watchedMax),
});

const topic = 'peek';
const waitMs = 2_000;
/** When the others are asked, after the acknowledgement: what came in between they know themselves. */
const askAfterMs = [250, 1_000, 5_000, 20_000, 60_000] as const;

interface Watched {
  readonly at: ScopeKey;
  readonly key: string;
  readonly version: number;
  readonly ackMs: number;
  round: number;
  /** Gateways that did not have it when they were asked last, with how long after the acknowledgement that was. */
  readonly missing: Map<string, number>;
}

/**
 * How long until acknowledged writes can be read on the other gateways. They note themselves when a version came to
 * them, by their own clocks, and are asked how long ago that was: all that passes between machines is durations, so it
 * does not matter what their clocks show. The answer was made somewhere between asking (s) and hearing (r), both by the
 * clock here; so what came `a` before it came between s − a and r − a, and the round trip bounds the error.
 */
export class Visibility {
  readonly #gateway: GatewayPort;
  readonly #evidence: () => Evidence;
  readonly #watched = new Set<Watched>();
  #asking: Promise<void> | undefined;

  constructor(gateway: GatewayPort, evidence: () => Evidence, held: HeldVersions) {
    this.#gateway = gateway;
    this.#evidence = evidence;
    gateway.serve(topic, (body) => {
      const { keys } = askedForm.parse(body);
      return Promise.resolve({ keys: keys.map(({ key, version }) => held.since(key, version)) });
    });
  }

  get watched(): number {
    return this.#watched.size;
  }

  /** False: too many are watched already. */
  watch(at: ScopeKey, key: string, version: number, ackMs: number): boolean {
    if (this.#watched.size >= shadowLimits.watchedMax) return false;
    const missing = new Map(this.#others().map(({ nodeName }) => [nodeName, 0]));
    if (missing.size > 0) this.#watched.add({ at, key, version, ackMs, round: 0, missing });
    return true;
  }

  /** Called a few times a second. */
  tick(): void {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
  }

  async settled(): Promise<void> {
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const nowMs = this.#gateway.monoMs();
    const due = [...this.#watched].filter(({ ackMs, round }) => nowMs - ackMs >= (askAfterMs[round] ?? 0));
    if (due.length === 0) return;
    await Promise.all(
      this.#others().map(({ nodeName, region }) =>
        this.#askOne(
          nodeName,
          region,
          due.filter(({ missing }) => missing.has(nodeName)),
        ),
      ),
    );
    for (const watched of due) {
      watched.round += 1;
      if (watched.round < askAfterMs.length && watched.missing.size > 0) continue;
      this.#watched.delete(watched);
      // Asked to the end, and not there: stale for as long as was looked. Of who never answered nothing is known.
      for (const [nodeName, lowMs] of watched.missing) {
        if (lowMs > 0) this.#seen(watched.at, this.#regionOf(nodeName), lowMs, Infinity);
      }
    }
  }

  async #askOne(nodeName: string, region: string, watched: readonly Watched[]): Promise<void> {
    if (watched.length === 0) return;
    const { monoMs } = this.#gateway;
    const body = { keys: watched.map(({ key, version }) => ({ key, version })) };
    const askedMs = monoMs();
    let told: z.infer<typeof toldForm>;
    try {
      told = toldForm.parse(await this.#gateway.call(nodeName, topic, body, waitMs));
    } catch {
      return;
    }
    const heardMs = monoMs();
    for (const [at, each] of watched.entries()) {
      const answer = told.keys[at];
      if (answer === undefined) return;
      const before = each.missing.get(nodeName) ?? 0;
      if (!answer.here) {
        each.missing.set(nodeName, Math.max(before, askedMs - each.ackMs));
        continue;
      }
      each.missing.delete(nodeName);
      const agoMs = answer.sinceMs;
      const lowMs = agoMs === null ? before : Math.max(before, askedMs - agoMs - each.ackMs);
      const highMs = heardMs - (agoMs ?? 0) - each.ackMs;
      this.#seen(each.at, region, Math.max(0, lowMs), Math.max(0, lowMs, highMs));
    }
  }

  #seen(at: ScopeKey, region: string | undefined, lowMs: number, highMs: number): void {
    this.#evidence().visible(at, 'all', lowMs, highMs);
    if (region === this.#ownRegion()) this.#evidence().visible(at, 'zone', lowMs, highMs);
  }

  #others(): readonly { readonly nodeName: string; readonly region: string }[] {
    const { nodeId } = this.#gateway;
    return this.#gateway.gateways().filter((member) => member.alive && member.nodeId !== nodeId);
  }

  #ownRegion(): string | undefined {
    return this.#gateway.gateways().find(({ nodeId }) => nodeId === this.#gateway.nodeId)?.region;
  }

  #regionOf(name: string): string | undefined {
    return this.#gateway.gateways().find(({ nodeName }) => nodeName === name)?.region;
  }
}
