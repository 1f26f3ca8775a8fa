/** Thrown for programmer errors only; operating errors are `Result`s or typed errors at the edge. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new InvariantError(why);
}

/** Closes an exhaustive switch: a new member of the union then fails to compile. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable value: ${String(value)}`);
}

/** The value of something that the surrounding code has made sure exists. */
export function must<T>(value: T | undefined | null, why = 'a value that must exist is missing'): T {
  assert(value !== undefined && value !== null, why);
  return value;
}
