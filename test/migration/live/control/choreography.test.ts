import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  moveAuthority,
  type MoveOutcome,
  type MovePorts,
} from '../../../../migration/live/control/choreography.ts';
import type { Phase } from '../../../../src/state/migration.ts';
import { ruleOf } from '../../../support/live-gateway.ts';

const holdMsMax = 2000;
const names = ['g1', 'g2', 'g3'];

class Crash extends Error {}

/** A fleet and its source, as far as a move of authority sees them; clients write between any two of its steps. */
class World {
  nowMs = 0;
  phase: Phase;
  readonly source = new Map<string, number>();
  readonly here = new Map<string, number>();
  /** What clients were told. */
  readonly acknowledged = new Map<string, number>();
  fenceTerm = 1;
  ruleTerm = 1;
  refused = 0;
  readonly #holdUntilMs = new Map<string, number>();
  readonly #chance: () => number;
  #calls = 0;
  readonly #crashAt: number;
  readonly #slow: number;
  #value = 0;

  constructor(phase: Phase, crashAt: number, slow: number, chance: () => number) {
    this.phase = phase;
    this.#crashAt = crashAt;
    this.#slow = slow;
    this.#chance = chance;
    for (let i = 0; i < 5; i += 1) this.write();
  }

  isHeld(name: string): boolean {
    return this.nowMs < (this.#holdUntilMs.get(name) ?? 0);
  }

  /** A client writes through some gateway. */
  write(): void {
    const name = names[Math.floor(this.#chance() * names.length)] ?? '';
    if (this.isHeld(name)) return;
    const key = `k${Math.floor(this.#chance() * 4)}`;
    const value = ++this.#value;
    if (this.phase === 'cutover') {
      this.here.set(key, value);
      this.acknowledged.set(key, value);
      return;
    }
    // The source refuses writers whose term is over.
    if (this.fenceTerm !== this.ruleTerm) {
      this.refused += 1;
      return;
    }
    this.source.set(key, value);
    this.acknowledged.set(key, value);
    // What is not relayed at once is found by the tail, later.
    if (this.#chance() < 0.7) this.here.set(key, value);
  }

  /** Every call takes a while, in which clients write; one of them is the last. */
  async #call<T>(work: () => T): Promise<T> {
    await Promise.resolve();
    this.nowMs += this.#chance() * this.#slow;
    for (let i = 0; i < 3; i += 1) this.write();
    this.#calls += 1;
    if (this.#calls > this.#crashAt) throw new Crash('crashed');
    return work();
  }

  ports(): MovePorts {
    const head = (name: string) => ({ origin: name, seq: 1 });
    return {
      names,
      runner: 'g2',
      monoMs: () => this.nowMs,
      newId: () => 'move',
      stage: () => {},
      hold: (name, _id, forMs) =>
        this.#call(() => {
          this.#holdUntilMs.set(name, this.nowMs + forMs);
          return { open: 0, head: head(name), highestIndex: 1000 };
        }),
      release: (name) => this.#call(() => void this.#holdUntilMs.delete(name)),
      see: () => this.#call(() => {}),
      compare: () =>
        this.#call(() => {
          this.here.clear();
          for (const [key, value] of this.source) this.here.set(key, value);
          return { entries: this.source.size, changed: 0, head: head('g2') };
        }),
      drainBack: () =>
        this.#call(() => {
          this.source.clear();
          for (const [key, value] of this.here) this.source.set(key, value);
          return { drained: true, differing: 0 };
        }),
      fence: () => this.#call(() => void (this.fenceTerm = this.ruleTerm + 1)),
      untilOut: undefined,
      unfence: () => this.#call(() => void (this.fenceTerm = this.ruleTerm)),
      sourceIndex: () => 500,
      // Decided here: nothing comes between the last look at the clock and the step.
      step: async () => {
        this.#calls += 1;
        if (this.#calls > this.#crashAt) throw new Crash('crashed');
        const back = this.phase === 'cutover';
        this.phase = back ? 'local-reads' : 'cutover';
        this.ruleTerm += 1;
        this.fenceTerm = this.ruleTerm;
        this.#holdUntilMs.clear();
        await Promise.resolve();
        return { rule: ruleOf('kv', 'app/', this.phase, { step: 6, term: this.ruleTerm }) };
      },
    };
  }

  /** Long after: holds are over, and the owner of the zone has looked at the fence. */
  settle(): void {
    this.nowMs += 60_000;
    this.fenceTerm = this.ruleTerm;
  }
}

