/**
 * Where a gateway answers otherwise than a real Consul 1.8.7, on purpose. Steps of scenarios refer to these
 * entries by id; docs/compatibility.md prints them. A difference that is not here fails the tests, and so
 * does an entry that no step refers to, or whose difference no longer occurs.
 */
export interface KnownDifference {
  /** The part of the API, as the documentation groups it. */
  readonly area: string;
  /** What a client sees: Consul 1.8.7 first, then the gateway. */
  readonly what: string;
  readonly why: string;
}

export const knownDifferences = {} as const satisfies Record<string, KnownDifference>;

/** A name that stands in the table. */
export type KnownDifferenceId = keyof typeof knownDifferences;
