import { isLosslessNumber, parse } from 'lossless-json';
import { type Answer, headerOf } from './exchange.ts';
import { type Correspondence, shown } from './correspondence.ts';
import type { StepOptions } from './scenario.ts';

export interface Difference {
  /** `status`, `outcome`, `header NAME`, `body`, or `body PATH`. */
  readonly at: string;
  readonly detail: string;
}

// Up to this size Go knows the length of an answer before it sends it.
const goBufferBytes = 2048;
// What a connection says about itself, and the time of day.
const headersNotCompared = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);
const indexFields = new Set(['CreateIndex', 'ModifyIndex', 'Index']);
const indexInText = /(?<=\bmodify index |\bmodify index \d+ != )\d+/g;

/** All that differs between two answers to the same step, apart from what corresponds. */
export function compareAnswers(
  a: Answer,
  b: Answer,
  known: Correspondence,
  options: StepOptions,
  where: string,
): Difference[] {
  const found: Difference[] = [];
  if (a.status !== b.status) found.push({ at: 'status', detail: `${a.status} against ${b.status}` });
  found.push(...compareHeaders(a, b, known, options, where), ...compareBodies(a, b, known, options, where));
  return found;
}

function compareHeaders(
  a: Answer,
  b: Answer,
  known: Correspondence,
  options: StepOptions,
  where: string,
): Difference[] {
  const headersA = groupHeaders(a);
  const headersB = groupHeaders(b);
  const found: Difference[] = [];
  for (const name of new Set([...headersA.keys(), ...headersB.keys()])) {
    const valueA = headersA.get(name);
    const valueB = headersB.get(name);
    if (name === 'Content-Length' && matchesAny('$', options.ignore)) continue;
    // To know the length of a long answer is no fault.
    const long = a.body.length > goBufferBytes || b.body.length > goBufferBytes;
    if (name === 'Content-Length' && valueA === undefined && long) continue;
    const detail =
      valueA === undefined || valueB === undefined
        ? `${valueA ?? 'absent'} against ${valueB ?? 'absent'}`
        : compareHeader(name, [valueA, valueB], [a, b], { known, options, where });
    if (detail !== undefined) found.push({ at: `header ${name}`, detail });
  }
  return found;
}

function compareHeader(
  name: string,
  [a, b]: readonly [string, string],
  answers: readonly [Answer, Answer],
  { known, options, where }: Omit<Walk, 'found'>,
): string | undefined {
  switch (name) {
    case 'X-Consul-Index':
      return compareQueryIndex([a, b], answers, { known, options, where });
    case 'X-Consul-Contenthash':
      return known.opaque(a, b);
    case 'X-Consul-Lastcontact':
    case 'Age':
      return /^\d+$/.test(a) && /^\d+$/.test(b) ? undefined : `${a} against ${b}`;
    case 'Content-Length':
      // Indexes and ids make bodies that agree differ in length; the bodies themselves are compared.
      return undefined;
    default:
      return known.texts(a, b);
  }
}

function compareQueryIndex(
  [a, b]: readonly [string, string],
  [answerA, answerB]: readonly [Answer, Answer],
  { known, options, where }: Omit<Walk, 'found'>,
): string | undefined {
  if (options.hashedIndex) return known.opaque(a, b);
  const [method, path] = where
    .replace(/^\d+: /, '')
    .replace('waiting ', '')
    .split(' ', 2);
  if (method !== 'GET' || path === undefined) return known.indexes(a, b, `${where}, header X-Consul-Index`);
  // Of what is not there Consul says 1, or nothing; it cannot be waited for there (known-differences.ts).
  if (a === '1' && /^(null|\{"Node":null.*\})\n?$/.test(answerA.body.toString())) return undefined;
  const query = path.replaceAll(/[?&](index|wait|stale|consistent|leader|max_stale)\b[^&]*/g, '');
  const byQuery = known.queryIndexes(a, b, query, `${answerB.status} ${answerB.body.toString()}`);
  // The index of a key, or of keys that are there, is in their entries too: it stands in one order with them.
  const isOfEntries = path.startsWith('/v1/kv/') && answerA.status === 200;
  return isOfEntries ? known.indexes(a, b, `${where}, header X-Consul-Index`) : byQuery;
}

function groupHeaders(answer: Answer): Map<string, string> {
  const grouped = new Map<string, string>();
  for (const [name, value] of answer.headers) {
    if (headersNotCompared.has(name.toLowerCase())) continue;
    const before = grouped.get(name);
    grouped.set(name, before === undefined ? value : `${before} | ${value}`);
  }
  return grouped;
}

function compareBodies(
  a: Answer,
  b: Answer,
  known: Correspondence,
  options: StepOptions,
  where: string,
): Difference[] {
  if (matchesAny('$', options.ignore)) return [];
  const textA = a.body.toString('utf8');
  const textB = b.body.toString('utf8');
  const [jsonA, jsonB] = [readJson(a, textA), readJson(b, textB)];
  if (jsonA === undefined || jsonB === undefined) {
    const detail = compareTexts(textA, textB, known, `${where}, body`);
    return detail === undefined ? [] : [{ at: 'body', detail }];
  }
  const found: Difference[] = [];
  const walk = { known, options, where, found };
  for (const path of options.only ?? ['$']) {
    compareValues(valueAt(jsonA.value, path), valueAt(jsonB.value, path), path, walk);
  }
  if (found.length === 0 && options.ignore === undefined && options.only === undefined) {
    const [layoutA, layoutB] = [layoutOf(textA), layoutOf(textB)];
    if (layoutA !== layoutB) {
      found.push({ at: 'body layout', detail: `${shown(textA)} against ${shown(textB)}` });
    }
  }
  return found;
}

