import { Kind } from '../../../src/state/kinds.ts';
import { sourceIndexOf } from '../../../src/state/lent.ts';
import { topic } from '../../../src/state/topics.ts';
import { readGrants, Zones } from '../../../src/state/zones.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Phases } from '../ports.ts';

/** Indexes that clients name, as the source knows them. */
export class CasIndexes {
  readonly #gateway: GatewayPort;
  readonly #phases: Phases;
  #zones: Zones | undefined;

  constructor(gateway: GatewayPort, phases: Phases) {
    this.#gateway = gateway;
    this.#phases = phases;
  }

  /** Answers how to stop. */
  start(): () => void {
    return this.#gateway.onCommit((touched) => {
      if (touched.has(topic.zones)) this.#zones = undefined;
    });
  }

  /** The source's ModifyIndex where this gateway showed `index` for the key; any other index as it is. */
  at(key: string, index: bigint): bigint {
    const row = this.#gateway.view.get(Kind.kv, key);
    if (row === undefined || row.value === null || BigInt(row.modifyIndex) !== index) return index;
    // Of a history that was replaced since it says nothing.
    if (row.timeline < (this.#phases.source?.timeline ?? 0)) return index;
    this.#zones ??= new Zones(readGrants(this.#gateway.view));
    const known = sourceIndexOf(this.#zones, row);
    return known === undefined ? index : BigInt(known);
  }
}
