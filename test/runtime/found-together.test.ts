import { describe, expect, test } from '@jest/globals';
import type { FoundingMember } from '../../src/node/founding.ts';
import { foundTogether, type FoundTogether } from '../../src/runtime/found-together.ts';

/** One of some gateways that hear everything of each other at once, but for those of a cluster. */
class Gateway {
  cluster = '';
  tags: Readonly<Record<string, string>> = {};
  readonly asked: (readonly string[])[] = [];
  readonly reasons: string[] = [];
  readonly #all: readonly Gateway[];
  readonly #id: string;
  /** Tags of others as they were when last heard: a founder is heard no more. */
  readonly #heard = new Map<string, FoundingMember>();
  #timer: (() => void) | undefined;
  #running: FoundTogether | undefined;

  constructor(id: string, all: readonly Gateway[]) {
    this.#id = id;
    this.#all = all;
  }

  start(expected: number): void {
    this.#running = foundTogether({
      expect: expected,
      selfId: this.#id,
      members: () => this.#members(),
      belongs: () => this.cluster !== '',
      say: (tags) => {
        this.tags = tags;
      },
      ask: (ids) => {
        this.asked.push(ids);
        const answering = this.#all.find((each) => ids.includes(each.#id) && each.cluster !== '');
        if (answering !== undefined) this.cluster = answering.cluster;
      },
      found: () => {
        this.cluster = `of ${this.#id}`;
      },
      setTimer: (run) => {
        this.#timer = run;
        return () => {
          this.#timer = undefined;
        };
      },
      onReason: (reason) => this.reasons.push(reason),
    });
  }

  look(): void {
    this.#running?.look();
  }

  /** A second passes. */
  tick(): void {
    const run = this.#timer;
    this.#timer = undefined;
    run?.();
  }

  get waits(): boolean {
    return this.#timer !== undefined;
  }

  #members(): readonly FoundingMember[] {
    for (const each of this.#all) {
      const away = each.cluster !== this.cluster;
      const known = this.#heard.get(each.#id);
      if (away && known === undefined) continue;
      this.#heard.set(each.#id, {
        id: each.#id,
        name: each.#id,
        state: away ? 'failed' : 'alive',
        tags: away ? (known?.tags ?? {}) : each.tags,
      });
    }
    return [...this.#heard.values()];
  }
}

function gateways(...ids: readonly string[]): readonly Gateway[] {
  const all: Gateway[] = [];
  for (const id of ids) all.push(new Gateway(id, all));
  return all;
}

describe('gateways that found a datacenter together', () => {
  test('come to belong to one cluster, that of the lowest node id, and then say nothing of it', () => {
    const all = gateways('c', 'a', 'b');
    for (const each of all) each.start(3);
    for (let round = 0; round < 5; round++) for (const each of all) each.tick();
    expect(all.map(({ cluster }) => cluster)).toEqual(['of a', 'of a', 'of a']);
    for (const each of all) {
      expect(each.tags).toEqual({});
      each.tick();
      expect(each.waits).toBe(false);
    }
  });

  test('do so as soon as the last of them says what it sees, not only when a second is over', () => {
    const all = gateways('a', 'b');
    for (const each of all) each.start(2);
    for (let round = 0; round < 2; round++) for (const each of all) each.look();
    expect(all[0]?.cluster).toBe('of a');
  });

  test('wait for their number, and say why, once', () => {
    const all = gateways('a', 'b');
    for (const each of all) each.start(3);
    for (let round = 0; round < 5; round++) for (const each of all) each.tick();
    expect(all.map(({ cluster }) => cluster)).toEqual(['', '']);
    expect(all[0]?.reasons).toEqual([
      '1 of 3 expected gateways have met',
      '2 of 3 expected gateways have met',
    ]);
    expect(all[0]?.tags).toMatchObject({ expect: '3' });
    expect(all[0]?.asked.at(-1)).toEqual(['b']);
  });

  test('found nothing beside a cluster that one of them belongs to', () => {
    const all = gateways('c', 'a', 'b');
    const [c] = all as [Gateway];
    c.cluster = 'older';
    for (const each of all) each.start(3);
    for (let round = 0; round < 5; round++) for (const each of all) each.tick();
    // They never heard of it; whom they join is the affair of retry_join.
    expect(all.map(({ cluster }) => cluster)).toEqual(['older', '', '']);
    expect(c.tags).toEqual({});
  });
});
