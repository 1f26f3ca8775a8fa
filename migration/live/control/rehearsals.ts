import { z } from 'zod';
import { decode, encode } from '../../../src/kernel/codec.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { GatewayPort } from '../gateway-port.ts';

/** Keys that rehearsals walk with. */
export const rehearsalPrefix = '_gw/rehearsal/';

/** A rule that is there while somebody rehearses, and after a rehearsal that failed half-way. */
export function isOfRehearsals({ of, prefix }: Pick<PhaseRule, 'of' | 'prefix'>): boolean {
  return of === 'kv' && prefix === rehearsalPrefix;
}

const rehearsalForm = z.object({
  /** Wall clock of its end, milliseconds. */
  atMs: z.number(),
  ok: z.boolean(),
  /** The term that its cutover raised. */
  term: z.number(),
  /** What was done, or what went wrong. */
  text: z.string().max(4096),
  /** The gateway that rehearsed; left out by older versions. */
  by: z.string().max(256).optional(),
});

/** A rehearsal of a cutover and of the way back, as it went. */
export type Rehearsal = z.infer<typeof rehearsalForm>;

const key = 'last';
const topic = 'rehearsed';
const waitMs = 3000;

/** What the fleet rehearsed last: kept by every gateway that was told, or has asked one that was. */
export class Rehearsals {
  readonly #gateway: GatewayPort;
  #stop: (() => void) | undefined;

  constructor(gateway: GatewayPort) {
    this.#gateway = gateway;
    gateway.serve(topic, async (body) => {
      const told = rehearsalForm.safeParse(body);
      if (told.success) await this.#take(told.data);
      return this.last() ?? null;
    });
  }

  last(): Rehearsal | undefined {
    const value = this.#gateway.view.get(Kind.rehearsal, key)?.value;
    return value === null || value === undefined ? undefined : (decode(value) as Rehearsal);
  }

  async keep(rehearsal: Omit<Rehearsal, 'by'>): Promise<void> {
    const { atMs, ok, term, text } = rehearsal;
    await this.#take({ atMs, ok, term, text: text.slice(0, 4096), by: this.#gateway.nodeName });
    await this.#exchange();
  }

  /** Asks those that come: one that was away while the fleet rehearsed hears of it. */
  start(): void {
    const asked = new Set<string>();
    const look = (): void => {
      const alive = this.#gateway.gateways().filter((member) => member.alive);
      const names = new Set(alive.map(({ nodeId }) => nodeId));
      for (const id of asked) if (!names.has(id)) asked.delete(id);
      if (alive.every(({ nodeId }) => asked.has(nodeId))) return;
      for (const { nodeId } of alive) asked.add(nodeId);
      void this.#exchange();
    };
    this.#stop = this.#gateway.onGatewaysChanged(look);
    look();
  }

  stop(): void {
    this.#stop?.();
  }

  /** Tells all others what is known here, and takes what they know better. */
  async #exchange(): Promise<void> {
    const gateway = this.#gateway;
    const others = gateway.gateways().filter(({ alive, nodeId }) => alive && nodeId !== gateway.nodeId);
    await Promise.all(
      others.map(async ({ nodeName }) => {
        const told = await gateway.call(nodeName, topic, this.last() ?? null, waitMs).catch(() => undefined);
        const known = rehearsalForm.safeParse(told);
        if (known.success) await this.#take(known.data).catch(() => undefined);
      }),
    );
  }

  async #take(rehearsal: Rehearsal): Promise<void> {
    if (rehearsal.atMs <= (this.last()?.atMs ?? -Infinity)) return;
    const puts = [{ kind: Kind.rehearsal, key, value: encode(rehearsal) }];
    await this.#gateway.propose({ kind: 'local', puts, deletes: [], catalog: [] });
  }
}
