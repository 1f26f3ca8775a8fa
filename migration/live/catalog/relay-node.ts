import { decodeRecord, mirrorKinds } from '../../../compat/routes/mirror-decode.ts';
import type { MirrorDigest } from '../../../compat/routes/mirror-digest.ts';
import { GoFields, isJsonObject, type JsonObject, type JsonValue } from '../../../compat/wire/go-json.ts';
import { decodeJsonBody } from '../../../compat/wire/json-body.ts';
import { checksOfNode, checkValue, getNode, servicesOfNode } from '../../../src/state/catalog.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import { mirrorName } from '../../../src/state/mirror.ts';
import type { ReadView, Row } from '../../../src/state/store.ts';
import { canonicalCatalogValue, type CatalogKind } from '../../canonical.ts';
import { digestCatalog, digestKv } from '../../digest.ts';
import type { SourceClient } from '../proxy/source-client.ts';

const mirrorDigest: MirrorDigest = {
  kv: digestKv,
  catalog: (kind, entry) => digestCatalog(kind, canonicalCatalogValue(kind, entry)),
};

/** A node of the source with all that is on it, read consistently: its entries and their checks. */
export interface SourceNode {
  /** Undefined: there is no such node. */
  readonly node: JsonObject | undefined;
  readonly services: readonly JsonObject[];
  readonly checks: readonly JsonObject[];
  /** That all readings are at least as new as: of the list of nodes, read first. One missing node's own index is 1. */
  readonly index: number;
}

/** Undefined: it could not be read, or nothing can be concluded from what was read. */
export async function readSourceNode(
  client: SourceClient,
  token: string,
  name: string,
): Promise<SourceNode | undefined> {
  const encoded = encodeURIComponent(name);
  const before = await readJson(client, token, '/v1/catalog/nodes?consistent&filter=Node==%22%22');
  const [node, checks] = await Promise.all([
    readJson(client, token, `/v1/catalog/node/${encoded}?consistent`),
    readJson(client, token, `/v1/health/node/${encoded}?consistent`),
  ]);
  if (before === undefined || node === undefined || checks === undefined) return undefined;
  const body = isJsonObject(node.value) ? node.value : {};
  const services = isJsonObject(body['Services']) ? Object.values(body['Services']) : [];
  return {
    node: isJsonObject(body['Node']) ? body['Node'] : undefined,
    services: services.filter((each) => isJsonObject(each)),
    checks: Array.isArray(checks.value) ? checks.value.filter((each) => isJsonObject(each)) : [],
    index: Math.max(before.index, Math.min(node.index, checks.index)),
  };
}

async function readJson(
  client: SourceClient,
  token: string,
  path: string,
): Promise<{ readonly value: JsonValue; readonly index: number } | undefined> {
  const answer = await client.ask({ method: 'GET', path, token });
  if (answer.kind !== 'answer' || answer.status !== 200) return undefined;
  if (answer.header('x-consul-results-filtered-by-acls') === 'true') return undefined;
  if (answer.header('x-consul-knownleader') === 'false') return undefined;
  const index = Number(answer.header('x-consul-index') ?? Number.NaN);
  const parsed = decodeJsonBody(answer.body);
  return parsed.ok && index > 0 ? { value: parsed.value, index } : undefined;
}

/** What a node's entries are as records of a mirror; those that cannot be taken are left to the copying. */
export function recordsOf(
  name: string,
  found: SourceNode,
  context: { readonly gatewayNodes: ReadonlySet<string> },
): readonly MirrorRecord[] {
  const records: MirrorRecord[] = [];
  const add = (kind: CatalogKind, key: string, entry: JsonObject): void => {
    const fields = new GoFields(entry, kind);
    const value = canonicalCatalogValue(kind, entry);
    const record = {
      ...{ Kind: kind, Key: key, Value: value },
      ...{ Stamp: fields.int('ModifyIndex'), Created: fields.int('CreateIndex') },
    };
    const decoded = decodeRecord(kind, new GoFields(record, 'MirrorRecord'), {
      ...context,
      valueBytesMax: Infinity,
      digest: mirrorDigest,
    });
    if (decoded.ok) records.push(decoded.value);
  };
  if (found.node !== undefined) add('node', name, found.node);
  for (const service of found.services) {
    if (textOf(service, 'Service') !== 'consul') add('service', `${name}/${textOf(service, 'ID')}`, service);
  }
  for (const check of found.checks) {
    if (textOf(check, 'ServiceName') !== 'consul') add('check', `${name}/${textOf(check, 'CheckID')}`, check);
  }
  return records;
}

/** What a client took out at the source, and a reading after that does not show any more. */
export function removalsOf(
  view: ReadView,
  removed: { readonly node: string; readonly serviceId: string; readonly checkId: string },
  found: SourceNode,
): readonly MirrorRecord[] {
  const { node, serviceId, checkId } = removed;
  const whole = serviceId === '' && checkId === '';
  const services = new Set(found.services.map((each) => textOf(each, 'ID').toLowerCase()));
  const checks = new Set(found.checks.map((each) => textOf(each, 'CheckID').toLowerCase()));
  const idOf = (row: Row): string => mirrorName(row).slice(mirrorName(row).indexOf('/') + 1);
  const isNamed = (row: Row): boolean => {
    const id = idOf(row).toLowerCase();
    if (row.kind === mirrorKinds.service) {
      return !services.has(id) && (whole || id === serviceId.toLowerCase());
    }
    const ofService = serviceId !== '' && checkValue(row).serviceId.toLowerCase() === serviceId.toLowerCase();
    return !checks.has(id) && (whole || ofService || id === checkId.toLowerCase());
  };
  const held = getNode(view, node);
  return [
    ...[...checksOfNode(view, node)].filter(isNamed),
    ...[...servicesOfNode(view, node)].filter(isNamed),
    ...(whole && found.node === undefined && held !== undefined ? [held] : []),
  ].map((row) => ({
    ...{ kind: row.kind as MirrorRecord['kind'], key: row.key, stamp: found.index, born: row.born },
    ...{ value: null, ix: null, name: mirrorName(row) },
  }));
}

/** A field that is a text; '' where it is none. */
export function textOf(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === 'string' ? value : '';
}
