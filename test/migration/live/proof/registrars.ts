import { FleetClient } from '../../../support/fleet-client.ts';
import { sleep } from './catalog-scene.ts';

interface Expected {
  /** What was acknowledged last: the number in the service's metadata; null: its node was taken out. */
  told: number | null;
  /** What may be instead, since nobody was told what became of it. */
  readonly unsure: Set<number | null>;
}

const nodesEach = 5;
const thinkMs = 15;

/** Clients that register, change and take out nodes of their own with a service, and remember what they were told. */
export class Registrars {
  readonly expected = new Map<string, Expected>();
  readonly failures: string[] = [];
  acknowledged = 0;
  #isRunning = true;
  #paused: Promise<void> | undefined;
  #resume = (): void => {};
  #idle = 0;
  readonly #loops: readonly Promise<void>[];

  constructor(urls: readonly string[], each: number) {
    const doors = Array.from({ length: each }, () => urls).flat();
    this.#loops = doors.map((url, n) => this.#work(new FleetClient(url), `ext-${n}-`));
  }

  /** Resolves when none of them waits for an answer; they go on with `resume()`. */
  async pause(): Promise<void> {
    this.#paused ??= new Promise((resolve) => (this.#resume = resolve));
    while (this.#idle < this.#loops.length) await sleep(5);
  }

  resume(): void {
    this.#paused = undefined;
    this.#resume();
  }

  /** Resolves when so many more were acknowledged. */
  async atLeast(more: number): Promise<void> {
    const wanted = this.acknowledged + more;
    while (this.#isRunning && this.acknowledged < wanted) await sleep(20);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.resume();
    await Promise.all(this.#loops);
  }

  async #work(client: FleetClient, prefix: string): Promise<void> {
    for (let n = 0; this.#isRunning; n += 1) {
      if (this.#paused !== undefined) {
        this.#idle += 1;
        await this.#paused;
        this.#idle -= 1;
      }
      const node = `${prefix}${n % nodesEach}`;
      const wanted = n % 4 === 3 ? null : n;
      const held = this.expected.get(node) ?? { told: null, unsure: new Set() };
      this.expected.set(node, held);
      const why = await write(client, node, wanted);
      if (why === undefined) {
        this.acknowledged += 1;
        held.told = wanted;
        held.unsure.clear();
      } else {
        held.unsure.add(wanted);
        // A machine that is busy may not send a request in time.
        if (!why.startsWith('408')) this.failures.push(`${node} ${wanted}: ${why}`);
      }
      await sleep(thinkMs);
    }
    client.close();
  }

  /** What a side does not show as it was acknowledged. */
  async problems(name: string, side: FleetClient): Promise<readonly string[]> {
    const rows = await side.json<{ Node: string; ServiceMeta: { n?: string } }[]>('/v1/catalog/service/job');
    const nodes = await side.json<{ Node: string }[]>('/v1/catalog/nodes');
    const found = new Map(rows.map(({ Node, ServiceMeta }) => [Node, Number(ServiceMeta.n)]));
    const known = new Set(nodes.map(({ Node }) => Node));
    return [...this.expected].flatMap(([node, { told, unsure }]) => {
      const now = found.get(node) ?? null;
      if (unsure.has(now)) return [];
      if (now !== told) return [`${node} is ${now} at ${name}, and ${told} was acknowledged`];
      return known.has(node) === (told !== null) ? [] : [`${node}: the node itself is not so at ${name}`];
    });
  }
}

/** Undefined: it was acknowledged. */
async function write(client: FleetClient, node: string, n: number | null): Promise<string | undefined> {
  const body =
    n === null
      ? { Node: node }
      : { Node: node, Address: '192.0.2.1', Service: { Service: 'job', Port: 1, Meta: { n: String(n) } } };
  try {
    const path = n === null ? '/v1/catalog/deregister' : '/v1/catalog/register';
    const answer = await client.put(path, JSON.stringify(body));
    return answer.status === 200 ? undefined : `${answer.status} ${answer.text}`;
  } catch (error) {
    return String(error);
  }
}
