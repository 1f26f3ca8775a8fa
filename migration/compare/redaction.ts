import { createHmac, randomBytes } from 'node:crypto';
import type { MirrorKind } from '../mirror/registers.ts';
import { rowOf, type SideEntry } from './entries.ts';

/**
 * Reports travel further than data may. Keys are shown as their first segment and an HMAC, values as a
 * length and an HMAC, under a secret that is new for every run; two reports correlate only when both were
 * made with the same named secret.
 */
export type Redaction = {
  readonly mode: 'redacted' | 'revealed';
  /** The name of the secret, never the secret: `per-run`, or the file's name. */
  readonly secretName: string;
  readonly secret: Uint8Array;
};

export function perRunRedaction(mode: Redaction['mode']): Redaction {
  return { mode, secretName: 'per-run', secret: randomBytes(32) };
}

export type ShownKey = { readonly prefix: string; readonly hmac: string; readonly key?: string };

export function showKey(redaction: Redaction, kind: MirrorKind, key: string): ShownKey {
  const shown = { prefix: rowOf(kind, key), hmac: hmac(redaction, `${kind}\n${key}`) };
  return redaction.mode === 'revealed' ? { ...shown, key } : shown;
}

export type ShownEntry = {
  readonly length: number;
  readonly hmac: string;
  readonly modifyIndex: number;
  /** In decimal: a uint64 does not fit a JSON number. */
  readonly flags?: string;
  readonly held?: boolean;
  readonly text?: string;
};

export function showEntry(redaction: Redaction, entry: SideEntry | undefined): ShownEntry | null {
  if (entry === undefined) return null;
  const shown = {
    length: entry.length,
    hmac: hmac(redaction, entry.content),
    modifyIndex: entry.modifyIndex,
  };
  const kv = entry.kind === 'kv' ? { flags: String(entry.flags), held: entry.session !== '' } : {};
  const text = redaction.mode === 'revealed' && entry.text !== null ? { text: entry.text } : {};
  return { ...shown, ...kv, ...text };
}

function hmac(redaction: Redaction, text: string): string {
  return createHmac('sha256', redaction.secret).update(text).digest('hex').slice(0, 32);
}
