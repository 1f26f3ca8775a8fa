import type { KvRemark } from '../mirror/screening.ts';
import type { MirrorKind } from '../mirror/registers.ts';

/** Everything that is not simply copied, or is copied with something to know, is listed under one of these. */
export type NoticeCode =
  | KvRemark
  | 'session'
  | 'sessions-unseen'
  | 'source-server'
  | 'gateway-node'
  | 'odd-node-name'
  | 'mesh-service'
  | 'delete-withheld'
  | 'delete-unproved'
  | 'filtered-by-acl'
  | 'written-here'
  | 'refused';

export type NoticeAction = 'copied' | 'skipped' | 'kept' | 'withheld' | 'refused';

export type Notice = {
  readonly code: NoticeCode;
  readonly action: NoticeAction;
  readonly kind: MirrorKind | 'session' | 'prefix';
  readonly key: string;
  readonly detail?: string;
};

/** What each code means, as the summary prints it. */
export const noticeTexts: Readonly<Record<NoticeCode, string>> = {
  'held-lock': 'locks that a session holds: a session lives only in the cluster that made it',
  'semaphore-with-holders': 'semaphores with holders: their sessions live only at the source',
  'free-lock': 'lock keys that nobody holds',
  'free-semaphore': 'semaphore keys without holders',
  'value-too-large': 'values above 512 KiB',
  'not-utf8': 'keys that are not UTF-8: the API does not give their true names',
  'non-printable': 'keys with non-printable characters: no URL can name them, only /v1/txn',
  'leading-slash': 'keys with a leading slash: no URL can name them, only /v1/txn',
  'double-slash': 'keys with empty segments: no URL can name them, only /v1/txn',
  'dot-segment': 'keys with . or .. segments: no URL can name them, only /v1/txn',
  'outer-space': 'keys that start or end with a space: newer Consuls refuse them',
  'refused-by-1.21.5': 'keys that Consul 1.21.5 refuses (later versions take most of them again)',
  session: 'sessions: they expire with the source; clients make new ones here',
  'sessions-unseen': 'sessions could not be listed',
  'source-server': "the source servers' own service `consul`",
  'gateway-node': "nodes that bear a gateway's name",
  'odd-node-name': 'nodes whose name has a slash, a dot segment or a non-printable character',
  'mesh-service': 'services of the mesh, copied as plain services',
  'delete-withheld': 'deletes held back by the mass-delete breaker: --allow-deletes lets them through',
  'delete-unproved': 'absent at the source, without proof that it was deleted',
  'filtered-by-acl': 'lists shortened by ACLs: the token does not see everything, nothing was deleted there',
  'written-here': 'entries written at the gateway under its own authority',
  refused: 'entries that the gateway refused',
};

export type NoticeSummary = {
  readonly code: NoticeCode;
  readonly action: NoticeAction;
  count: number;
  readonly examples: string[];
};

const examplesMax = 20;

/** Counts notices by code and action, with the first few keys of each. */
export class NoticeBook {
  readonly #entries = new Map<string, NoticeSummary>();
  readonly #onNotice: (notice: Notice) => void;

  constructor(onNotice: (notice: Notice) => void, restored: readonly NoticeSummary[] = []) {
    this.#onNotice = onNotice;
    for (const entry of restored) {
      this.#entries.set(`${entry.code} ${entry.action}`, { ...entry, examples: [...entry.examples] });
    }
  }

  add(notice: Notice): void {
    const id = `${notice.code} ${notice.action}`;
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      entry = { code: notice.code, action: notice.action, count: 0, examples: [] };
      this.#entries.set(id, entry);
    }
    entry.count += 1;
    if (entry.examples.length < examplesMax) {
      entry.examples.push(notice.detail === undefined ? notice.key : `${notice.key} (${notice.detail})`);
    }
    this.#onNotice(notice);
  }

  summary(): readonly NoticeSummary[] {
    return [...this.#entries.values()];
  }
}
