import { renderJsonString } from '../../../compat/wire/go-json.ts';
import { base64 } from '../../../compat/wire/kv-json.ts';
import { encodeKeyPath, isPathSafe } from '../../mirror/key-rules.ts';
import { ConnectionError, type WireAnswer, type WireRequest } from '../../source/connection.ts';
import { HttpConsulReader } from '../../source/http-consul-reader.ts';
import { entryOf, isDenied, readTxnAnswer, txnBody, type FenceCheck } from '../dual/consul-txn.ts';
import type { SourceAsker } from '../proxy/source-client.ts';
import { readKey } from '../dual/read-key.ts';
import type { Content } from './verdict.ts';

/** A key that is to be written, if it still has this index at the source (0: is not there). */
export interface Write {
  readonly key: string;
  /** null: to be removed. */
  readonly content: Content | null;
  readonly index: number;
}

/**
 * - `done`: the index of each key now, 0 for those removed, and that of the progress key (0: it was not written);
 * - `refused`: these had another index, nothing was written;
 * - `fenced`: the authority moved, or somebody touched the fence;
 * - `behind`: the progress key is not as it was written last;
 * - `unknown`: it may have been written;
 * - `trouble`: it was not.
 */
export type WriteOutcome =
  | { readonly kind: 'done'; readonly indexes: ReadonlyMap<string, number>; readonly progress: number }
  | { readonly kind: 'refused'; readonly keys: readonly string[] }
  | { readonly kind: 'fenced' | 'behind' }
  | { readonly kind: 'unknown' | 'trouble'; readonly why: string };

/** The key at the source whose index tells that a transaction of this gateway was done, for one rule. */
export function progressKey(nodeName: string, prefix: string): string {
  return `_gw/progress/${nodeName}/${prefix}`;
}

/** Writes all of them at once, or none. */
export async function writeTogether(
  source: SourceAsker,
  token: string,
  fence: FenceCheck,
  progress: { readonly key: string; readonly index: number; readonly id: string },
  writes: readonly Write[],
): Promise<WriteOutcome> {
  const { key: last, index, id } = progress;
  // A source that went back has not got it at that index: nothing is written there before it was looked at.
  const body = txnBody(
    [fence],
    [...writes.map(opOf), opOf({ key: last, content: textContent(id), index })],
    [],
  );
  const answer = await source.ask({ method: 'PUT', path: '/v1/txn', token, body });
  if (answer.kind !== 'answer')
    return { kind: answer.kind === 'unsent' ? 'trouble' : 'unknown', why: answer.why };
  const text = answer.body.toString();
  const said = readTxnAnswer(answer.status, text);
  const shown = `${answer.status} ${text.slice(0, 200)}`.trim();
  // A 500 may come of a leader that went while the entry was on its way.
  if (said.kind === 'other') return { kind: answer.status >= 500 ? 'unknown' : 'trouble', why: shown };
  if (said.kind === 'failed') {
    const first = said.errors[0];
    if (first === undefined || said.errors.some(({ what }) => isDenied(what)))
      return { kind: 'trouble', why: shown };
    if (said.errors.some(({ opIndex }) => opIndex === 0)) return { kind: 'fenced' };
    if (said.errors.some(({ opIndex }) => opIndex === writes.length + 1)) return { kind: 'behind' };
    const keys = said.errors
      .map(({ opIndex }) => writes[opIndex - 1]?.key)
      .filter((key) => key !== undefined);
    return keys.length === 0 ? { kind: 'trouble', why: shown } : { kind: 'refused', keys };
  }
  const indexes = new Map(writes.map(({ key }) => [key, 0]));
  let at = 0;
  for (const result of said.results) {
    const entry = entryOf(result, nothing);
    if (entry?.key === progress.key) at = entry.modifyIndex;
    else if (entry !== undefined && indexes.has(entry.key)) indexes.set(entry.key, entry.modifyIndex);
  }
  for (const { key, content } of writes) {
    if (content !== null && indexes.get(key) === 0)
      return { kind: 'unknown', why: `no index of ${key} was answered` };
  }
  return { kind: 'done', indexes, progress: at };
}

/** Writes the progress key alone. Its index now; undefined: it had another one. */
export async function voidProgress(
  source: SourceAsker,
  token: string,
  { key, index }: { readonly key: string; readonly index: number },
  value: string,
): Promise<number | undefined> {
  const body = txnBody([], [opOf({ key, content: textContent(value), index })], []);
  const answer = await source.ask({ method: 'PUT', path: '/v1/txn', token, body });
  if (answer.kind !== 'answer') throw new Error(answer.why);
  const said = readTxnAnswer(answer.status, answer.body.toString());
  if (said.kind === 'other') throw new Error(`${answer.status} ${answer.body.toString().slice(0, 200)}`);
  return said.kind === 'done' ? entryOf(said.results[0], nothing)?.modifyIndex : undefined;
}

const nothing = new Uint8Array();

function textContent(text: string): Content {
  return { value: Buffer.from(text), flags: 0n };
}

function opOf({ key, content, index }: Write): string {
  const name = renderJsonString(key);
  if (content === null) return `{"KV":{"Verb":"delete-cas","Key":${name},"Index":${index}}}`;
  const { value, flags } = content;
  return `{"KV":{"Verb":"cas","Key":${name},"Value":"${base64(value)}","Flags":${flags},"Index":${index}}}`;
}

/** A value too large for a transaction: the fence is looked at just before. */
export async function writeLarge(
  source: SourceAsker,
  token: string,
  fence: FenceCheck,
  { key, content, index }: Write & { readonly content: Content },
): Promise<WriteOutcome> {
  if (!isPathSafe(key))
    return { kind: 'trouble', why: 'its key fits in no URL, and its value in no transaction' };
  const held = await readKey(source, token, fence.key);
  if (held.kind === 'trouble') return { kind: 'trouble', why: held.why };
  if (held.kind === 'absent' || held.entry.modifyIndex !== fence.index) return { kind: 'fenced' };
  const path = `/v1/kv/${encodeKeyPath(key)}?cas=${index}&flags=${content.flags}`;
  const answer = await source.ask({ method: 'PUT', path, token, body: content.value });
  if (answer.kind !== 'answer')
    return { kind: answer.kind === 'unsent' ? 'trouble' : 'unknown', why: answer.why };
  const text = answer.body.toString();
  if (answer.status !== 200) {
    return {
      kind: answer.status >= 500 ? 'unknown' : 'trouble',
      why: `${answer.status} ${text.slice(0, 200)}`,
    };
  }
  if (text.trim() === 'false') return { kind: 'refused', keys: [key] };
  const written = await readKey(source, token, key);
  if (written.kind !== 'entry') return { kind: 'unknown', why: 'it could not be read after it was written' };
  return { kind: 'done', indexes: new Map([[key, written.entry.modifyIndex]]), progress: 0 };
}

/** Reads lists of the source through the shared client: its addresses, its limits. */
export function readerOver(source: SourceAsker, token: string, shown: string): HttpConsulReader {
  return new HttpConsulReader({
    address: shown,
    request: async ({ method, path, body }: WireRequest): Promise<WireAnswer> => {
      const answer = await source.ask({ method, path, token, ...(body === undefined ? {} : { body }) });
      if (answer.kind === 'answer') return answer;
      if (answer.why.includes('too large')) return { kind: 'too-large' };
      throw new ConnectionError('unreachable', `${shown}: ${answer.why}`);
    },
  });
}
