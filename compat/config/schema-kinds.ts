import * as z from 'zod/mini';

/**
 * The kinds of values that Consul's configuration knows, as zod schemas. What a key may hold is said once, here and
 * in the schema files beside; the decoder, the error texts and the types are all derived from it.
 */

/** What is allowed, in words for a person, by schema. */
const allowedWords = new WeakMap<object, string>();
/** Keys that Consul has a meaning for and Grapevine has none: accepted, and named once in the log. */
const withoutMeaning = new WeakSet<object>();
/** Other spellings of a key that Consul accepts (`scriptargs` for `args`), by the schema of the object. */
const aliasesOf = new WeakMap<object, Readonly<Record<string, string>>>();

function worded<S extends object>(schema: S, words: string): S {
  allowedWords.set(schema, words);
  return schema;
}

export const text = (words = 'a string') => worded(z.string(), words);
export const flag = () => worded(z.boolean(), 'true or false');
export const int = (words = 'a whole number') => worded(z.int(), words);
/** A Go uint: the decoder refuses a negative number. */
export const uint = (words = 'a whole number, 0 or more') => worded(z.int().check(z.nonnegative()), words);
export const decimal = () => worded(z.number(), 'a number');
export const duration = () => text('a duration such as "10s", "5m" or "1h30m"');
export const port = () => int('a port number from 1 to 65535; -1 turns it off');
export const texts = () => worded(z.array(z.string()), 'a list of strings');
/** One string, or a list of them. */
export const textOrTexts = (words: string) => worded(z.union([z.string(), z.array(z.string())]), words);
export const textMap = () => worded(z.record(z.string(), z.string()), 'an object whose values are strings');
export const opaque = () => z.any();
export const opaqueMap = () => worded(z.record(z.string(), z.any()), 'an object');
export const opaqueMaps = () => worded(z.array(z.record(z.string(), z.any())), 'a list of objects');

/** An object of known keys, each of which may be left out. */
export function block<Shape extends z.core.$ZodShape>(
  shape: Shape,
  aliases?: Readonly<Record<string, string>>,
) {
  const schema = z.partial(z.strictObject(shape));
  if (aliases !== undefined) aliasesOf.set(schema, aliases);
  return schema;
}

export function listOf<S extends z.core.SomeType>(element: S) {
  return worded(z.array(element), 'a list of objects');
}

/** Marks a key, or a whole block, as accepted without effect. */
export function ignored<S extends object>(schema: S): S {
  withoutMeaning.add(schema);
  return schema;
}

/** A block of which every key is accepted without effect. */
export function ignoredBlock<Shape extends z.core.$ZodShape>(shape: Shape) {
  return ignored(block(shape));
}

export function isIgnored(schema: object): boolean {
  return withoutMeaning.has(unwrapOptional(schema));
}

export function wordsFor(schema: object): string | undefined {
  return allowedWords.get(unwrapOptional(schema));
}

export function aliasesFor(schema: object): Readonly<Record<string, string>> {
  return aliasesOf.get(unwrapOptional(schema)) ?? {};
}

/** What the decoder has to know of a schema to walk a raw value along it. */
export type SchemaShape =
  | { readonly kind: 'object'; readonly fields: Readonly<Record<string, object>> }
  | { readonly kind: 'list'; readonly element: object }
  | { readonly kind: 'map'; readonly value: object }
  | { readonly kind: 'leaf'; readonly type: string };

export function shapeOf(schema: object): SchemaShape {
  const def = defOf(unwrapOptional(schema));
  switch (def.type) {
    case 'object':
      return { kind: 'object', fields: def.shape };
    case 'array':
      return { kind: 'list', element: def.element };
    case 'record':
      return { kind: 'map', value: def.valueType };
    default:
      return { kind: 'leaf', type: def.type };
  }
}

function unwrapOptional(schema: object): object {
  const def = defOf(schema);
  return def.type === 'optional' ? unwrapOptional(def.innerType) : schema;
}

/** The definition that zod keeps for those who build on it (documented under "for library authors"). */
function defOf(schema: object): z.core.$ZodTypes['_zod']['def'] {
  return (schema as { readonly def: z.core.$ZodTypes['_zod']['def'] }).def;
}
