import { Kind } from '../../../src/state/kinds.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import { encodeKv } from '../../../src/state/values.ts';
import type { KvEntry } from '../../source/consul-reader.ts';

/**
 * A key of the source as a register. Whoever relays it (a dual write, the tail, a repair) makes the same bytes of it,
 * or two gateways would hold different values under one version. `ix` tells which session holds the key's lock.
 */
export function kvRecord(entry: KvEntry): MirrorRecord {
  const { key, flags, lockIndex, session, value } = entry;
  return {
    kind: Kind.kv,
    key,
    stamp: entry.modifyIndex,
    born: entry.createIndex,
    value: encodeKv({ flags, lockIndex, session, value }),
    ix: session === '' ? null : session,
  };
}

/** A key that is not there: `index` is one at which that is known. */
export function kvAbsence(key: string, index: number): MirrorRecord {
  return { kind: Kind.kv, key, stamp: index, born: 0, value: null, ix: null };
}
