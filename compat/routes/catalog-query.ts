import { err, ok, type Result } from '../../src/kernel/result.ts';
import { nodeNamed, type IndexMax } from '../../src/state/catalog-read.ts';
import { sortedByDistance } from '../../src/state/coordinates.ts';
import type { Dependencies } from '../../src/state/dependencies.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import { compileFilter, type FilterShape, type RowFilter } from '../filter/filter.ts';
import { indentJson } from '../wire/go-indent.ts';
import { failure, jsonType, type Answer, type ApiRequest, type Reply } from '../wire/http.ts';
import type { RouteContext } from './context.ts';

type StringMap = Readonly<Record<string, string>> | null;

/** The parameters that narrow, order and shape a read of the catalog. */
export interface Selection {
  /** Distinguishes reads; empty when there is no parameter at all. */
  readonly key: string;
  readonly pretty: boolean;
  /** The node to sort by distance from; empty: not at all. */
  readonly near: string;
  readonly nodeMeta: ReadonlyMap<string, string>;
  /** In lower case; an instance must have all of them. */
  readonly tags: readonly string[];
  /** Takes a row as it is answered; undefined: every row stays. */
  readonly keep: RowFilter | undefined;
}

const everything: Selection = {
  key: '',
  pretty: false,
  near: '',
  nodeMeta: new Map(),
  tags: [],
  keep: undefined,
};

/** What Consul sends beside an error of a filter: headers of an answer that there is not. */
const noAnswerHeaders = {
  'X-Consul-Index': '1',
  'X-Consul-Knownleader': 'false',
  'X-Consul-Lastcontact': '0',
} as const;

const selecting = ['near', 'node-meta', 'tag', 'filter', 'pretty'] as const;

/** Reads the parameters that the endpoint has; `shape` is what its filter may select. */
export function parseSelection(
  request: ApiRequest,
  context: RouteContext,
  shape: FilterShape,
): Result<Selection, Reply> {
  const { query } = request;
  // How the answer is asked for (index, wait, stale, …) does not count: these reads share one result.
  if (!selecting.some((name) => query.has(name))) return ok(everything);
  const near = query.get('near');
  const nodeMeta = new Map(query.all('node-meta').map(metaPair));
  const tags = query.all('tag').map((tag) => tag.toLowerCase());
  const filter = query.get('filter');
  const pretty = query.has('pretty');
  let keep: RowFilter | undefined;
  if (filter !== '') {
    const compiled = compileFilter(filter, shape);
    if (!compiled.ok) {
      return err({ ...failure(500, compiled.error.text), headers: noAnswerHeaders });
    }
    keep = compiled.value;
  }
  return ok({
    key: JSON.stringify([near, [...nodeMeta], tags, filter, pretty]),
    pretty,
    near: near === '_agent' ? context.gateway.nodeName : near,
    nodeMeta,
    tags,
    keep,
  });
}

function metaPair(text: string): readonly [string, string] {
  const cut = text.indexOf(':');
  return cut < 0 ? [text, ''] : [text.slice(0, cut), text.slice(cut + 1)];
}

export function matchesMeta({ nodeMeta }: Pick<Selection, 'nodeMeta'>, meta: StringMap): boolean {
  for (const [name, value] of nodeMeta) {
    if (meta === null || !Object.hasOwn(meta, name) || meta[name] !== value) return false;
  }
  return true;
}

/** Whether the tags hold all that are asked for; without regard to case. */
export function matchesTags(selection: Selection, tags: readonly string[]): boolean {
  if (selection.tags.length === 0) return true;
  const held = new Set(tags.map((tag) => tag.toLowerCase()));
  return selection.tags.every((tag) => held.has(tag));
}

/** Whether the node of a check has the metadata asked for, which the answer then depends on. */
export function nodeMatcher(
  view: ReadView,
  dependencies: Dependencies,
  index: IndexMax,
  selection: Selection,
): (node: string) => boolean {
  if (selection.nodeMeta.size === 0) return () => true;
  dependencies.add(topic.nodes);
  index.raise(view.tableIndex(Kind.node));
  const known = new Map<string, boolean>();
  return (node) => {
    let matches = known.get(node);
    if (matches === undefined) {
      matches = matchesMeta(selection, nodeNamed(view, node)?.meta ?? null);
      known.set(node, matches);
    }
    return matches;
  };
}

/** A row of an answer, rendered, with the node that it is on. */
export interface Rendered {
  readonly node: string;
  readonly json: string;
}

/** What is left of the rows after the filter, in the order of distance where asked for. */
export function selected<T extends Rendered>(
  view: ReadView,
  dependencies: Dependencies,
  selection: Selection,
  rows: readonly T[],
): readonly T[] {
  const { keep, near } = selection;
  const kept = keep === undefined ? rows : rows.filter((row) => keep(JSON.parse(row.json)));
  if (near === '') return kept;
  // Coordinates do not count for the index, so that they wake nobody; but a kept result must not outlive them.
  dependencies.add(topic.coordinates);
  return sortedByDistance(view, near, kept, (row) => row.node);
}

export function listAnswer(rows: readonly Rendered[], selection: Selection, index: number): Answer {
  return jsonAnswer(`[${rows.map((row) => row.json).join(',')}]`, selection.pretty, index);
}

/** `body` is compact JSON. */
export function jsonAnswer(body: string, pretty: boolean, index: number): Answer {
  return { status: 200, body: pretty ? indentJson(body) : body, contentType: jsonType, index };
}
