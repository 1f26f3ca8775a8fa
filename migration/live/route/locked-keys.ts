import { Kind } from '../../../src/state/kinds.ts';
import { topic } from '../../../src/state/topics.ts';
import type { GatewayPort } from '../gateway-port.ts';

const keyTopic = topic.key('');

/** Which keys are locked, as far as this gateway has heard: there are few, so they are all held. */
export class LockedKeys {
  readonly #gateway: GatewayPort;
  readonly #keys = new Set<string>();
  #stop: (() => void) | undefined;

  constructor(gateway: GatewayPort) {
    this.#gateway = gateway;
  }

  start(): void {
    this.#stop = this.#gateway.onCommit((touched) => {
      for (const name of touched) if (name.startsWith(keyTopic)) this.#look(name.slice(keyTopic.length));
    });
    for (const { key, value } of this.#gateway.view.indexed(Kind.kv)) if (value !== null) this.#keys.add(key);
  }

  stop(): void {
    this.#stop?.();
    this.#keys.clear();
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  below(prefix: string): boolean {
    for (const key of this.#keys) if (key.startsWith(prefix)) return true;
    return false;
  }

  #look(key: string): void {
    const row = this.#gateway.view.get(Kind.kv, key);
    if (row !== undefined && row.value !== null && row.ix !== null) this.#keys.add(key);
    else this.#keys.delete(key);
  }
}
