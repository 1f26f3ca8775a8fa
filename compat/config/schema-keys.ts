import { isIgnored, shapeOf, wordsFor } from './schema-kinds.ts';

/** One key of the configuration, as documents list it. */
export interface ConfigKey {
  /** Dotted, as `ports.http`. */
  readonly name: string;
  /** Accepted without effect. */
  readonly ignored: boolean;
  /** What it may hold, in words. */
  readonly kind: string;
}

/** Described by themselves, with their fields. */
const definitions = ['service', 'services', 'check', 'checks', 'grapevine.zones'];

/** All keys of a schema; a block that is ignored as a whole stands for its keys. */
export function keysOf(schema: object, prefix = '', ignoredAbove = false): readonly ConfigKey[] {
  const shape = shapeOf(schema);
  if (shape.kind !== 'object') return [];
  return Object.entries(shape.fields).flatMap(([field, inner]) => {
    const name = prefix + field;
    const ignored = ignoredAbove || isIgnored(inner);
    const nested = definitions.includes(name) ? [] : keysOf(inner, `${name}.`, ignored);
    if (nested.length === 0 || (ignored && !ignoredAbove)) {
      return [{ name, ignored, kind: wordsFor(inner) ?? 'an object' }];
    }
    return nested;
  });
}
