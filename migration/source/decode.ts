import { isJsonObject, parseJson, type JsonObject, type JsonValue } from '../../compat/wire/go-json.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { CatalogEntry, KvEntry } from './consul-reader.ts';
import type { RawEntry } from './raw-entry.ts';

/** Decoders of Consul's answers. Errors are one line that names the field. */

export function decodeNames(text: string): Result<readonly string[], string> {
  const json = parseJson(text);
  if (!json.ok) return err(json.error);
  const names = json.value;
  if (!Array.isArray(names) || !names.every((name): name is string => typeof name === 'string')) {
    return err('expected an array of strings');
  }
  return ok(names);
}

export function decodeObjects(text: string): Result<readonly JsonObject[], string> {
  const json = parseJson(text);
  if (!json.ok) return err(json.error);
  const list = json.value ?? [];
  if (!Array.isArray(list) || !list.every((item): item is JsonObject => isJsonObject(item))) {
    return err('expected an array of objects');
  }
  return ok(list);
}

export function decodeObject(text: string): Result<JsonObject | null, string> {
  const json = parseJson(text);
  if (!json.ok) return err(json.error);
  if (json.value !== null && !isJsonObject(json.value)) return err('expected an object');
  return ok(json.value);
}

export function decodeKvList(text: string): Result<KvEntry[], string> {
  const objects = decodeObjects(text);
  if (!objects.ok) return objects;
  const entries: KvEntry[] = [];
  for (const object of objects.value) {
    const entry = decodeKvEntry(object);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  return ok(entries);
}

/** Results of a read-only transaction that holds KV reads only. */
export function decodeTxnKv(text: string): Result<KvEntry[], string> {
  const body = decodeObject(text);
  if (!body.ok) return body;
  const results = body.value?.['Results'] ?? [];
  if (!Array.isArray(results)) return err('Results is no array');
  const entries: KvEntry[] = [];
  for (const result of results) {
    const kv = isJsonObject(result) ? result['KV'] : undefined;
    if (!isJsonObject(kv)) return err('a result without KV');
    const entry = decodeKvEntry(kv);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  return ok(entries);
}

function decodeKvEntry(object: JsonObject): Result<KvEntry, string> {
  const key = object['Key'];
  if (typeof key !== 'string') return err('an entry without Key');
  const value = decodeBase64(object['Value']);
  if (value === null) return err(`${JSON.stringify(key)}: Value is not base64`);
  const flags = uint64(object['Flags']);
  const modifyIndex = index(object['ModifyIndex']);
  const createIndex = index(object['CreateIndex']);
  if (flags === null) return err(`${JSON.stringify(key)}: Flags is no uint64`);
  if (modifyIndex === null || createIndex === null || modifyIndex === 0) {
    return err(`${JSON.stringify(key)}: CreateIndex or ModifyIndex is no index`);
  }
  const session = object['Session'];
  const lockIndex = index(object['LockIndex']);
  return ok({
    key,
    value,
    flags,
    session: typeof session === 'string' ? session : '',
    lockIndex: lockIndex ?? 0,
    createIndex,
    modifyIndex,
  });
}

export function decodeCatalogEntry(object: JsonObject, what: string): Result<CatalogEntry, string> {
  const createIndex = index(object['CreateIndex']);
  const modifyIndex = index(object['ModifyIndex']);
  if (createIndex === null || modifyIndex === null)
    return err(`${what}: CreateIndex or ModifyIndex is no index`);
  return ok({ createIndex, modifyIndex, raw: object });
}

/** Integers that a number cannot hold are made strings: only Flags may be so large. Within a string the quotes differ. */
const wideFlags = /"Flags":(\d{16,})/g;

/**
 * Entries of a list, or of a transaction's results, with values left in base64: several times as fast as
 * `decodeKvList` where most entries are known already.
 */
export function decodeRawKv(body: string, of: 'list' | 'txn' = 'list'): Result<RawEntry[], string> {
  let json: unknown;
  try {
    json = JSON.parse(body.replace(wideFlags, '"Flags":"$1"'));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
  const list = of === 'list' ? json : (json as { Results?: unknown } | null)?.Results;
  if (list === null || list === undefined) return ok([]);
  if (!Array.isArray(list)) return err('expected an array');
  const entries: RawEntry[] = [];
  for (const item of list as readonly unknown[]) {
    const fields = (of === 'list' ? item : (item as { KV?: unknown } | null)?.KV) as Record<
      string,
      unknown
    > | null;
    if (typeof fields !== 'object' || fields === null) return err('an entry that is no object');
    const key = fields['Key'];
    if (typeof key !== 'string') return err('an entry without Key');
    const text = fields['Value'] ?? '';
    const modifyIndex = fields['ModifyIndex'];
    const createIndex = fields['CreateIndex'];
    const lockIndex = fields['LockIndex'] ?? 0;
    const flags = fields['Flags'] ?? 0;
    const session = fields['Session'];
    if (typeof text !== 'string') return err(`${JSON.stringify(key)}: Value is not base64`);
    if (
      !isIndex(modifyIndex) ||
      !isIndex(createIndex) ||
      !isIndex(lockIndex) ||
      (of === 'list' && modifyIndex === 0)
    ) {
      return err(`${JSON.stringify(key)}: CreateIndex or ModifyIndex is no index`);
    }
    if (typeof flags !== 'string' && !isIndex(flags))
      return err(`${JSON.stringify(key)}: Flags is no uint64`);
    entries.push({
      key,
      text,
      flags: BigInt(flags),
      session: typeof session === 'string' ? session : '',
      lockIndex,
      createIndex,
      modifyIndex,
    });
  }
  return ok(entries);
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

function decodeBase64(value: JsonValue | undefined): Uint8Array | null {
  if (value === null || value === undefined) return new Uint8Array(0);
  if (typeof value !== 'string' || value.length % 4 !== 0 || !base64.test(value)) return null;
  return Buffer.from(value, 'base64');
}

function uint64(value: JsonValue | undefined): bigint | null {
  if (value === undefined || value === null) return 0n;
  if (typeof value === 'bigint') return value >= 0n && value <= 0xffff_ffff_ffff_ffffn ? value : null;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : null;
}

/** An index stays a number: beyond 2^53 it could not be ordered, and no Consul gets there. */
function index(value: JsonValue | undefined): number | null {
  if (value === undefined || value === null) return 0;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}
