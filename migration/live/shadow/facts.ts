import {
  isJsonObject,
  parseJson,
  renderJson,
  type JsonObject,
  type JsonValue,
} from '../../../compat/wire/go-json.ts';
import { isGatewayKey, maskedFields, maskedIndexes } from './ignore.ts';
import type { Question } from './question.ts';

/** The answer of one side. */
export interface SideAnswer {
  readonly status: number;
  /** X-Consul-Index; 0 when there was none. */
  readonly index: number;
  readonly body: Uint8Array | string;
  readonly contentType: string | undefined;
  /** It said that the token may not see all. */
  readonly filtered?: boolean;
}

/** One entry of an answer, reduced to what comparing looks at. */
export interface EntryFacts {
  readonly content: string;
  /** As `content`, with what the rules pass over. */
  readonly strict: string;
  /** As `content`, without the Status of checks; undefined where there is none. */
  readonly withoutStatus?: string;
  readonly flags: string;
  readonly session: string;
  readonly lockIndex: number;
  /** Of a key: the source's ModifyIndex, as far as it is known. */
  readonly version: number | undefined;
  readonly length: number;
}

export interface Facts {
  readonly status: number;
  readonly index: number;
  readonly contentType: string | undefined;
  readonly entries: ReadonlyMap<string, EntryFacts>;
  /** Undefined: the order tells nothing. */
  readonly order: readonly string[] | undefined;
  /** What the rules leave out altogether, so that leaving it out can be counted. */
  readonly leftOut: string;
  /** The token may not see all of it. */
  readonly hidden: boolean;
}

export interface FactsContext {
  /** Names of the fleet's gateways, in lower case: their own nodes are nobody's copy. */
  readonly gatewayNodes: ReadonlySet<string>;
  /** Of a key as it is held here: the source's ModifyIndex that it was copied with. Undefined for the source's own answers. */
  readonly versionHere?: (key: string, shownIndex: number) => number | undefined;
}

/** Undefined: the answer is not what this endpoint answers (an error text, a proxy's page). */
export function factsOf(question: Question, answer: SideAnswer, context: FactsContext): Facts | undefined {
  const { status, index } = answer;
  const contentType = answer.contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const hidden = answer.filtered === true || status === 401 || status === 403;
  const shared = { status, index, contentType, hidden };
  const none = { ...shared, entries: new Map<string, EntryFacts>(), order: undefined, leftOut: '' };
  // No such key: an answer, and an empty one.
  if (status === 404 && question.of === 'kv') return none;
  if (status !== 200) return { ...none, entries: new Map([['', textEntry(textOf(answer.body))]]) };
  if (question.form === 'kv-raw') return { ...none, entries: rawEntry(question, answer, context) };
  const json = parseJson(textOf(answer.body));
  if (!json.ok) return undefined;
  const value = json.value;
  switch (question.form) {
    case 'kv-entries':
      return Array.isArray(value) ? { ...none, ...keyEntries(value, context) } : undefined;
    case 'kv-names':
      return Array.isArray(value) ? { ...none, ...nameEntries(value) } : undefined;
    case 'catalog-list':
      return Array.isArray(value) ? { ...none, ...catalogEntries(question, value, context) } : undefined;
    case 'catalog-services':
      return isJsonObject(value) ? { ...none, ...serviceNames(value) } : undefined;
    case 'catalog-node':
      return { ...none, ...nodeEntries(value, context) };
  }
}

type Part = Pick<Facts, 'entries' | 'order' | 'leftOut'>;

function rawEntry(
  question: Question,
  answer: SideAnswer,
  context: FactsContext,
): ReadonlyMap<string, EntryFacts> {
  const key = question.key ?? '';
  const { body, index } = answer;
  const content = typeof body === 'string' ? Buffer.from(body).toString('base64') : base64(body);
  const version = context.versionHere === undefined ? index : context.versionHere(key, index);
  return new Map([[key, { ...textEntry(content), version }]]);
}

function keyEntries(list: readonly JsonValue[], context: FactsContext): Part {
  const entries = new Map<string, EntryFacts>();
  const leftOut: string[] = [];
  for (const item of list) {
    if (!isJsonObject(item)) continue;
    const {
      Key: key,
      Value: value,
      Flags: flags,
      Session: session,
      LockIndex: lockIndex,
      ModifyIndex: shown,
    } = item;
    const name = shownText(key);
    if (isGatewayKey(name)) {
      leftOut.push(name);
      continue;
    }
    const content = typeof value === 'string' ? value : '';
    const index = Number(shown ?? 0);
    entries.set(name, {
      content,
      strict: value === null ? content : `=${content}`,
      flags: shownText(flags ?? 0),
      session: typeof session === 'string' ? session : '',
      lockIndex: Number(lockIndex ?? 0),
      version: context.versionHere === undefined ? index : context.versionHere(name, index),
      length: Math.floor((content.length * 3) / 4),
    });
  }
  return { entries, order: [...entries.keys()], leftOut: leftOut.join('\n') };
}

function nameEntries(list: readonly JsonValue[]): Part {
  const names = list.map(String);
  const kept = names.filter((name) => !isGatewayKey(name));
  const leftOut = names.filter(isGatewayKey).join('\n');
  return { entries: new Map(kept.map((name) => [name, textEntry('')])), order: kept, leftOut };
}

