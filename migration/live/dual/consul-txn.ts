import { isJsonObject, parseJson, renderJsonString, type JsonObject } from '../../../compat/wire/go-json.ts';
import { base64 } from '../../../compat/wire/kv-json.ts';
import type { KvDelete, KvPut } from '../../../src/state/kv.ts';
import type { KvEntry } from '../../source/consul-reader.ts';

// Dual writes as transactions at the source: the client's own operations between those that fence them and the one that
// tells the index of a deletion (migration-systems, section 2, "Dual write").

/** What Consul takes by default: `txn_max_req_len`, or the size of a value if that is more. */
export const txnBytesMax = 512 * 1024;

/** A key at the source whose index must still be this one. */
export interface FenceCheck {
  readonly key: string;
  readonly index: number;
}

export interface SetOp {
  readonly key: string;
  readonly value: string;
}

/** The body of a transaction: fences first, then `ops` (JSON texts), then what is set behind them. */
export function txnBody(
  fences: readonly FenceCheck[],
  ops: readonly string[],
  behind: readonly SetOp[],
): string {
  const checks = fences.map(
    ({ key, index }) => `{"KV":{"Verb":"check-index","Key":${renderJsonString(key)},"Index":${index}}}`,
  );
  const sets = behind.map(
    ({ key, value }) =>
      `{"KV":{"Verb":"set","Key":${renderJsonString(key)},"Value":"${base64(Buffer.from(value))}"}}`,
  );
  return `[${[...checks, ...ops, ...sets].join(',')}]`;
}

/** A PUT as an operation. `index`: of a `cas`, as the source knows it. */
export function putOp({ key, flags, value, mode }: KvPut, index: bigint): string {
  const rest = `"Key":${renderJsonString(key)},"Value":"${base64(value)}","Flags":${flags}`;
  switch (mode.kind) {
    case 'plain':
      return `{"KV":{"Verb":"set",${rest}}}`;
    case 'cas':
      return `{"KV":{"Verb":"cas",${rest},"Index":${index}}}`;
    case 'acquire':
      return `{"KV":{"Verb":"lock",${rest},"Session":${renderJsonString(mode.session)}}}`;
    case 'release':
      return `{"KV":{"Verb":"unlock",${rest},"Session":${renderJsonString(mode.session)}}}`;
  }
}

/** A DELETE as an operation. */
export function deleteOp(command: KvDelete, index: bigint): string {
  if (command.kind === 'kv-delete-tree') {
    return `{"KV":{"Verb":"delete-tree","Key":${renderJsonString(command.prefix)}}}`;
  }
  const key = renderJsonString(command.key);
  if (command.cas === undefined) return `{"KV":{"Verb":"delete","Key":${key}}}`;
  return `{"KV":{"Verb":"delete-cas","Key":${key},"Index":${index}}}`;
}

export interface TxnError {
  readonly opIndex: number;
  readonly what: string;
}

export type TxnAnswer =
  | { readonly kind: 'done'; readonly results: readonly JsonObject[] }
  | { readonly kind: 'failed'; readonly errors: readonly TxnError[] }
  | { readonly kind: 'other' };

/** What the source says of a transaction; `other`: nothing that could be read as an answer to one. */
export function readTxnAnswer(status: number, text: string): TxnAnswer {
  if (status !== 200 && status !== 409) return { kind: 'other' };
  const parsed = parseJson(text);
  if (!parsed.ok || !isJsonObject(parsed.value)) return { kind: 'other' };
  const { Results: results, Errors: errors } = parsed.value;
  if (status === 200) {
    if (results === null || results === undefined) return { kind: 'done', results: [] };
    if (!Array.isArray(results) || !results.every((item): item is JsonObject => isJsonObject(item))) {
      return { kind: 'other' };
    }
    return { kind: 'done', results };
  }
  if (!Array.isArray(errors)) return { kind: 'other' };
  return {
    kind: 'failed',
    errors: errors.map((item) => {
      const { OpIndex: opIndex, What: what } = isJsonObject(item) ? item : {};
      return {
        opIndex: typeof opIndex === 'number' ? opIndex : -1,
        what: typeof what === 'string' ? what : '',
      };
    }),
  };
}

/** The entry of a result; `value`: transactions do not repeat what was written. */
export function entryOf(result: JsonObject | undefined, value: Uint8Array): KvEntry | undefined {
  const kv = result?.['KV'];
  if (!isJsonObject(kv)) return undefined;
  const { Key: key, Flags: flags, Session: session, LockIndex: lockIndex } = kv;
  const { CreateIndex: createIndex, ModifyIndex: modifyIndex } = kv;
  if (typeof key !== 'string' || typeof modifyIndex !== 'number' || typeof createIndex !== 'number') {
    return undefined;
  }
  return {
    ...{ key, value, createIndex, modifyIndex },
    flags: typeof flags === 'bigint' ? flags : BigInt(typeof flags === 'number' ? flags : 0),
    session: typeof session === 'string' ? session : '',
    lockIndex: typeof lockIndex === 'number' ? lockIndex : 0,
  };
}

/** Consul refuses what a token may not do; of a transaction operation by operation. */
export function isDenied(what: string): boolean {
  return what.includes('Permission denied') || what.includes('ACL not found');
}

/**
 * How a plain request is answered where its operation failed: `false`, or 500 with Consul's text. Undefined: nobody
 * has seen this failure yet (texts of Consul 1.8.7).
 */
export function plainAnswerOf(what: string): false | string | undefined {
  if (
    what.endsWith(', index is stale') ||
    what.endsWith(', lock is already held') ||
    what.endsWith(' due to lock delay') ||
    what.endsWith(", lock isn't held, or is held by another session")
  ) {
    return false;
  }
  const is500 =
    what === 'missing session' ||
    what.startsWith('invalid session ') ||
    what.startsWith('failed session lookup: ');
  return is500 ? what : undefined;
}
