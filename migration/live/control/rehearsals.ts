import { decode, encode } from '../../../src/kernel/codec.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { GatewayPort } from '../gateway-port.ts';

/** A rehearsal of a cutover and of the way back, as it went. */
export interface Rehearsal {
  /** Wall clock of its end, milliseconds. */
  readonly atMs: number;
  readonly ok: boolean;
  /** The term that its cutover raised. */
  readonly term: number;
  /** What was done, or what went wrong. */
  readonly text: string;
}

const key = 'last';

/** What this gateway rehearsed last. */
export class Rehearsals {
  readonly #gateway: Pick<GatewayPort, 'view' | 'propose'>;

  constructor(gateway: Pick<GatewayPort, 'view' | 'propose'>) {
    this.#gateway = gateway;
  }

  last(): Rehearsal | undefined {
    const value = this.#gateway.view.get(Kind.rehearsal, key)?.value;
    return value === null || value === undefined ? undefined : (decode(value) as Rehearsal);
  }

  async keep(rehearsal: Rehearsal): Promise<void> {
    const puts = [{ kind: Kind.rehearsal, key, value: encode(rehearsal) }];
    await this.#gateway.propose({ kind: 'local', puts, deletes: [], catalog: [] });
  }
}