function catalogEntries(question: Question, list: readonly JsonValue[], context: FactsContext): Part {
  const entries = new Map<string, EntryFacts>();
  const leftOut: string[] = [];
  const order: string[] = [];
  for (const item of list) {
    const object = isJsonObject(item) ? item : { value: item };
    const { node, service, check } = namesIn(object);
    if (context.gatewayNodes.has(node) || isSourceServer(object)) {
      leftOut.push(loose(object));
      continue;
    }
    let id = `${node}/${service}/${check}`;
    while (entries.has(id)) id += '+';
    entries.set(id, catalogEntry(object));
    order.push(id);
  }
  if (question.near) leftOut.push(order.join('\n'));
  return { entries, order: undefined, leftOut: leftOut.toSorted().join('\n') };
}

function serviceNames(services: JsonObject): Part {
  const entries = new Map<string, EntryFacts>();
  for (const [name, tags] of Object.entries(services)) {
    if (name === 'consul') continue;
    const sorted = Array.isArray(tags) ? tags.map(String).toSorted() : [];
    entries.set(name, textEntry(JSON.stringify(sorted)));
  }
  return { entries, order: undefined, leftOut: renderJson(services['consul'] ?? null) };
}

/** `null`, or a node with its services: by id in an object, or in a list. */
function nodeEntries(value: JsonValue, context: FactsContext): Part {
  const entries = new Map<string, EntryFacts>();
  if (!isJsonObject(value) || !isJsonObject(value['Node'])) return { entries, order: undefined, leftOut: '' };
  if (context.gatewayNodes.has(shownText(value['Node']['Node']).toLowerCase())) {
    return { entries, order: undefined, leftOut: loose(value) };
  }
  entries.set('node', catalogEntry(value['Node']));
  const services = value['Services'];
  const list = Array.isArray(services) ? services : isJsonObject(services) ? Object.values(services) : [];
  const leftOut: string[] = [];
  for (const service of list) {
    if (!isJsonObject(service)) continue;
    if (isSourceServer(service)) leftOut.push(loose(service));
    else entries.set(`service/${shownText(service['ID'])}`, catalogEntry(service));
  }
  return { entries, order: undefined, leftOut: leftOut.toSorted().join('\n') };
}

function namesIn(object: JsonObject): { node: string; service: string; check: string } {
  const node = isJsonObject(object['Node']) ? object['Node']['Node'] : object['Node'];
  const nested = object['Service'];
  const service = isJsonObject(nested) ? nested['ID'] : object['ServiceID'];
  return {
    node: shownText(node).toLowerCase(),
    service: shownText(service),
    check: shownText(object['CheckID']),
  };
}

/** The service `consul`, its checks: the source's servers, which are not copied. */
function isSourceServer(object: JsonObject): boolean {
  const nested = object['Service'];
  return (isJsonObject(nested) ? nested['Service'] : (nested ?? object['ServiceName'])) === 'consul';
}

function catalogEntry(object: JsonObject): EntryFacts {
  const content = loose(object);
  const withoutStatus = renderJson(canonical(object, true, new Set([...maskedFields, 'Status'])));
  return {
    ...textEntry(content),
    strict: renderJson(canonical(object, false, new Set())),
    ...(withoutStatus === content ? {} : { withoutStatus }),
  };
}

function loose(object: JsonObject): string {
  return renderJson(canonical(object, true, maskedFields));
}

/** What the user wrote: an empty text in these is not the same as none. */
const userMaps: ReadonlySet<string> = new Set(['Meta', 'NodeMeta', 'ServiceMeta']);

/** Names sorted, indexes masked; checks in the order of their names. `zeros`: fields of zero value are left out. */
function canonical(value: JsonValue, zeros: boolean, masked: ReadonlySet<string>): JsonValue {
  if (Array.isArray(value)) {
    const items = value.map((item) => canonical(item, zeros, masked));
    const isChecks = items.length > 0 && items.every((item) => isJsonObject(item) && 'CheckID' in item);
    return isChecks ? items.toSorted((a, b) => (checkId(a) < checkId(b) ? -1 : 1)) : items;
  }
  if (!isJsonObject(value)) return value;
  const kept: Record<string, JsonValue> = {};
  for (const name of Object.keys(value).toSorted()) {
    if (maskedIndexes.has(name) || masked.has(name)) continue;
    const own = value[name] ?? null;
    const field = userMaps.has(name) ? canonical(own, false, new Set()) : canonical(own, zeros, masked);
    if (!zeros || !isZero(field)) kept[name] = field;
  }
  return kept;
}

function checkId(value: JsonValue): string {
  return isJsonObject(value) ? `${shownText(value['Node'])}/${shownText(value['CheckID'])}` : '';
}

function isZero(value: JsonValue): boolean {
  if (value === null || value === '' || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}

function textEntry(content: string): EntryFacts {
  const shared = { flags: '', session: '', lockIndex: 0, version: undefined };
  return { content, strict: content, ...shared, length: content.length };
}

function textOf(body: Uint8Array | string): string {
  return typeof body === 'string' ? body : Buffer.from(body).toString('utf8');
}

function base64(body: Uint8Array): string {
  return Buffer.from(body).toString('base64');
}

/** A name as it is shown; of what is no name, its JSON: it must not pass for another one. */
function shownText(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? renderJson(value) : String(value);
}
