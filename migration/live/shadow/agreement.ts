import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Kind } from '../../../src/state/kinds.ts';
import type { Evidence, ScopeKey } from '../../evidence/evidence.ts';
import type { GatewayPort } from '../gateway-port.ts';

const askedForm = z.object({ key: z.string().max(64 * 1024) });
const toldForm = z.object({ digest: z.string().max(64) });

const topic = 'key-digest';
const waitMs = 2_000;

/** φ (TAO): whether all gateways would answer the same to one who reads a key of all of them at once. */
export class AgreementProbe {
  readonly #gateway: GatewayPort;
  readonly #evidence: () => Evidence;

  constructor(gateway: GatewayPort, evidence: () => Evidence) {
    this.#gateway = gateway;
    this.#evidence = evidence;
    gateway.serve(topic, (body) => Promise.resolve({ digest: this.#digest(askedForm.parse(body).key) }));
  }

  /** Never rejects. Where the key changed here while the others were asked, nobody can say. */
  async ask(at: ScopeKey, key: string): Promise<void> {
    const members = this.#gateway.gateways().filter(({ alive }) => alive);
    const own = members.find(({ nodeId }) => nodeId === this.#gateway.nodeId);
    const others = members.filter((member) => member !== own);
    if (own === undefined || others.length === 0) return;
    const before = this.#digest(key);
    const told = await Promise.all(
      others.map(async ({ nodeName, region }) => ({ region, digest: await this.#askOne(nodeName, key) })),
    );
    const moved = before !== this.#digest(key);
    const judge = (where: 'zone' | 'all', asked: typeof told): void => {
      if (asked.length === 0) return;
      const unknown = moved || asked.some(({ digest }) => digest === undefined);
      const agreed = asked.every(({ digest }) => digest === before);
      this.#evidence().agreement(at, where, unknown ? 'unknown' : agreed ? 'agreed' : 'disagreed');
    };
    judge('all', told);
    judge(
      'zone',
      told.filter(({ region }) => region === own.region),
    );
  }

  async #askOne(nodeName: string, key: string): Promise<string | undefined> {
    try {
      return toldForm.parse(await this.#gateway.call(nodeName, topic, { key }, waitMs)).digest;
    } catch {
      return undefined;
    }
  }

  /** Of what every replica holds of a key: indexes are each gateway's own. */
  #digest(key: string): string {
    const row = this.#gateway.view.get(Kind.kv, key);
    if (row === undefined || row.value === null) return '';
    return createHash('sha256')
      .update(`${row.term}\n${row.timeline}\n${row.stamp}\n`)
      .update(row.value)
      .digest('hex');
  }
}
