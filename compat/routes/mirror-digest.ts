import type { Row } from '../../src/state/store.ts';
import {
  decodeKv,
  decodeValue,
  type CheckValue,
  type NodeValue,
  type ServiceValue,
} from '../../src/state/values.ts';
import { renderCheck, renderNode, renderNodeService } from '../wire/catalog-json.ts';
import { isJsonObject, parseJson, type JsonObject } from '../wire/go-json.ts';

/**
 * The digests by which a mirror compares its source with this gateway without moving values; the same functions on
 * both sides, handed in because they belong to the mirror.
 */
export interface MirrorDigest {
  /** Hex SHA-256 of a key's value and flags. */
  kv(value: Uint8Array, flags: bigint): string;
  /** Hex SHA-256 of what clients can see of an entry, from its JSON as Consul has it. */
  catalog(kind: 'node' | 'service' | 'check', entry: JsonObject): string;
}

const noIndexes = { createIndex: 0, modifyIndex: 0 };

/** Digest of an entry as it is held. */
export function entryDigest(
  kind: 'node' | 'service' | 'check',
  value: NodeValue | ServiceValue | CheckValue,
  digest: MirrorDigest,
): string {
  const parsed = parseJson(renderEntry(kind, value));
  return parsed.ok && isJsonObject(parsed.value) ? digest.catalog(kind, parsed.value) : '';
}

function renderEntry(
  kind: 'node' | 'service' | 'check',
  value: NodeValue | ServiceValue | CheckValue,
): string {
  switch (kind) {
    case 'node':
      return renderNode(value as NodeValue, '', noIndexes);
    case 'service':
      return renderNodeService(value as ServiceValue, noIndexes);
    case 'check':
      return renderCheck(value as CheckValue, noIndexes);
  }
}

/** Digest of a live row. */
export function rowDigest(kind: 'kv' | 'node' | 'service' | 'check', row: Row, digest: MirrorDigest): string {
  if (kind === 'kv') {
    const { value, flags } = decodeKv(row.value as Uint8Array);
    return digest.kv(value, flags);
  }
  const value = decodeValue<NodeValue | ServiceValue | CheckValue>(row.value as Uint8Array);
  return value.sourceDigest ?? entryDigest(kind, value, digest);
}
