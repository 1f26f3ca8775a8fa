import type { GatewayMember } from '../gateway-port.ts';
import type { Runner } from '../ports.ts';

/**
 * The one live gateway that tails the source: the owner of the root zone if it lives and has a source, else the first
 * by name that has. Chosen without agreement: two at once do no harm, they only cost.
 */
export function chooseRunner(
  gateways: readonly GatewayMember[],
  hasSource: (nodeId: string) => boolean,
  rootOwner: string | undefined,
): GatewayMember | undefined {
  const able = gateways.filter(({ alive, nodeId }) => alive && hasSource(nodeId));
  const owner = able.find(({ nodeId }) => nodeId === rootOwner);
  return owner ?? able.toSorted((a, b) => (a.nodeName < b.nodeName ? -1 : 1))[0];
}

/** Who runs, as it stands; tells those who listen when it changes. */
export class RunnerChoice implements Runner {
  readonly #ownId: string;
  readonly #choose: () => GatewayMember | undefined;
  readonly #listeners = new Set<() => void>();
  #chosen: GatewayMember | undefined;

  constructor(ownId: string, choose: () => GatewayMember | undefined) {
    this.#ownId = ownId;
    this.#choose = choose;
  }

  get isHere(): boolean {
    return this.#chosen?.nodeId === this.#ownId;
  }

  get nodeName(): string | undefined {
    return this.#chosen?.nodeName;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called when something changed that the choice depends on. */
  look(): void {
    const before = this.#chosen?.nodeId;
    this.#chosen = this.#choose();
    if (this.#chosen?.nodeId === before) return;
    for (const listener of this.#listeners) listener();
  }
}
