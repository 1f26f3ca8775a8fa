import { z } from 'zod';
import type { GatewayPort } from '../gateway-port.ts';
import type { Redactor } from './redactor.ts';

const toldForm = z.object({ secret: z.string().regex(/^[0-9a-f]{64}$/), settled: z.boolean() });

const topic = 'evidence-secret';
const waitMs = 2_000;

/**
 * One secret for the fleet, so that what two gateways saw of a key counts as one key. Asked for once, at the start: one
 * that somebody already counts under is taken over; else the least of all candidates, which everybody picks alike.
 * Gateways that start alone on two sides may end with two: reports see that by `secretId`.
 */
export class SharedSecret {
  readonly #gateway: GatewayPort;
  readonly #redactor: Redactor;
  readonly #fromDisk: () => boolean;
  #settled = false;

  constructor(gateway: GatewayPort, redactor: Redactor, fromDisk: () => boolean) {
    this.#gateway = gateway;
    this.#redactor = redactor;
    this.#fromDisk = fromDisk;
    // Whoever may ask holds the keys themselves: to those the secret hides nothing.
    gateway.serve(topic, () =>
      Promise.resolve({
        secret: redactor.secret.toString('hex'),
        settled: this.#settled || this.#fromDisk(),
      }),
    );
  }

  /** Never rejects. */
  async settle(): Promise<void> {
    if (this.#settled || this.#fromDisk()) return;
    const { nodeId } = this.#gateway;
    const others = this.#gateway.gateways().filter((member) => member.alive && member.nodeId !== nodeId);
    const told = await Promise.all(others.map(({ nodeName }) => this.#ask(nodeName)));
    const known = told.filter((each) => each !== undefined);
    const inUse = known.filter(({ settled }) => settled).map(({ secret }) => secret);
    const own = this.#redactor.secret.toString('hex');
    const candidates = inUse.length > 0 ? inUse : [own, ...known.map(({ secret }) => secret)];
    this.#redactor.adopt(Buffer.from(candidates.toSorted()[0] ?? own, 'hex'));
    this.#settled = true;
  }

  async #ask(nodeName: string): Promise<z.infer<typeof toldForm> | undefined> {
    try {
      return toldForm.parse(await this.#gateway.call(nodeName, topic, null, waitMs));
    } catch {
      return undefined;
    }
  }
}
