import { prefixEnd } from '../../src/kernel/utf8-order.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { MirrorRecord } from '../../src/state/mirror.ts';
import { catalogKey, keySeparator } from '../../src/state/topics.ts';
import {
  encodeKv,
  encodeValue,
  type CheckValue,
  type NodeValue,
  type ServiceValue,
} from '../../src/state/values.ts';
import { decodeCheck, decodeNode, decodeService } from '../wire/catalog-decode.ts';
import { decodeGoBase64 } from '../wire/go-base64.ts';
import { GoFields, isJsonObject, type JsonObject, type JsonValue } from '../wire/go-json.ts';
import { entryDigest, type MirrorDigest } from './mirror-digest.ts';

export const mirrorKinds = {
  kv: Kind.kv,
  node: Kind.node,
  service: Kind.service,
  check: Kind.check,
} as const;

export type MirrorKindName = keyof typeof mirrorKinds;

export function isMirrorKind(name: string): name is MirrorKindName {
  return Object.hasOwn(mirrorKinds, name);
}

export interface RecordContext {
  /** Nodes of gateways, in lower case: their entries are their own. */
  readonly gatewayNodes: ReadonlySet<string>;
  readonly valueBytesMax: number;
  readonly digest: MirrorDigest;
}

/** A record as the state machine takes it; the error says why it is refused. */
export function decodeRecord(
  kind: MirrorKindName,
  fields: GoFields,
  context: RecordContext,
): Result<MirrorRecord, string> {
  const key = fields.string('Key');
  const stamp = fields.int('Stamp');
  const deleted = fields.bool('Deleted');
  const created = fields.int('Created');
  if (fields.problem !== undefined) return err(fields.problem);
  if (key === '') return err('Key is empty');
  if (stamp < 1) return err('Stamp must be the ModifyIndex, 1 or above');
  const version = { kind: mirrorKinds[kind], stamp, born: created };
  if (kind === 'kv') return deleted ? ok({ ...version, key, value: null, ix: null }) : kvRecord(key, fields);

  if (key.includes(keySeparator)) return err('Key must not contain the character U+0001');
  const cut = kind === 'node' ? key.length : key.indexOf('/');
  if (cut <= 0) return err(`Key of a ${kind} is <node>/<id>`);
  const node = key.slice(0, cut);
  const id = key.slice(cut + 1);
  if (kind !== 'node' && id === '') return err(`Key of a ${kind} is <node>/<id>`);
  if (context.gatewayNodes.has(node.toLowerCase())) {
    return err(`node ${JSON.stringify(node)} is a gateway's own`);
  }
  const held = kind === 'node' ? catalogKey(node) : catalogKey(node, id);
  if (deleted) return ok({ ...version, key: held, value: null, ix: null, name: key });
  const raw = fields.raw('Value');
  if (!isJsonObject(raw)) return err('Value must be an object');
  const entry = decodeEntry(kind, raw, node, id);
  if (!entry.ok) return entry;
  const value = withSourceDigest(kind, entry.value.value, raw, context.digest);
  return ok({ ...version, key: held, value: encodeValue(value), ix: entry.value.ix });

  function kvRecord(kvKey: string, record: GoFields): Result<MirrorRecord, string> {
    const bytes = decodeGoBase64(record.string('Value'));
    const flags = record.uint64('Flags');
    if (record.problem !== undefined) return err(record.problem);
    if (!bytes.ok) return bytes;
    if (bytes.value.length > context.valueBytesMax) {
      return err(
        `value of ${bytes.value.length} bytes is above kv_max_value_size (${context.valueBytesMax} bytes)`,
      );
    }
    const encoded = encodeKv({ flags, lockIndex: 0, session: '', value: bytes.value });
    return ok({ ...version, key: kvKey, value: encoded, ix: null });
  }
}

interface Entry {
  readonly value: NodeValue | ServiceValue | CheckValue;
  readonly ix: string | null;
}

function decodeEntry(
  kind: Exclude<MirrorKindName, 'kv'>,
  raw: JsonObject,
  node: string,
  id: string,
): Result<Entry, string> {
  const fields = new GoFields(raw, kind);
  const entry = entryOf(kind, fields, node);
  if (fields.problem !== undefined) return err(fields.problem);
  const named = kind === 'node' ? node : id;
  if (entry.name !== named) {
    return err(`Value is of ${JSON.stringify(entry.name)}, but Key names ${JSON.stringify(named)}`);
  }
  if (entry.value.node !== node) {
    return err(`Value is on node ${JSON.stringify(entry.value.node)}, but Key names ${JSON.stringify(node)}`);
  }
  return ok(entry);
}

function entryOf(
  kind: Exclude<MirrorKindName, 'kv'>,
  fields: GoFields,
  node: string,
): Entry & { readonly name: string } {
  switch (kind) {
    case 'node': {
      const value = decodeNode(fields, 'Meta');
      return { value, name: value.node, ix: value.id === '' ? null : value.id.toLowerCase() };
    }
    case 'service': {
      const value = decodeService(fields, node);
      return { value, name: value.id, ix: value.service.toLowerCase() };
    }
    case 'check': {
      const value = decodeCheck(fields, node, false);
      const ix = value.serviceId === '' ? null : value.serviceName.toLowerCase();
      return { value, name: value.checkId, ix };
    }
  }
}

/** Keeps the source's digest where what is kept would have another one. */
function withSourceDigest<T extends Entry['value']>(
  kind: Exclude<MirrorKindName, 'kv'>,
  value: T,
  raw: JsonObject,
  digest: MirrorDigest,
): T {
  const theirs = digest.catalog(kind, raw);
  return theirs === entryDigest(kind, value, digest) ? value : { ...value, sourceDigest: theirs };
}

/** The part of a kind's keys in which everything under a prefix of wire keys lies. */
export function catalogRange(
  kind: Exclude<MirrorKindName, 'kv'>,
  prefix: string,
): { readonly from: string; readonly to: string | undefined } {
  const cut = kind === 'node' ? -1 : prefix.indexOf('/');
  const from = cut < 0 ? catalogKey(prefix) : catalogKey(prefix.slice(0, cut), prefix.slice(cut + 1));
  return { from, to: prefixEnd(from) };
}

/** Reads an array of objects; the error names the first that is none. */
export function objectsOf(values: readonly JsonValue[]): Result<readonly JsonObject[], string> {
  const bad = values.findIndex((value) => !isJsonObject(value));
  return bad < 0 ? ok(values as readonly JsonObject[]) : err(`Records[${bad}] must be an object`);
}
