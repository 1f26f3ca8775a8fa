import { ConnectionError } from '../../source/connection.ts';

/** In words, for status; without the address, which status shows beside. */
export function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/No cluster leader/i.test(text)) return 'the source has no leader';
  if (/\b429\b/.test(text)) return 'the source answers 429 (too many requests)';
  return text.slice(0, 300);
}

/** Whether somebody meant it to end. */
export function isAborted(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted) return true;
  return error instanceof ConnectionError && error.kind === 'aborted' && signal.aborted;
}

export function wasInterrupted(error: unknown): boolean {
  return error instanceof ConnectionError && error.kind === 'aborted';
}

/** Resolves with the promise, or when it is to end. */
export async function orAborted(waiting: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  if (waiting === undefined || signal.aborted) return;
  let end = (): void => undefined;
  const aborted = new Promise<void>((resolve) => (end = resolve));
  signal.addEventListener('abort', end, { once: true });
  await Promise.race([waiting, aborted]);
  signal.removeEventListener('abort', end);
}

/** Whether nobody answered: who answers the next time is to be looked at. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof ConnectionError && error.kind === 'unreachable';
}
