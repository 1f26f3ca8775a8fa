import type { Confirmation, Freshness, ReadScope, Unconfirmed } from '../fleet/port.ts';
import type { Read } from '../wire/http.ts';
import type { ReadOptions } from '../wire/read-options.ts';
import type { FlatHeaders } from './reply-writer.ts';

// Whom a read has to ask before it is answered from here, and what its headers say of that.

export interface Owners {
  readonly freshness: (scope: ReadScope) => Freshness;
  /** Asks the owners for `?consistent` reads; unset: this gateway decides everything itself. */
  readonly confirm?: (scope: ReadScope) => Promise<Confirmation>;
}

/** How an answer came about. */
export interface AnsweredHow {
  /** From a result that was kept. */
  readonly kept?: boolean;
  /** The owners had confirmed that it is the newest. */
  readonly confirmed: boolean;
}

/** What Consul sends beside the error of a read that got no answer, but for KV's. */
export const unansweredRead: FlatHeaders = [
  ...['X-Consul-Index', '1'],
  ...['X-Consul-Knownleader', 'false'],
  ...['X-Consul-Lastcontact', '0'],
];

export const noScopes: readonly ReadScope[] = [];
const catalogScope: ReadScope = { kind: 'catalog' };
const confirmedFreshness: Freshness = { knownLeader: true, lastContactMs: 0 };

/** Of these, what the owners are asked about before it is read here. */
export function scopesToConfirm(
  { freshness, confirm }: Owners,
  scopes: readonly ReadScope[],
  options: ReadOptions | undefined,
): readonly ReadScope[] {
  if (options === undefined || confirm === undefined) return noScopes;
  if (options.consistency === 'consistent') return scopes;
  const staleMsMax = options.maxStaleMs ?? 0;
  if (staleMsMax <= 0) return noScopes;
  return scopes.filter((scope) => freshness(scope).lastContactMs > staleMsMax);
}

export function readScopes(read: Read): readonly ReadScope[] {
  return read.agentLocal === true ? noScopes : [read.scope ?? catalogScope];
}

/** Whether what is asked for may be more than what is here: what is read by default costs nothing more. */
export function mayAskOwners(options: ReadOptions | undefined): options is ReadOptions {
  return options !== undefined && (options.consistency !== 'default' || options.maxStaleMs !== undefined);
}

/** Resolves when this replica has what the owners had, with the first problem if there is one. */
export async function confirmAll(
  confirm: NonNullable<Owners['confirm']>,
  scopes: readonly ReadScope[],
): Promise<Unconfirmed | undefined> {
  const confirmations = await Promise.all(scopes.map((scope) => confirm(scope)));
  return confirmations.find((confirmation) => confirmation.kind === 'unconfirmed');
}

/** Beside the 500 of a read that could not be answered. */
export function failedHeaders(read: Read): FlatHeaders {
  return read.scope?.kind === 'key' || read.scope?.kind === 'prefix' ? [] : unansweredRead;
}

/** KnownLeader, LastContact, Effective-Consistency, and those of the cache. */
export function pushConsistency(
  headers: FlatHeaders,
  { freshness }: Owners,
  read: Read,
  options: ReadOptions | undefined,
  { kept, confirmed }: AnsweredHow,
): void {
  const { knownLeader, lastContactMs, remote }: Freshness = confirmed
    ? confirmedFreshness
    : freshness(read.scope ?? catalogScope);
  if (read.agentLocal !== true) {
    headers.push('X-Consul-Knownleader', knownLeader ? 'true' : 'false');
    headers.push('X-Consul-Lastcontact', String(lastContactMs));
  }
  if (read.effectiveConsistency === true) {
    headers.push('X-Consul-Effective-Consistency', effective(options, confirmed, remote === true));
  }
  if (options?.cached !== true) return;
  headers.push('X-Cache', kept === true ? 'HIT' : 'MISS');
  // What is kept is what the replica has, so it is as old as the replica's newest proof that it has all.
  if (kept === true) headers.push('Age', String(Math.round(lastContactMs / 1000)));
}

/** `leader` is said of what the deciding gateway itself answers, or confirmed. */
function effective(options: ReadOptions | undefined, confirmed: boolean, remote: boolean): string {
  const consistency = options?.consistency ?? 'default';
  if (consistency === 'consistent') return 'consistent';
  if (confirmed) return 'leader';
  return consistency === 'stale' || remote ? 'stale' : 'leader';
}
