import type { Later, Reply } from '../wire/http.ts';

/**
 * A reply that is known at once, but given only after the dispatcher's own checks: a plain reply goes out before
 * `?dc=` is looked at, because Consul refuses a malformed request first.
 */
export function answered(reply: Reply): Later {
  return { kind: 'later', reply: Promise.resolve(reply) };
}
