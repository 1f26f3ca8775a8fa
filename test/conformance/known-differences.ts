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
  /** It shows in so many answers that the comparison itself knows it, and no step refers to it. */
  readonly everywhere?: true;
}

export const knownDifferences = {
  'kv-chunked-limit': {
    area: 'KV',
    what: 'A value of more than 512 KiB sent in chunks, without Content-Length, is stored; it is refused with 413.',
    why: 'Consul closed this way around the limit in 1.21.6 (CVE-2025-11374).',
  },
  'missing-key-watch': {
    area: 'KV',
    what: 'A waiting read of a missing key, or of an empty prefix, is answered by any write to the KV store; it waits until something it would show is written.',
    why: 'Newer versions of Consul keep waiting too; waking on every write costs every watcher a round trip for nothing.',
  },
  'index-from-elsewhere': {
    area: 'Blocking queries',
    what: 'An index above all that was shown waits for its whole time; it is answered at once, with the true index.',
    why: 'A client that moved here from another gateway carries an index that means nothing here, and would miss changes.',
  },
  'decode-error-words': {
    area: 'Errors',
    what: "A body that is JSON but not what is wanted: status and the first words ('Request decode failed: ') are the same, the name of the field after them may be put otherwise.",
    why: "These are words of Go's decoder about Go's types, which change with its version.",
  },
  'txn-operations': {
    area: 'Transactions',
    what: 'More than 64 operations are refused; more than 128 are.',
    why: 'Consul raised the limit to 128 in 1.14.',
  },
  'txn-get-or-empty': {
    area: 'Transactions',
    what: 'The verb get-or-empty is unknown; it reads a missing key as one without a value.',
    why: 'Newer versions of Consul have it, and Vault asks for it when it starts.',
  },
  'unknown-fields': {
    area: 'Errors',
    what: 'A field that Consul 1.8.7 does not know, in a catalog, agent or transaction body, is refused; it is ignored.',
    why: 'Clients made for newer versions of Consul send fields of newer versions.',
  },
  'node-gone-watch': {
    area: 'Catalog',
    what: 'A waiting read of a node that is deregistered meanwhile waits for its whole time, and has the index 1; it is answered at once, with the true index.',
    why: 'A watcher of the node would learn of its end minutes late.',
  },
  'agent-unknown-id': {
    area: 'Agent',
    what: 'A check or service id that the agent does not have: 500, or 200 where it is deregistered; 404 with the words of newer versions.',
    why: 'Consul answers 404 since 1.11, and clients take a 404 as the sign to register again.',
  },
  'newer-endpoints': {
    area: 'Agent and operator',
    what: '/v1/agent/version, /v1/operator/usage and /v1/operator/autopilot/state do not exist; they answer.',
    why: 'Newer versions of Consul have them.',
  },
  'keys-are-utf8': {
    area: 'KV',
    what: 'A key may be any bytes that are not a control or an unprintable character; it must be UTF-8 as well.',
    why: 'JSON carries only text, so a list shows such a key as another one, and nobody who reads it there can read or delete it.',
  },
  'bad-escapes': {
    area: 'Transport',
    what: "A path with an escape that is none is answered '400 Bad Request' without a length; the 400 says what is wrong.",
    why: 'The reason helps whoever has to find the mistake.',
  },
  'monitor-type': {
    area: 'Agent',
    what: 'The stream of /v1/agent/monitor has no Content-Type; it has text/plain.',
    why: 'It is text.',
  },
  'unknown-path': {
    area: 'Transport',
    what: 'A path that is no endpoint is answered 404 with an empty body; with one line that says so, and with the configured headers.',
    why: 'Newer versions of Consul do so too.',
  },
  'small-answers-plain': {
    area: 'Transport',
    what: 'Every answer is compressed for a client that takes gzip; those under 1400 bytes are not.',
    why: 'Newer versions of Consul do the same: compression makes small answers larger and slower.',
  },
  'bad-request-prefix': {
    area: 'Errors',
    what: "The refusal of a parameter of Enterprise, of a log level, or of a health query for no service of the agent, begins with 'Bad request: '; it does not.",
    why: 'Newer versions of Consul dropped these words.',
  },
  'filter-catalog-services': {
    area: 'Filters',
    what: 'The filter parameter of /v1/catalog/services is ignored; it is applied.',
    why: 'Newer versions of Consul apply it, and Prometheus relies on it.',
  },
  refused: {
    area: 'Refusals',
    what: 'Parts that Consul has and a gateway does not (the service mesh, Raft, what is not built yet) answer with an error and one line that says why.',
    why: 'An answer that looks like success would be a lie.',
  },
  'newer-headers': {
    area: 'Transport',
    what: 'Answers come without X-Consul-Default-Acl-Policy; with it.',
    why: 'Newer versions of Consul send it.',
    everywhere: true,
  },
  'front-page-headers': {
    area: 'Transport',
    what: 'The page at / comes without the configured headers; with them.',
    why: 'Newer versions of Consul send them there too.',
  },
  'large-bodies': {
    area: 'Transport',
    what: 'Bodies have no limit, but for keys and transactions; more than 16 MiB are refused with 413.',
    why: 'A body is held in memory until it is decoded: without a limit any client could fill it.',
  },
  'chunked-bodies': {
    area: 'Transport',
    what: 'The body of a session or an event that is sent in chunks, without Content-Length, is passed over without a word; it is read.',
    why: 'A session without the TTL that was asked for never ends.',
  },
  'cached-is-current': {
    area: 'Consistency modes',
    what: 'X-Cache tells of a cache that reads with ?cached fill, and that may be behind; it tells whether the result was at hand, whichever read it was made for, and no result is kept longer than it is current.',
    why: 'All reads share their results here, so there is no second, older copy to choose.',
  },
  'content-length': {
    area: 'Transport',
    what: 'Answers of more than 2 KiB are sent in chunks; they are sent with their Content-Length.',
    why: 'The length is known.',
    everywhere: true,
  },
  'precise-indexes': {
    area: 'Blocking queries',
    what: 'The X-Consul-Index of many catalog, health and session reads is that of the newest change in a whole table; it is that of the newest change to what the read shows.',
    why: 'A change elsewhere then wakes no watcher that would see nothing new.',
    everywhere: true,
  },
  'index-of-nothing': {
    area: 'Blocking queries',
    what: 'A read of a node that is not there has the index 1; it has an index that can be waited for.',
    why: 'A client that waits with the index 1 asks in a loop.',
    everywhere: true,
  },
} as const satisfies Record<string, KnownDifference>;

/** A name that stands in the table. */
export type KnownDifferenceId = keyof typeof knownDifferences;
