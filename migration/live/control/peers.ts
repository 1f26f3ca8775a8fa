import { z } from 'zod';
import type { GatewayMember, GatewayPort } from '../gateway-port.ts';
import type { Phases } from '../ports.ts';

/** What gateways tell each other of themselves, asked every other second and whenever a step is made. */
const factsForm = z.object({
  nodeId: z.string().max(64),
  hasSource: z.boolean(),
  /** Steps that it acts on. */
  rules: z
    .array(
      z.object({
        of: z.enum(['kv', 'catalog']),
        prefix: z.string().max(64 * 1024),
        step: z.int().nonnegative(),
        /** Requests that it still answers as the step before had it. */
        older: z.int().nonnegative(),
      }),
    )
    .max(10_000),
});

export type PeerFacts = z.infer<typeof factsForm>;

export interface Peer {
  readonly member: GatewayMember;
  /** Undefined: it never answered. */
  readonly facts: PeerFacts | undefined;
  /** Monotonic milliseconds of its last answer. */
  readonly heardMs: number | undefined;
  /** Why it did not answer the last time; undefined: it did. */
  readonly problem: string | undefined;
}

export interface PeersOptions {
  readonly gateway: GatewayPort;
  readonly phases: Phases;
  readonly hasSource: boolean;
  readonly older: (of: 'kv' | 'catalog', prefix: string, step: number) => number;
}

const topic = 'hello';
/** Guess: a step is asked for at once anyway. */
const everyMs = 2000;
const waitMs = 2000;

/** The other gateways of the fleet, as their migrations tell. */
export class Peers {
  readonly #options: PeersOptions;
  readonly #known = new Map<string, Omit<Peer, 'member'>>();
  readonly #listeners = new Set<() => void>();
  readonly #stops: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #again = false;

  constructor(options: PeersOptions) {
    this.#options = options;
    options.gateway.serve(topic, () => Promise.resolve(this.own()));
  }

  own(): PeerFacts {
    const { gateway, phases, hasSource, older } = this.#options;
    return {
      nodeId: gateway.nodeId,
      hasSource,
      rules: phases.rules.map(({ of, prefix, step }) => ({
        of,
        prefix,
        step,
        older: older(of, prefix, step),
      })),
    };
  }

  /** All gateways of the fleet, this one first. */
  list(): readonly Peer[] {
    const { gateway } = this.#options;
    const members = gateway.gateways();
    const self = members.find(({ nodeId }) => nodeId === gateway.nodeId);
    const others = members.filter(({ nodeId }) => nodeId !== gateway.nodeId);
    return [
      ...(self === undefined
        ? []
        : [{ member: self, facts: this.own(), heardMs: gateway.monoMs(), problem: undefined }]),
      ...others.map((member) => ({
        member,
        ...(this.#known.get(member.nodeId) ?? { facts: undefined, heardMs: undefined, problem: undefined }),
      })),
    ];
  }

  hasSource(nodeId: string): boolean {
    const { gateway, hasSource } = this.#options;
    return nodeId === gateway.nodeId ? hasSource : this.#known.get(nodeId)?.facts?.hasSource === true;
  }

  onHeard(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    const { gateway, phases } = this.#options;
    const ask = (): void => void this.ask();
    this.#timer = setInterval(ask, everyMs);
    this.#stops.push(gateway.onGatewaysChanged(ask), phases.onChange(ask));
    ask();
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** Asks everybody now. Resolves when all have answered, or had their time. */
  async ask(): Promise<void> {
    const { hasSource, phases } = this.#options;
    // A fleet that migrates nothing is not bothered.
    if (!hasSource && phases.rules.length === 0) return;
    if (this.#round !== undefined) {
      this.#again = true;
      return this.#round;
    }
    do {
      this.#again = false;
      this.#round = this.#askAll();
      // oxlint-disable-next-line no-await-in-loop -- one round after the other
      await this.#round;
    } while (this.#again);
    this.#round = undefined;
  }

  async #askAll(): Promise<void> {
    const { gateway } = this.#options;
    const members = gateway.gateways();
    for (const nodeId of this.#known.keys()) {
      if (!members.some((member) => member.nodeId === nodeId)) this.#known.delete(nodeId);
    }
    await Promise.all(
      members
        .filter(({ nodeId, alive }) => nodeId !== gateway.nodeId && alive)
        .map((member) => this.#askOne(member)),
    );
    for (const listener of this.#listeners) listener();
  }

  async #askOne({ nodeId, nodeName }: GatewayMember): Promise<void> {
    const { gateway } = this.#options;
    try {
      const facts = factsForm.parse(await gateway.call(nodeName, topic, null, waitMs));
      this.#known.set(nodeId, { facts, heardMs: gateway.monoMs(), problem: undefined });
    } catch (error) {
      const before = this.#known.get(nodeId);
      const problem = error instanceof Error ? error.message : String(error);
      this.#known.set(nodeId, { facts: before?.facts, heardMs: before?.heardMs, problem });
    }
  }
}
