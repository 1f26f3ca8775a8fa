import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { compileFilter, type FieldShape, type FilterShape } from '../../../compat/filter/filter.ts';
import {
  checkServiceNodeShape,
  healthCheckShape,
  nodeServiceShape,
  nodeShape,
  serviceNodeShape,
} from '../../../compat/filter/shapes.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../support/real-consul.ts';
import {
  badPatterns,
  byHand,
  mapKeys,
  newerFields,
  numbers,
  oddValues,
  patterns,
  tokens,
  truths,
} from './expressions.ts';
import { checks, nodes, services } from './registrations.ts';

interface Endpoint {
  readonly path: string;
  readonly shape: FilterShape;
  /** Fields that are Go pointers at this endpoint: the real Consul panics where they are nil. */
  readonly pointers?: readonly string[];
}

const catalogNodes: Endpoint = { path: 'catalog/nodes', shape: nodeShape };
const catalogService: Endpoint = { path: 'catalog/service/web', shape: serviceNodeShape };

const endpoints: readonly Endpoint[] = [
  catalogNodes,
  catalogService,
  { path: 'catalog/node/n1', shape: nodeServiceShape },
  { path: 'catalog/node-services/n2', shape: nodeServiceShape },
  { path: 'health/node/n1', shape: healthCheckShape },
  { path: 'health/checks/web', shape: healthCheckShape },
  { path: 'health/state/any', shape: healthCheckShape },
  { path: 'health/service/web', shape: checkServiceNodeShape },
  { path: 'agent/services', shape: nodeServiceShape, pointers: ['Proxy', 'Connect'] },
  { path: 'agent/checks', shape: healthCheckShape },
];

/** The rows of an answer: itself, or the services of a node; a list, or the values of an object. */
function rowsOf(answer: unknown): readonly unknown[] {
  const rows: unknown = isNodeWithServices(answer) ? answer.Services : answer;
  return Object.values(rows ?? {});
}

function isNodeWithServices(answer: unknown): answer is { readonly Services: unknown } {
  return typeof answer === 'object' && answer !== null && 'Services' in answer;
}

function isNewer(path: readonly string[]): boolean {
  // A mesh gateway's Mode is as old as mesh gateways.
  return path.some((name, at) => newerFields.has(name) && path[at - 1] !== 'MeshGateway');
}

interface Leaf {
  readonly path: readonly string[];
  readonly field: FieldShape;
}

/** All that can be selected in rows of a shape; map keys are left to be chosen as `*`. */
function leaves(field: FieldShape, path: readonly string[] = []): readonly Leaf[] {
  const here = path.length === 0 ? [] : [{ path, field }];
  switch (field.kind) {
    case 'struct':
      return [...here, ...Object.entries(field.fields).flatMap(([n, f]) => leaves(f, [...path, n]))];
    case 'structs':
      return [...here, ...leaves(field.items, path)];
    case 'map':
      return [...here, ...leaves(field.values, [...path, '*'])];
    default:
      return here;
  }
}

/** One match expression that 1.8.7 accepts, its value among `texts` (what the rows hold) more often than not. */
function matchArbitrary({ path, field }: Leaf, texts: readonly string[]): fc.Arbitrary<string> {
  const keys = fc.array(fc.constantFrom(...mapKeys), { minLength: path.length, maxLength: path.length });
  const selector = keys.map((names) =>
    path.reduce((said, name, at) => {
      const key = name === '*' ? (names[at] ?? '') : name;
      if (at === 0) return key;
      return /^[a-zA-Z]\w*$/.test(key) ? `${said}.${key}` : `${said}["${key}"]`;
    }, ''),
  );
  const text = fc
    .constantFrom(...texts, ...mapKeys)
    .chain((value) => fc.constantFrom(...literals(value.slice(0, 8)), ...literals(value)));
  const binary = (operator: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
    fc.tuple(selector, operator, value).map((parts) => parts.join(' '));
  const equal = fc.constantFrom('==', '!=');
  const empty = binary(fc.constantFrom('is empty', 'is not empty'), fc.constant(''));
  if (field.kind === 'structs') return empty;
  if (field.kind === 'integer') return binary(equal, fc.constantFrom(...numbers));
  if (field.kind === 'bool') return binary(equal, fc.constantFrom(...truths));
  const contained = fc.oneof(
    binary(fc.constantFrom('contains', 'not contains'), text),
    fc.tuple(text, fc.constantFrom('in', 'not in'), selector).map((parts) => parts.join(' ')),
  );
  if (field.kind !== 'string') return fc.oneof(contained, empty);
  const matching = binary(fc.constantFrom('matches', 'not matches'), fc.constantFrom(...patterns));
  return fc.oneof(binary(equal, text), contained, matching);
}

function literals(text: string): readonly string[] {
  return /^[a-zA-Z]\w*$/.test(text) ? [text, `"${text}"`] : [`"${text}"`, `\`${text}\``];
}

function expressionArbitrary(match: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const { expression } = fc.letrec<{ expression: string }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 2, depthIdentifier: 'filter' },
      match,
      fc.tuple(match, fc.constantFrom('and', 'or'), tie('expression')).map((parts) => parts.join(' ')),
      tie('expression').map((inner) => `not ( ${inner} )`),
      fc.tuple(tie('expression'), match).map(([inner, last]) => `(${inner})\tor not ${last}`),
    ),
  }));
  return expression;
}

