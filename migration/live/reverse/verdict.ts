/** What a key is on one side; null: it is not there. */
export interface Content {
  readonly value: Uint8Array;
  readonly flags: bigint;
}

/** A key at the source. */
export interface There extends Content {
  readonly modifyIndex: number;
}

/** What is known of a key at the source from before. */
export interface Known {
  /** Everything at the source up to this index was there when the authority moved. */
  readonly baseline: number;
  /** The index that our last write of it got, 0 if that removed it; undefined: never written since. */
  readonly mirrored: number | undefined;
  /** It was not written here since the authority moved: the source had it then. */
  readonly untouched: boolean;
}

/** Why a key is left alone: somebody wrote it at the source, past the gateways. */
export type BypassReason = 'changed' | 'created' | 'deleted';

/**
 * - `same`: nothing to write; it stands there at this index (0: it is not there);
 * - `write`, `delete`: provided that it still has this index (0: that it is not there);
 * - `bypass`: must not be overwritten.
 */
export type Verdict =
  | { readonly kind: 'same' | 'write' | 'delete'; readonly index: number }
  | { readonly kind: 'bypass'; readonly why: BypassReason };

/** What is to become of a key at the source, which is to be as it is here. */
export function judge(here: Content | null, there: There | null, known: Known): Verdict {
  if (there === null) {
    if (here === null) return { kind: 'same', index: 0 };
    const wasThere = known.mirrored === undefined ? known.untouched : known.mirrored > 0;
    return wasThere ? { kind: 'bypass', why: 'deleted' } : { kind: 'write', index: 0 };
  }
  const index = there.modifyIndex;
  if (here !== null && sameContent(here, there)) return { kind: 'same', index };
  const expected = known.mirrored === undefined ? index <= known.baseline : index === known.mirrored;
  if (!expected) {
    const isNew = known.mirrored === undefined ? !known.untouched && here === null : known.mirrored === 0;
    return { kind: 'bypass', why: isNew ? 'created' : 'changed' };
  }
  return { kind: here === null ? 'delete' : 'write', index };
}

export function sameContent(a: Content, b: Content): boolean {
  return a.flags === b.flags && Buffer.compare(a.value, b.value) === 0;
}
