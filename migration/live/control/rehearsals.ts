import { z } from 'zod';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { GatewayPort } from '../gateway-port.ts';
import { Newest } from './newest.ts';

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

/** What the fleet rehearsed last: kept by every gateway that was told, or has asked one that was. */
export class Rehearsals {
  readonly #gateway: GatewayPort;
  readonly #newest: Newest<Rehearsal>;

  constructor(gateway: GatewayPort) {
    this.#gateway = gateway;
    this.#newest = new Newest(gateway, { key: 'last', topic: 'rehearsed', form: rehearsalForm });
  }

  last(): Rehearsal | undefined {
    return this.#newest.last();
  }

  async keep(rehearsal: Omit<Rehearsal, 'by'>): Promise<void> {
    const { atMs, ok, term, text } = rehearsal;
    await this.#newest.keep({ atMs, ok, term, text: text.slice(0, 4096), by: this.#gateway.nodeName });
  }

  start(): void {
    this.#newest.start();
  }

  stop(): void {
    this.#newest.stop();
  }
}
