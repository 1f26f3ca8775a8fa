import { indentJson } from '../../../compat/wire/go-indent.ts';
import { isJsonObject, renderJson, type JsonObject, type JsonValue } from '../../../compat/wire/go-json.ts';
import { jsonType, type Reply } from '../../../compat/wire/http.ts';
import type { TxnOp } from '../../../src/state/txn.ts';
import type { KvEntry } from '../../source/consul-reader.ts';
import { entryOf, type TxnError } from './consul-txn.ts';
import { nameOfKey, nameOfTree, type OpenName } from './open-keys.ts';

/** What a client's transaction did to a key, as far as it can be told before its answer. */
type LastWrite =
  | { readonly kind: 'set'; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly at: number };

/** A client's transaction: its operations as they came, and what they write. */
export interface ClientTxn {
  readonly ops: readonly TxnOp[];
  readonly names: readonly OpenName[];
  readonly deletes: boolean;
}

export function clientTxn(ops: readonly TxnOp[]): ClientTxn {
  const names = new Set<OpenName>();
  let deletes = false;
  for (const op of ops) {
    if (op.kind !== 'kv') continue;
    if (op.verb === 'delete-tree') names.add(nameOfTree(op.key));
    else if (isSet(op.verb) || isDelete(op.verb)) names.add(nameOfKey(op.key));
    deletes ||= isDelete(op.verb) || op.verb === 'delete-tree';
  }
  return { ops, names: [...names], deletes };
}

function isSet(verb: string): boolean {
  return verb === 'set' || verb === 'cas' || verb === 'lock' || verb === 'unlock';
}

function isDelete(verb: string): boolean {
  return verb === 'delete' || verb === 'delete-cas';
}

export interface TxnEffects {
  readonly entries: readonly KvEntry[];
  readonly deleted: readonly string[];
  readonly trees: readonly string[];
  /** Written keys whose entry is not in the answer. */
  readonly unclear: readonly string[];
}

/**
 * What a transaction that went through left behind: all its operations have one index, and the last result of a key is
 * the key as it stands.
 */
export function effectsOf(ops: readonly TxnOp[], results: readonly JsonObject[]): TxnEffects {
  const last = new Map<string, LastWrite>();
  const trees: string[] = [];
  for (const [at, op] of ops.entries()) {
    if (op.kind !== 'kv') continue;
    if (isSet(op.verb)) last.set(op.key, { kind: 'set', value: op.value });
    else if (isDelete(op.verb)) last.set(op.key, { kind: 'delete', at });
    else if (op.verb === 'delete-tree') {
      trees.push(op.key);
      for (const key of last.keys()) if (key.startsWith(op.key)) last.set(key, { kind: 'delete', at });
    }
  }
  const found = new Map<string, JsonObject>();
  for (const result of results) {
    const kv = result['KV'];
    const key = isJsonObject(kv) ? kv['Key'] : undefined;
    if (typeof key === 'string') found.set(key, result);
  }
  const entries: KvEntry[] = [];
  const deleted: string[] = [];
  const unclear: string[] = [];
  for (const [key, write] of last) {
    if (write.kind === 'delete') {
      deleted.push(key);
      continue;
    }
    const entry = entryOf(found.get(key), write.value);
    if (entry === undefined) unclear.push(key);
    else entries.push(entry);
  }
  return { entries, deleted, trees, unclear };
}

/** The operations of a body with the indexes that the source knows. `op`s and items go by place. */
export function translated(
  items: readonly JsonValue[],
  indexOf: (key: string, index: bigint) => bigint,
): readonly JsonValue[] {
  return items.map((item) => {
    if (!isJsonObject(item)) return item;
    const [name, kv] = Object.entries(item).find(([field]) => field.toLowerCase() === 'kv') ?? [];
    if (name === undefined || !isJsonObject(kv)) return item;
    const field = (wanted: string): [string, JsonValue] | undefined =>
      Object.entries(kv).find(([each]) => each.toLowerCase() === wanted);
    const [indexName, index] = field('index') ?? [];
    const key = field('key')?.[1];
    if (indexName === undefined || typeof key !== 'string') return item;
    if (typeof index !== 'number' && typeof index !== 'bigint') return item;
    if (index <= 0 || !Number.isInteger(Number(index))) return item;
    const known = indexOf(key, BigInt(index));
    return known === BigInt(index) ? item : { ...item, [name]: { ...kv, [indexName]: known } };
  });
}

/** The answer to a client's transaction, as the source would give it to the client's operations alone. */
export function txnReply(results: readonly JsonObject[], pretty: boolean): Reply {
  return reply(200, `{"Results":${renderJson(results)},"Errors":null}`, pretty);
}

export function txnFailure(errors: readonly TxnError[], pretty: boolean): Reply {
  const shown = errors.map(({ opIndex, what }) => ({ OpIndex: opIndex, What: what }));
  return reply(409, `{"Results":null,"Errors":${renderJson(shown)}}`, pretty);
}

function reply(status: number, body: string, pretty: boolean): Reply {
  return { kind: 'reply', status, body: pretty ? indentJson(body) : body, contentType: jsonType };
}
