import type { z } from 'zod';
import { decode, encode } from '../../../src/kernel/codec.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { GatewayPort } from '../gateway-port.ts';

/** What an operator did last, for all of the fleet. */
interface Dated {
  /** Wall clock, milliseconds. */
  readonly atMs: number;
}

export interface NewestOptions<T extends Dated> {
  /** Its name in the registers of each gateway. */
  readonly key: string;
  /** Of the calls by which gateways tell each other. */
  readonly topic: string;
  readonly form: z.ZodType<T>;
  /** A newer one is known here. */
  readonly onNew?: (value: T) => void;
}

const waitMs = 3000;

/** Something of which the newest counts: kept by every gateway that was told, or has asked one that was. */
export class Newest<T extends Dated> {
  readonly #gateway: GatewayPort;
  readonly #options: NewestOptions<T>;
  #stop: (() => void) | undefined;

  constructor(gateway: GatewayPort, options: NewestOptions<T>) {
    this.#gateway = gateway;
    this.#options = options;
    gateway.serve(options.topic, async (body) => {
      const told = options.form.safeParse(body);
      if (told.success) await this.#take(told.data);
      return this.last() ?? null;
    });
  }

  last(): T | undefined {
    const value = this.#gateway.view.get(Kind.rehearsal, this.#options.key)?.value;
    return value === null || value === undefined ? undefined : (decode(value) as T);
  }

  /** Answers the names of living gateways that could not be told. */
  async keep(value: T): Promise<readonly string[]> {
    await this.#take(value);
    return this.#exchange();
  }

  /** Asks those that come: one that was away meanwhile hears of it. */
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
  async #exchange(): Promise<readonly string[]> {
    const gateway = this.#gateway;
    const { topic, form } = this.#options;
    const others = gateway.gateways().filter(({ alive, nodeId }) => alive && nodeId !== gateway.nodeId);
    const failed = await Promise.all(
      others.map(async ({ nodeName }) => {
        try {
          const known = form.safeParse(await gateway.call(nodeName, topic, this.last() ?? null, waitMs));
          if (known.success) await this.#take(known.data);
          return undefined;
        } catch {
          return nodeName;
        }
      }),
    );
    return failed.filter((name) => name !== undefined);
  }

  async #take(value: T): Promise<void> {
    const { key, onNew } = this.#options;
    if (value.atMs <= (this.last()?.atMs ?? -Infinity)) return;
    const puts = [{ kind: Kind.rehearsal, key, value: encode(value) }];
    await this.#gateway.propose({ kind: 'local', puts, deletes: [], catalog: [] });
    onNew?.(value);
  }
}
