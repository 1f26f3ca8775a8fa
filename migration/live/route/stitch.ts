import { indentJson } from '../../../compat/wire/go-indent.ts';
import { isJsonObject, parseJson, renderJson, renderJsonString } from '../../../compat/wire/go-json.ts';
import { jsonType, type ApiRequest, type Reply } from '../../../compat/wire/http.ts';
import { renderKvEntry } from '../../../compat/wire/kv-json.ts';
import { compareUtf8, prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { readerOf } from '../../../src/state/migration.ts';
import { topic } from '../../../src/state/topics.ts';
import { isOwnKey } from '../dual/fence.ts';
import type { PartContext } from '../ports.ts';
import { unreachable } from '../proxy/replies.ts';
import type { SourceClient } from '../proxy/source-client.ts';
import { upstreamRequest, without } from '../proxy/upstream-request.ts';

/** One entry of a list: its key (or name), and how it is shown. */
interface Shown {
  readonly key: string;
  readonly text: string;
}

interface Part {
  readonly entries: readonly Shown[];
  readonly index: number;
}

/** What a shown index stood for. */
interface Behind {
  readonly shown: number;
  readonly source: number;
  readonly here: number;
}

/** Indexes of lists whose two sides are remembered. One that is forgotten is answered at once. Guess. */
const rememberedMax = 10_000;

const keyTopic = topic.key('');

/** Whether a read of `/v1/kv/` is of a list. */
export function isListing({ query }: ApiRequest): boolean {
  return query.raw !== '' && (query.has('recurse') || query.has('keys'));
}

/**
 * Lists over keys of which some are answered by the source and some here: each key comes from the one who answers for
 * it. There is no one index for both sides, so a list has indexes of its own, and what is behind them is remembered.
 */
export class Stitcher {
  readonly #context: PartContext;
  readonly #client: SourceClient;
  /** By list. */
  readonly #latest = new Map<string, Behind>();
  /** By list and shown index. */
  readonly #behind = new Map<string, Behind>();

  constructor(context: PartContext, client: SourceClient) {
    this.#context = context;
    this.#client = client;
  }

  async list(request: ApiRequest, signal: AbortSignal): Promise<Reply> {
    const { query, rest: prefix } = request;
    const name = `${query.has('keys') ? 'keys' : 'tree'} ${prefix}`;
    const known = this.#behind.get(`${name} ${query.get('index')}`);
    if (known !== undefined) await this.#changed(request, known, signal);
    const source = await this.#there(request, signal);
    if ('kind' in source) return source;
    const here = this.#here(request);
    const index = this.#shownIndex(name, source.index, here.index);
    const merged = merge(source.entries, here.entries);
    const texts = query.has('keys') ? names(merged, prefix, separatorOf(request)) : merged.map(textOf);
    const headers = {
      'X-Consul-Index': String(index),
      'X-Consul-Knownleader': 'true',
      'X-Consul-Lastcontact': '0',
    };
    if (texts.length === 0) {
      return { kind: 'reply', status: 404, body: '', contentType: undefined, headers };
    }
    const body = `[${texts.join(',')}]`;
    const shown = query.has('pretty') ? indentJson(body) : body;
    return { kind: 'reply', status: 200, body: shown, contentType: jsonType, headers };
  }

  /** Resolves when one of the sides has something newer, or the wait is over. */
  async #changed(request: ApiRequest, known: Behind, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const stop = (): void => enough.abort();
    signal.addEventListener('abort', stop, { once: true });
    const prefix = request.rest;
    let unsubscribe = (): void => undefined;
    const here = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#here(request).index > known.here) resolve();
      };
      const offCommit = this.#context.gateway.onCommit((touched) => {
        for (const each of touched) if (each.startsWith(keyTopic + prefix)) return look();
      });
      // Who answers for what is another matter then.
      const offPhases = this.#context.phases.onChange(() => resolve());
      unsubscribe = () => {
        offCommit();
        offPhases();
      };
      look();
    });
    const raw = sourceQuery(request, known.source);
    const upstream = upstreamRequest(request, Infinity);
    const path = `${upstream.path.split('?', 1)[0]}?${raw}`;
    // Trouble over there is found again by the read that follows.
    const there = this.#client.pass({ ...upstream, path }, enough.signal);
    try {
      await Promise.race([here, there]);
    } finally {
      unsubscribe();
      signal.removeEventListener('abort', stop);
      enough.abort();
    }
  }

  async #there(request: ApiRequest, signal: AbortSignal): Promise<Part | Reply> {
    const upstream = upstreamRequest(request, 0);
    const path = `${upstream.path.split('?', 1)[0]}?${sourceQuery(request, undefined)}`;
    const answer = await this.#client.passWhole({ ...upstream, path, blocksMs: undefined }, signal);
    if (answer.kind !== 'answer') return unreachable(answer.why);
    const body = answer.body.toString();
    const index = Number(answer.header('x-consul-index') ?? 0);
    if (answer.status === 404 && index > 0) return { entries: [], index };
    const parsed = answer.status === 200 ? parseJson(body) : undefined;
    if (parsed?.ok !== true || !Array.isArray(parsed.value)) {
      return { kind: 'reply', status: answer.status, body, contentType: answer.header('content-type') };
    }
    const entries: Shown[] = [];
    for (const item of parsed.value) {
      const key = typeof item === 'string' ? item : isJsonObject(item) ? item['Key'] : undefined;
      if (typeof key !== 'string' || isOwnKey(key) || this.#isHere(key)) continue;
      entries.push({ key, text: renderJson(item) });
    }
    return { entries, index };
  }

  #here(request: ApiRequest): Part {
    const { view } = this.#context.gateway;
    const { rest: prefix, query } = request;
    const entries: Shown[] = [];
    let index = 0;
    const asKeys = query.has('keys');
    for (const row of view.rangeKeys(Kind.kv, prefix, prefixEnd(prefix))) {
      if (!this.#isHere(row.key)) continue;
      if (row.modifyIndex > index) index = row.modifyIndex;
      if (!row.live) continue;
      const held = asKeys ? undefined : view.get(Kind.kv, row.key);
      const text = asKeys ? renderJsonString(row.key) : held?.value ? renderKvEntry(held) : undefined;
      if (text !== undefined) entries.push({ key: row.key, text });
    }
    return { entries, index };
  }

  #isHere(key: string): boolean {
    const rule = this.#context.phases.ofKey(key);
    return rule === undefined || readerOf(rule.phase) === 'here';
  }

  /** Grows whenever one of the sides does, although one's indexes are far above the other's. */
  #shownIndex(name: string, source: number, here: number): number {
    const last = this.#latest.get(name);
    if (last?.source === source && last.here === here) return last.shown;
    const shown = Math.max((last?.shown ?? 0) + 1, here, source, 1);
    const behind = { shown, source, here };
    remember(this.#latest, name, behind);
    remember(this.#behind, `${name} ${shown}`, behind);
    return shown;
  }
}

