import type { JsonObject } from '../../compat/wire/go-json.ts';
import { canonicalCatalogValue, canonicalText, differingFields, type CatalogKind } from '../canonical.ts';
import { digestKv } from '../digest.ts';
import type { MirrorKind } from '../mirror/registers.ts';
import type { CatalogEntry, KvEntry } from '../source/consul-reader.ts';

/** One entry of one side, reduced to what a comparison looks at. */
export type SideEntry = {
  readonly kind: MirrorKind;
  readonly key: string;
  /** Equal for equal content; indexes left out. */
  readonly content: string;
  readonly flags: bigint;
  readonly session: string;
  readonly modifyIndex: number;
  /** Bytes of a value, or of the canonical text. */
  readonly length: number;
  /** Catalog entries only. */
  readonly fields: JsonObject | null;
  /** The value in clear, cut short: only where the report may show it. */
  readonly text: string | null;
};

export type MismatchKind = 'missing' | 'extra' | 'value' | 'flags' | 'session' | 'status';

export const mismatchKinds: readonly MismatchKind[] = [
  'missing',
  'extra',
  'value',
  'flags',
  'session',
  'status',
];

export function kvSide(entry: KvEntry, reveal: boolean): SideEntry {
  return {
    kind: 'kv',
    key: entry.key,
    content: digestKv(entry.value, 0n),
    flags: entry.flags,
    session: entry.session,
    modifyIndex: entry.modifyIndex,
    length: entry.value.length,
    fields: null,
    text: reveal ? shortText(entry.value) : null,
  };
}

export function catalogSide(kind: CatalogKind, key: string, entry: CatalogEntry, reveal: boolean): SideEntry {
  const { Output: _, ...fields } = canonicalCatalogValue(kind, entry.raw);
  // Node names are compared without regard to case, as Consul does.
  const name = fields['Node'];
  const compared =
    kind === 'node' && typeof name === 'string' ? { ...fields, Node: name.toLowerCase() } : fields;
  const content = canonicalText(compared);
  const shared = { kind, key, flags: 0n, session: '', modifyIndex: entry.modifyIndex };
  const text = reveal ? content.slice(0, textLengthMax) : null;
  return { ...shared, content, length: content.length, fields: compared, text };
}

const textLengthMax = 256;

/** UTF-8 where it is, base64 where it is not. */
function shortText(value: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(value).slice(0, textLengthMax);
  } catch {
    return `base64:${Buffer.from(value).toString('base64').slice(0, textLengthMax)}`;
  }
}

/**
 * How the target differs from the source, or null when it does not. A key that a session holds at the source
 * and that is absent at the target is of kind `session`: held locks are never copied.
 */
export function mismatchOf(
  source: SideEntry | undefined,
  target: SideEntry | undefined,
): MismatchKind | null {
  if (source === undefined) return target === undefined ? null : 'extra';
  if (target === undefined) return source.session === '' ? 'missing' : 'session';
  if (source.content !== target.content) {
    const status = source.kind === 'check' && namesOfDifference(source, target).join() === 'Status';
    return status ? 'status' : 'value';
  }
  if (source.flags !== target.flags) return 'flags';
  return source.session === target.session ? null : 'session';
}

/** The fields in which two catalog entries differ. */
export function namesOfDifference(
  source: SideEntry | undefined,
  target: SideEntry | undefined,
): readonly string[] {
  const [a, b] = [source?.fields ?? null, target?.fields ?? null];
  return a === null || b === null ? [] : differingFields(a, b);
}

/** Whether an entry is still what it was: same content under the same index. */
export function isSame(a: SideEntry | undefined, b: SideEntry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.content === b.content &&
    a.flags === b.flags &&
    a.session === b.session &&
    a.modifyIndex === b.modifyIndex
  );
}

/** The row of the report that an entry counts in: the first path segment of a key, or the catalog's kind. */
export function rowOf(kind: MirrorKind, key: string): string {
  if (kind !== 'kv') return kind;
  const slash = key.indexOf('/');
  return slash === -1 ? '' : key.slice(0, slash + 1);
}
