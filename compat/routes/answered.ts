import { failure, type Later, type Reply } from '../wire/http.ts';

/**
 * A reply that is known at once, but given only after the dispatcher's own checks: a plain reply goes out before
 * `?dc=` is looked at, because Consul refuses a malformed request first.
 */
export function answered(reply: Reply): Later {
  return { kind: 'later', reply: Promise.resolve(reply) };
}

/** A read that failed at Consul's server: its agent sends the headers of an answer all the same. */
export function failedRead(status: number, message: string): Later {
  const headers = { 'X-Consul-Index': '1', 'X-Consul-Knownleader': 'false', 'X-Consul-Lastcontact': '0' };
  return answered({ ...failure(status, message), headers });
}
