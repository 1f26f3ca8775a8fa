import {
  GoFields,
  isJsonObject,
  renderJson,
  type JsonObject,
  type JsonValue,
} from '../compat/wire/go-json.ts';

/**
 * Canonical forms of catalog entries: the fields that clients can see, zero values left out, names sorted.
 * Two entries are the same when their canonical texts are. Left out on purpose: indexes (each side has its
 * own), Datacenter, Namespace and Partition, and what a check denormalises of its node.
 */
export type CatalogKind = 'node' | 'service' | 'check';

const fields: Readonly<Record<CatalogKind, readonly string[]>> = {
  node: ['ID', 'Node', 'Address', 'TaggedAddresses', 'Meta'],
  service: [
    'ID',
    'Kind',
    'Service',
    'Tags',
    'Meta',
    'Port',
    'Address',
    'SocketPath',
    'TaggedAddresses',
    'Weights',
    'EnableTagOverride',
    'Proxy',
    'Connect',
  ],
  check: [
    'CheckID',
    'Name',
    'Status',
    'Notes',
    'Output',
    'ServiceID',
    'ServiceName',
    'ServiceTags',
    'Type',
    'Definition',
  ],
};

/** Maps whose values are the user's own: an empty string in them is not the same as no entry. */
const userMaps: ReadonlySet<string> = new Set(['Meta', 'TaggedAddresses']);

export function canonicalCatalogValue(kind: CatalogKind, entry: JsonObject): JsonObject {
  const source = new GoFields(entry, kind);
  const chosen: Record<string, JsonValue> = {};
  for (const name of fields[kind]) {
    const value = source.raw(name);
    if (value === undefined) continue;
    const kept = userMaps.has(name) ? sortedMap(value) : withoutZeros(value);
    if (kept !== undefined) chosen[name] = kept;
  }
  return chosen;
}

/** JSON with the names of every object sorted, so that equal values have equal texts. */
export function canonicalText(value: JsonValue): string {
  return renderJson(sortNames(value));
}

/** The names of the fields in which two canonical values differ, sorted. */
export function differingFields(a: JsonObject, b: JsonObject): readonly string[] {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].toSorted();
  return names.filter((name) => canonicalText(a[name] ?? null) !== canonicalText(b[name] ?? null));
}

function sortedMap(value: JsonValue): JsonValue | undefined {
  return isJsonObject(value) && Object.keys(value).length > 0 ? sortNames(value) : undefined;
}

function withoutZeros(value: JsonValue): JsonValue | undefined {
  if (value === null || value === '' || value === 0 || value === false) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value;
  if (!isJsonObject(value)) return value;
  const kept: Record<string, JsonValue> = {};
  for (const name of Object.keys(value).toSorted()) {
    const field = withoutZeros(value[name] ?? null);
    if (field !== undefined) kept[name] = field;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}

function sortNames(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sortNames);
  if (!isJsonObject(value)) return value;
  const sorted: Record<string, JsonValue> = {};
  for (const name of Object.keys(value).toSorted()) sorted[name] = sortNames(value[name] ?? null);
  return sorted;
}