function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function move(world: World): Promise<MoveOutcome> {
  const from = ruleOf('kv', 'app/', world.phase, { step: 5, term: world.ruleTerm });
  const to = world.phase === 'cutover' ? 'local-reads' : 'cutover';
  return moveAuthority({ of: 'kv', prefix: 'app/', from, to, holdMsMax }, world.ports());
}

describe('a move of authority', () => {
  const runs = fc.record({
    seed: fc.integer(),
    crashAt: fc.integer({ min: 0, max: 30 }),
    slow: fc.constantFrom(10, 400, 3000),
    phase: fc.constantFrom<Phase>('local-reads', 'cutover'),
  });

  test('loses no write that was acknowledged, wherever who directs it dies and however slow it is', async () => {
    await fc.assert(
      fc.asyncProperty(runs, async ({ seed, crashAt, slow, phase }) => {
        const world = new World(phase, crashAt, slow, chanceOf(seed));
        const outcome = await move(world);
        const decides = world.phase === 'cutover' ? world.here : world.source;
        for (const [key, value] of world.acknowledged) expect(decides.get(key)).toBe(value);
        if (outcome.kind === 'moved') expect(world.phase).not.toBe(phase);
      }),
      { numRuns: 2000 },
    );
  });

  test('ends its hold by itself, and writes go on', async () => {
    await fc.assert(
      fc.asyncProperty(runs, async ({ seed, crashAt, slow, phase }) => {
        const world = new World(phase, crashAt, slow, chanceOf(seed));
        await move(world);
        world.settle();
        expect(names.filter((name) => world.isHeld(name))).toEqual([]);
        const refused = world.refused;
        const before = [...world.acknowledged.values()];
        for (let i = 0; i < 5; i += 1) world.write();
        expect(world.refused).toBe(refused);
        expect([...world.acknowledged.values()]).not.toEqual(before);
      }),
      { numRuns: 1000 },
    );
  });

  test('is called off where it does not fit into the hold', async () => {
    const world = new World('local-reads', Infinity, 30_000, chanceOf(1));
    const outcome = await move(world);
    expect(outcome).toMatchObject({ kind: 'called-off' });
    expect(world.phase).toBe('local-reads');
  });

  test('is called off where clients would see indexes fall', async () => {
    const world = new World('local-reads', Infinity, 1, chanceOf(1));
    const from = ruleOf('kv', 'app/', 'local-reads', { step: 5 });
    const ports = { ...world.ports(), sourceIndex: () => 5000 };
    const outcome = await moveAuthority({ of: 'kv', prefix: 'app/', from, to: 'cutover', holdMsMax }, ports);
    expect(outcome).toMatchObject({
      kind: 'called-off',
      why: expect.stringMatching(/would start over/) as unknown,
    });
  });

  test('raises the fence and waits before it compares, where a gateway is left out', async () => {
    const world = new World('local-reads', Infinity, 1, chanceOf(1));
    const from = ruleOf('kv', 'app/', 'local-reads', { step: 5 });
    const said: string[] = [];
    const ports = { ...world.ports(), stage: (stage: string) => void said.push(stage) };
    const untilOut = (): Promise<void> => Promise.resolve(void said.push('out'));
    const outcome = await moveAuthority(
      { of: 'kv', prefix: 'app/', from, to: 'cutover', holdMsMax },
      { ...ports, untilOut },
    );
    expect(outcome.kind).toBe('moved');
    expect(said).toEqual(['prepare', 'hold', 'fence', 'out', 'compare', 'heads', 'step', 'done']);
  });
});
