import { createHash } from 'node:crypto';
import type { JsonObject } from '../compat/wire/go-json.ts';
import { canonicalText, type CatalogKind } from './canonical.ts';

/**
 * The digests by which source and target are compared without moving values. A target that computes its own
 * must do it exactly so: a digest that differs under an equal index reads as a fork of the source's history.
 *
 *   kv       SHA-256 of `kv\n<flags in decimal>\n` and the raw value bytes
 *   catalog  SHA-256 of `<kind>\n` and the canonical text of the record's Value (`migration/canonical.ts`)
 */
export function digestKv(value: Uint8Array, flags: bigint): string {
  return createHash('sha256').update(`kv\n${flags}\n`).update(value).digest('hex');
}

/** `value` must be canonical, as `canonicalCatalogValue` makes it. */
export function digestCatalog(kind: CatalogKind, value: JsonObject): string {
  return createHash('sha256')
    .update(`${kind}\n${canonicalText(value)}`)
    .digest('hex');
}
