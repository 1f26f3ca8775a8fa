import fc from 'fast-check';

/** How bytes go wrong: on a bad link, by a defect, or on purpose. */
export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly byte: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'extend'; readonly bytes: Uint8Array }
  | { readonly kind: 'drop'; readonly at: number; readonly count: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly count: number }
  /** The tail of another honest one. */
  | { readonly kind: 'splice'; readonly at: number };

const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const count = fc.integer({ min: 1, max: 8 });

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, bit: fc.nat(7) }),
  // The bytes that lengths and types of MessagePack begin with are worth more than others.
  fc.record({
    kind: fc.constant('set' as const),
    at,
    byte: fc.oneof(fc.nat(255), fc.integer({ min: 0x80, max: 0xdf }), fc.constant(0xff)),
  }),
  fc.record({ kind: fc.constant('cut' as const), at }),
  fc.record({ kind: fc.constant('extend' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
  fc.record({ kind: fc.constant('drop' as const), at, count }),
  fc.record({ kind: fc.constant('repeat' as const), at, count }),
  fc.record({ kind: fc.constant('splice' as const), at }),
);

export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(mutation, {
  minLength: 1,
  maxLength: 4,
});

export function mutate(honest: Uint8Array, other: Uint8Array, all: readonly Mutation[]): Uint8Array {
  return all.reduce<Uint8Array>((bytes, each) => mutateOnce(bytes, other, each), Uint8Array.from(honest));
}

function mutateOnce(bytes: Uint8Array, other: Uint8Array, how: Mutation): Uint8Array {
  const place = (fraction: number): number => Math.floor(fraction * bytes.length);
  switch (how.kind) {
    case 'flip':
    case 'set': {
      const changed = Uint8Array.from(bytes);
      const i = place(how.at);
      if (i < changed.length)
        changed[i] = how.kind === 'set' ? how.byte : (changed[i] as number) ^ (1 << how.bit);
      return changed;
    }
    case 'cut':
      return bytes.slice(0, place(how.at));
    case 'extend':
      return Uint8Array.of(...bytes, ...how.bytes);
    case 'drop':
      return Uint8Array.of(...bytes.slice(0, place(how.at)), ...bytes.slice(place(how.at) + how.count));
    case 'repeat': {
      const i = place(how.at);
      return Uint8Array.of(...bytes.slice(0, i + how.count), ...bytes.slice(i));
    }
    case 'splice':
      return Uint8Array.of(
        ...bytes.slice(0, place(how.at)),
        ...other.slice(Math.floor(how.at * other.length)),
      );
  }
}
