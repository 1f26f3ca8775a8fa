import type { Refusal } from '../../src/state/outcome.ts';
import { failure, type Reply } from './http.ts';

/**
 * How a refused command is answered. A key that this gateway may not write now answers 500 and starts with
 * `No cluster leader`: clients retry that, while a 503 makes a Go lock monitor drop its leadership at once.
 */
export function refusalReply(refusal: Refusal): Reply {
  if (refusal.kind === 'refused') return failure(refusal.status, refusal.message);
  return failure(500, notOwnedText(refusal));
}

/** Consul's text for a body above a limit; `setting` is the key of its configuration that sets it. */
export function bodyTooLarge(bytes: number, bytesMax: number, setting?: string): Reply {
  const text = `Request body(${bytes} bytes) too large, max size: ${bytesMax} bytes.`;
  const see = ` See https://www.consul.io/docs/agent/options.html#${setting}.`;
  return failure(413, setting === undefined ? text : text + see);
}

export function notOwnedText(refusal: Extract<Refusal, { kind: 'not-owned' }>): string {
  const owner = refusal.owner === '' ? 'nobody' : refusal.owner;
  return `No cluster leader: zone ${JSON.stringify(refusal.zone)} is owned by ${owner} (${refusal.reason})`;
}
