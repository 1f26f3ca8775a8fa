declare const brand: unique symbol;

/**
 * A nominal type over a primitive. Beware: TypeScript rejects `a === b` across brands
 * but accepts `a < b`, so ordered brands carry comparison functions of their own.
 */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