/** All texts in the rows, map keys included. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Array.isArray(value) ? value.flatMap(textsIn) : Object.values(value).flatMap(textsIn);
}

/** Mostly not expressions. Few parentheses: Consul's parser takes time exponential in their number. */
const soup = fc
  .tuple(fc.array(fc.constantFrom(...tokens), { minLength: 1, maxLength: 9 }), fc.constantFrom('', ' '))
  .map(([parts, glue]) => parts.join(glue))
  .filter((text) => (text.match(/\(/g) ?? []).length <= 3);

/** What an endpoint answers: the rows, in an order that does not matter, or status and text of an error. */
type Answer = string | readonly string[];

function ourAnswer(endpoint: Endpoint, filter: string, rows: readonly unknown[]): Answer {
  const compiled = compileFilter(filter, endpoint.shape);
  if (compiled.ok) return rows.filter(compiled.value).map(rowName).toSorted();
  const { text, agentChecksText } = compiled.error;
  return `500 ${endpoint.path === 'agent/checks' ? agentChecksText : text}`;
}

function rowName(row: unknown): string {
  return JSON.stringify(row);
}

describeRealConsul('filters beside a real Consul', () => {
  let consul: RealConsul;

  beforeAll(async () => {
    consul = await startRealConsul();
    const put = async (path: string, body: object): Promise<void> => {
      const response = await fetch(`${consul.url}/v1/${path}`, { method: 'PUT', body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    };
    for (const node of nodes) await put('catalog/register', node);
    for (const service of services) await put('agent/service/register', service);
    for (const check of checks) await put('agent/check/register', check);
  }, 120_000);

  afterAll(async () => consul.stop());

  async function theirAnswer(endpoint: Endpoint, filter: string): Promise<Answer> {
    const response = await fetch(`${consul.url}/v1/${endpoint.path}?filter=${encodeURIComponent(filter)}`);
    if (!response.ok) return `${response.status} ${await response.text()}`;
    return rowsOf(await response.json())
      .map(rowName)
      .toSorted();
  }

  async function allRows(endpoint: Endpoint): Promise<readonly unknown[]> {
    return rowsOf(await (await fetch(`${consul.url}/v1/${endpoint.path}`)).json());
  }

  /** Asks both. Gives the filters on which they differ, with both answers. */
  async function differences(endpoint: Endpoint, filters: readonly string[]): Promise<readonly object[]> {
    const rows = await allRows(endpoint);
    const found: object[] = [];
    for (const filter of filters) {
      const ours = ourAnswer(endpoint, filter, rows);
      const theirs = await theirAnswer(endpoint, filter);
      if (JSON.stringify(ours) !== JSON.stringify(theirs)) found.push({ filter, ours, theirs });
    }
    return found;
  }

  for (const endpoint of endpoints) {
    test(`${endpoint.path}: the same rows for generated expressions`, async () => {
      const usable = leaves(endpoint.shape).filter(
        ({ path, field }) =>
          field.kind !== 'struct' && !isNewer(path) && !endpoint.pointers?.includes(path[0] ?? ''),
      );
      const rows = await allRows(endpoint);
      const texts = [...new Set(textsIn(rows))].filter((text) => !/["`\\\n]/.test(text));
      // Every field at least twice, then mixtures.
      const single = usable.flatMap((leaf) =>
        fc.sample(matchArbitrary(leaf, texts), { seed: 7, numRuns: 2 }),
      );
      const any = fc.constantFrom(...usable).chain((leaf) => matchArbitrary(leaf, texts));
      const mixed = fc.sample(expressionArbitrary(any), { seed: 8, numRuns: 120 });
      expect(await differences(endpoint, [...single, ...mixed])).toEqual([]);
      // This says something only if the expressions tell rows apart.
      const selected = [...single, ...mixed].map((filter) => ourAnswer(endpoint, filter, rows).length);
      const telling = selected.filter((count) => count > 0 && count < rows.length);
      expect(telling.length).toBeGreaterThan(10);
    }, 120_000);

    test(`${endpoint.path}: the same fields, bar those that came after 1.8.7`, async () => {
      const all = leaves(endpoint.shape).map(({ path, field }) => {
        const selector = path.map((name) => (name === '*' ? 'any' : name)).join('.');
        // Refused at every field, and in words that name what it supports.
        return { path, filter: `${selector} ${field.kind === 'string' ? 'is empty' : 'matches "("'}` };
      });
      const older = all.filter(({ path }) => !isNewer(path)).map(({ filter }) => filter);
      const newer = all.filter(({ path }) => isNewer(path)).map(({ filter }) => filter);
      expect(await differences(endpoint, older)).toEqual([]);
      const accepted: string[] = [];
      for (const filter of newer) {
        const theirs = await theirAnswer(endpoint, filter);
        if (typeof theirs !== 'string' || !theirs.endsWith('is not valid')) accepted.push(filter);
      }
      expect(accepted).toEqual([]);
    }, 120_000);
  }

  test('the same rows or the same error for expressions by hand', async () => {
    expect(await differences(catalogNodes, byHand)).toEqual([]);
  }, 120_000);

  test('the same rows or the same error for numbers and truths that Go reads, and does not read', async () => {
    const filters = oddValues.flatMap((value) => [
      `ServicePort == ${value}`,
      `ServiceEnableTagOverride != ${value}`,
    ]);
    expect(await differences(catalogService, filters)).toEqual([]);
  }, 120_000);

  test('the same error for regular expressions that do not compile', async () => {
    const filters = badPatterns.map((pattern) => `Node matches \`${pattern}\``);
    expect(await differences(catalogNodes, filters)).toEqual([]);
  }, 120_000);

  test('the same error, word for word, for words in disorder', async () => {
    expect(await differences(catalogNodes, fc.sample(soup, { seed: 9, numRuns: 1500 }))).toEqual([]);
  }, 120_000);
});
