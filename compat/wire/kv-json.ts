import type { Row } from '../../src/state/store.ts';
import { decodeKv } from '../../src/state/values.ts';
import { renderJsonString } from './go-json.ts';

/** Standard base64; a Buffer view, not a copy. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/**
 * One KV entry as Consul renders it, built by hand because it is the hottest body there is. An empty value is
 * `null`; `Session` is there only while the key is locked. `withValue: false` renders a transaction's write result.
 */
export function renderKvEntry(row: Row, withValue = true): string {
  const kv = decodeKv(row.value as Uint8Array);
  const value = withValue && kv.value.length > 0 ? `"${base64(kv.value)}"` : 'null';
  const session = kv.session === '' ? '' : `"Session":${renderJsonString(kv.session)},`;
  return (
    `{"LockIndex":${kv.lockIndex},"Key":${renderJsonString(row.key)},"Flags":${kv.flags},"Value":${value},` +
    `${session}"CreateIndex":${row.createIndex},"ModifyIndex":${row.modifyIndex}}`
  );
}