function remember(map: Map<string, Behind>, name: string, behind: Behind): void {
  map.delete(name);
  map.set(name, behind);
  const [oldest] = map.keys();
  if (map.size > rememberedMax && oldest !== undefined) map.delete(oldest);
}

/** All keys of the list, whole: names are cut here, where both sides are known. */
function sourceQuery({ query }: ApiRequest, index: number | undefined): string {
  let raw = query.raw;
  for (const name of ['index', 'separator', 'seperator', 'pretty']) raw = without(raw, name);
  return index === undefined ? without(raw, 'wait') : `${raw}&index=${index}`;
}

function separatorOf({ query }: ApiRequest): string {
  return query.get('separator') || query.get('seperator');
}

function merge(a: readonly Shown[], b: readonly Shown[]): readonly Shown[] {
  return [...a, ...b].toSorted((x, y) => compareUtf8(x.key, y.key));
}

function textOf({ text }: Shown): string {
  return text;
}

function names(entries: readonly Shown[], prefix: string, separator: string): readonly string[] {
  const found = new Set<string>();
  for (const { key } of entries) {
    const cut = separator === '' ? -1 : key.indexOf(separator, prefix.length);
    found.add(cut < 0 ? key : key.slice(0, cut + separator.length));
  }
  return [...found].map(renderJsonString);
}