function readJson(answer: Answer, text: string): { readonly value: unknown } | undefined {
  if (!headerOf(answer, 'Content-Type')?.startsWith('application/json')) return undefined;
  try {
    return { value: parse(text) };
  } catch {
    return undefined;
  }
}

interface Walk {
  readonly known: Correspondence;
  readonly options: StepOptions;
  readonly where: string;
  readonly found: Difference[];
}

function compareValues(a: unknown, b: unknown, path: string, walk: Walk): void {
  if (matchesAny(path, walk.options.ignore)) return;
  const [kindA, kindB] = [kindOf(a), kindOf(b)];
  const report = (detail: string): void => void walk.found.push({ at: `body ${path}`, detail });
  if (kindA !== kindB) return report(`${sample(a)} against ${sample(b)}`);
  if (matchesAny(path, walk.options.mask)) return;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (matchesAny(path, walk.options.sorted)) {
      sortByText(a);
      sortByText(b);
    }
    if (a.length !== b.length)
      report(`${a.length} elements against ${b.length}: ${sample(a)} against ${sample(b)}`);
    for (let i = 0; i < Math.min(a.length, b.length); i++) compareValues(a[i], b[i], `${path}[${i}]`, walk);
  } else if (isLosslessNumber(a) && isLosslessNumber(b)) {
    const field = path.slice(path.lastIndexOf('.') + 1);
    const detail = indexFields.has(field)
      ? walk.known.indexes(a.value, b.value, `${walk.where}, body ${path}`)
      : walk.known.numbers(a.value, b.value);
    if (detail !== undefined) report(detail);
  } else if (typeof a === 'string' && typeof b === 'string') {
    compareStrings(a, b, path, walk);
  } else if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    compareObjects(a, b, path, walk);
  } else if (a !== b) {
    report(`${sample(a)} against ${sample(b)}`);
  }
}

/** As JSON: of objects the first fields decide. */
function sortByText(list: unknown[]): void {
  const texts = new Map(list.map((value) => [value, JSON.stringify(value)]));
  list.sort((x, y) => ((texts.get(x) ?? '') < (texts.get(y) ?? '') ? -1 : 1));
}

function compareStrings(a: string, b: string, path: string, walk: Walk): void {
  if (path.endsWith('.ContentHash')) {
    const detail = walk.known.opaque(a, b);
    if (detail !== undefined) walk.found.push({ at: `body ${path}`, detail });
    return;
  }
  const detail = compareTexts(a, b, walk.known, `${walk.where}, body ${path}`);
  if (detail !== undefined) walk.found.push({ at: `body ${path}`, detail });
}

/** Texts may speak of indexes: these correspond as others do, and the words around them are the same. */
function compareTexts(a: string, b: string, known: Correspondence, at: string): string | undefined {
  const [indexesA, indexesB] = [a.match(indexInText) ?? [], b.match(indexInText) ?? []];
  const inWords = known.texts(a.replace(indexInText, '…'), b.replace(indexInText, '…'));
  if (inWords !== undefined || indexesA.length !== indexesB.length) return inWords;
  const wrong = indexesA.map((index, i) => known.indexes(index, indexesB[i] ?? '', at));
  return wrong.find((detail) => detail !== undefined);
}

function compareObjects(a: object, b: object, path: string, walk: Walk): void {
  const [fieldsA, fieldsB] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
  for (const name of new Set([...fieldsA.keys(), ...fieldsB.keys()])) {
    const at = `${path}.${name}`;
    if (!fieldsA.has(name) || !fieldsB.has(name)) {
      if (matchesAny(at, walk.options.ignore)) continue;
      const detail = fieldsA.has(name)
        ? `${sample(fieldsA.get(name))} against no such field`
        : `no such field against ${sample(fieldsB.get(name))}`;
      walk.found.push({ at: `body ${at}`, detail });
    } else {
      compareValues(fieldsA.get(name), fieldsB.get(name), at, walk);
    }
  }
}

function matchesAny(path: string, patterns: readonly string[] | undefined): boolean {
  return patterns !== undefined && patterns.some((pattern) => toRegExp(pattern).test(path));
}

/** `*` stands for one field, `[*]` for one element, `**` for anything. */
function toRegExp(pattern: string): RegExp {
  const source = pattern
    .replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll(String.raw`\*\*`, '.+')
    .replaceAll(String.raw`\[\*\]`, String.raw`\[\d+\]`)
    .replaceAll(String.raw`\*`, '[^.]+');
  return new RegExp(`^${source}$`);
}

/** What is at `$.a.b[0]`; undefined where nothing is. */
export function valueAt(value: unknown, path: string): unknown {
  let found = value;
  for (const part of path.match(/[^.[\]$]+/g) ?? []) {
    found = (found as Record<string, unknown> | null | undefined)?.[part];
  }
  return found;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (isLosslessNumber(value)) return 'number';
  return typeof value;
}

function sample(value: unknown): string {
  const text =
    JSON.stringify(value, (_, v: unknown) => (isLosslessNumber(v) ? Number(v.value) : v)) ?? 'undefined';
  return text.length <= 300 ? text : `${text.slice(0, 300)}…`;
}

/** The punctuation, white space, field names, and escapes of a JSON text: all but its values. */
function layoutOf(text: string): string {
  return text
    .replaceAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g, (token, colon?: string) =>
      colon === undefined ? `"${(token.match(/\\(?:u[0-9a-fA-F]{4}|.)/g) ?? []).join('')}"` : token,
    )
    .replaceAll(/(?<=[[,:\s])-?\d[\d.eE+-]*/g, '0');
}
