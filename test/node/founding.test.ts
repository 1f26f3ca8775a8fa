import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decideFounding, foundingTags, type Founding, type FoundingMember } from '../../src/node/founding.ts';

function member(
  id: string,
  tags: Readonly<Record<string, string>> = {},
  state: FoundingMember['state'] = 'alive',
) {
  return { id, name: `gw-${id}`, state, tags };
}

/** Members of whom each says that it sees exactly these. */
function agreed(expected: number, ids: readonly string[]): readonly FoundingMember[] {
  const bare = ids.map((id) => member(id, foundingTags(expected, '')));
  const { sees } = decideFounding({ expect: expected, selfId: ids[0] as string, members: bare });
  return ids.map((id) => member(id, foundingTags(expected, sees)));
}

function decide(members: readonly FoundingMember[], selfId: string, expected = 3): Founding {
  return decideFounding({ expect: expected, selfId, members });
}

describe('a datacenter that so many gateways found together', () => {
  test('is founded by the lowest node id once all say that they see each other', () => {
    const members = agreed(3, ['b', 'a', 'c']);
    expect(decide(members, 'a')).toMatchObject({ found: true, reason: '', ask: [] });
    for (const selfId of ['b', 'c']) {
      expect(decide(members, selfId)).toMatchObject({ found: false, reason: 'gw-a founds the cluster' });
    }
  });

  test('waits for the number, and for everybody to see the same', () => {
    expect(decide(agreed(3, ['a', 'b']), 'a')).toMatchObject({
      found: false,
      reason: '2 of 3 expected gateways have met',
    });
    const [a, b] = agreed(3, ['a', 'b', 'c']) as [FoundingMember, FoundingMember];
    const late = member('c', foundingTags(3, 'fewer'));
    expect(decide([a, b, late], 'a')).toMatchObject({
      found: false,
      reason: 'gw-c does not see the same gateways yet',
    });
  });

  test('may have more gateways than that, as soon as all of them agree', () => {
    expect(decide(agreed(3, ['d', 'c', 'b', 'a', 'e']), 'a')).toMatchObject({ found: true });
    const [d, c, b, a] = agreed(3, ['d', 'c', 'b', 'a']) as FoundingMember[];
    const members = [d, c, b, a, member('0', foundingTags(3, ''))] as FoundingMember[];
    expect(decide(members, 'a')).toMatchObject({ found: false });
  });

  test('does not count who waits for nobody, and waits no longer for who left', () => {
    const members = agreed(3, ['a', 'b', 'c']);
    expect(decide([...members, member('0')], 'a')).toMatchObject({ found: true });
    const left = member('0', foundingTags(3, ''), 'left');
    expect(decide([...members, left], 'a')).toMatchObject({ found: true });
  });

  test('is not founded while one that met is away, since that one may have done it', () => {
    const [a, b, c] = agreed(3, ['a', 'b', 'c']) as [FoundingMember, FoundingMember, FoundingMember];
    const decision = decide([{ ...a, state: 'failed' }, b, c], 'b');
    expect(decision).toMatchObject({
      found: false,
      reason: expect.stringMatching(/^gw-a cannot be reached.*force-leave gw-a/),
    });
    expect(decision.ask).toEqual(['a', 'c']);
  });

  test('is not founded while somebody expects another number, who is named', () => {
    const members = [...agreed(3, ['a', 'b', 'c']), member('d', foundingTags(5, ''))];
    expect(decide(members, 'a')).toMatchObject({
      found: false,
      reason: 'gw-d expects 5 gateways, and this one 3: give all the same bootstrap_expect',
    });
  });

  test('has those asked first that seem to be away: one that founds speaks no more with who has no cluster', () => {
    const members = [
      member('b'),
      member('z', {}, 'suspect'),
      member('y', {}, 'failed'),
      member('x', {}, 'left'),
      ...Array.from({ length: 20 }, (_, i) => member(`m${i}`)),
    ];
    const { ask } = decide([member('a'), ...members], 'a');
    expect(ask.slice(0, 3)).toEqual(['y', 'z', 'b']);
    expect(ask).toHaveLength(8);
  });
});

/** Gateways that gossip: what each says reaches others late, in any order, or never; founders fall silent. */
class Gateways {
  readonly founders: number[] = [];
  readonly #expect: number;
  /** What each knows of the others: by gateway, then by id, the tags that it heard last. */
  readonly #known: Map<string, FoundingMember>[];

  constructor(count: number, expected: number) {
    this.#expect = expected;
    this.#known = Array.from(
      { length: count },
      (_, i) => new Map([[id(i), member(id(i), foundingTags(expected, ''))]]),
    );
  }

  /** One hears all that the other knows, unless either has founded. */
  tell(from: number, to: number): void {
    if (this.founders.includes(from) || this.founders.includes(to) || from === to) return;
    for (const [about, heard] of this.#known[from] as Map<string, FoundingMember>) {
      const known = this.#known[to] as Map<string, FoundingMember>;
      // A member's own word is newer than what others say of it.
      if (about !== id(to) && (about === id(from) || !known.has(about))) known.set(about, heard);
    }
  }

  look(at: number): void {
    if (this.founders.includes(at)) return;
    const known = this.#known[at] as Map<string, FoundingMember>;
    const { found, sees } = decideFounding({
      expect: this.#expect,
      selfId: id(at),
      members: [...known.values()],
    });
    if (found) this.founders.push(at);
    known.set(id(at), member(id(at), foundingTags(this.#expect, sees)));
  }

  /** Whom a founder had heard of when it founded. */
  seenBy(at: number): readonly string[] {
    return [...(this.#known[at] as Map<string, FoundingMember>).keys()];
  }
}

const id = (i: number): string => `id-${i}`;

describe('however messages travel', () => {
  const step = fc.record({ from: fc.nat(7), to: fc.nat(7), look: fc.boolean() });

  test('two founders never knew of a common gateway', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 8 }),
        fc.integer({ min: 2, max: 4 }),
        fc.array(step, { minLength: 20, maxLength: 300 }),
        (count, expected, steps) => {
          const gateways = new Gateways(count, expected);
          for (const { from, to, look } of steps) {
            gateways.tell(from % count, to % count);
            if (look) gateways.look(to % count);
          }
          const seen = gateways.founders.flatMap((founder) => gateways.seenBy(founder));
          expect(new Set(seen).size).toBe(seen.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('one founds as soon as all have met and heard each other, given enough of them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 8 }),
        fc.integer({ min: 2, max: 4 }),
        fc.array(step, { maxLength: 100 }),
        (count, expected, steps) => {
          const gateways = new Gateways(count, expected);
          for (const { from, to, look } of steps) {
            gateways.tell(from % count, to % count);
            if (look && count < 2 * expected) gateways.look(to % count);
          }
          for (let round = 0; round < 3; round++) {
            for (let from = 0; from < count; from++)
              for (let to = 0; to < count; to++) gateways.tell(from, to);
            for (let at = 0; at < count; at++) gateways.look(at);
          }
          expect(gateways.founders.length).toBe(count >= expected ? 1 : 0);
        },
      ),
    );
  });
});
