import type { KvEntry } from '../../source/consul-reader.ts';
import { decodeKvList, decodeNames, decodeTxnKv } from '../../source/decode.ts';
import { encodeKeyPath, isPathSafe, longestPathSafePrefix } from '../../mirror/key-rules.ts';
import type { SourceAnswer, SourceAsker } from '../proxy/source-client.ts';

/** What the source has of a key, for sure. `absent`: it was not there at this index. */
export type KeyReading =
  | { readonly kind: 'entry'; readonly entry: KvEntry }
  | { readonly kind: 'absent'; readonly index: number }
  | { readonly kind: 'trouble'; readonly why: string };

/** Reads one key consistently. */
export async function readKey(source: SourceAsker, token: string, key: string): Promise<KeyReading> {
  if (!isPathSafe(key) || key === '') return readByTxn(source, token, key);
  const path = `/v1/kv/${encodeKeyPath(key)}?consistent`;
  const answer = await source.ask({ method: 'GET', path, token });
  if (answer.kind !== 'answer') return { kind: 'trouble', why: answer.why };
  const index = indexOf(answer);
  if (answer.status === 404 && index !== undefined) return { kind: 'absent', index };
  if (answer.status !== 200) return troubleOf(answer);
  const decoded = decodeKvList(answer.body.toString());
  const entry = decoded.ok ? decoded.value.find((each) => each.key === key) : undefined;
  return entry === undefined
    ? { kind: 'trouble', why: 'the source answered something else' }
    : { kind: 'entry', entry };
}

/** A key that no URL can name. The table's index is read first: what is read later is no older. */
async function readByTxn(source: SourceAsker, token: string, key: string): Promise<KeyReading> {
  const probe = `${longestPathSafePrefix(key)}_gw/absent`;
  const before = await readKey(source, token, probe);
  if (before.kind !== 'absent') return { kind: 'trouble', why: 'no index of the source could be read' };
  const body = JSON.stringify([{ KV: { Verb: 'get', Key: key } }]);
  const answer = await source.ask({ method: 'PUT', path: '/v1/txn?consistent', token, body });
  if (answer.kind !== 'answer') return { kind: 'trouble', why: answer.why };
  const text = answer.body.toString();
  if (answer.status === 409 && text.includes("doesn't exist")) return { kind: 'absent', index: before.index };
  if (answer.status !== 200) return troubleOf(answer);
  const decoded = decodeTxnKv(text);
  const entry = decoded.ok ? decoded.value.find((each) => each.key === key) : undefined;
  return entry === undefined
    ? { kind: 'trouble', why: 'the source answered something else' }
    : { kind: 'entry', entry };
}

/** Names below a prefix, and an index at which no others were there. Undefined: no answer to rely on. */
export async function readNames(
  source: SourceAsker,
  token: string,
  prefix: string,
): Promise<{ readonly names: ReadonlySet<string>; readonly index: number } | undefined> {
  if (!isPathSafe(prefix)) return undefined;
  const path = `/v1/kv/${encodeKeyPath(prefix)}?keys&consistent`;
  const answer = await source.ask({ method: 'GET', path, token });
  if (answer.kind !== 'answer') return undefined;
  const index = indexOf(answer);
  if (index === undefined || answer.header('x-consul-results-filtered-by-acls') === 'true') return undefined;
  if (answer.status === 404) return { names: new Set(), index };
  const decoded = answer.status === 200 ? decodeNames(answer.body.toString()) : undefined;
  return decoded?.ok === true ? { names: new Set(decoded.value), index } : undefined;
}

function indexOf(answer: SourceAnswer): number | undefined {
  const text = answer.header('x-consul-index') ?? '';
  const known = answer.header('x-consul-knownleader') !== 'false';
  return known && /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined;
}

function troubleOf(answer: SourceAnswer): KeyReading {
  return { kind: 'trouble', why: `${answer.status} ${answer.body.toString().slice(0, 200)}`.trim() };
}
