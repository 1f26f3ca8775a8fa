import type { MirrorKind } from '../mirror/registers.ts';

/** What became of the entries of one kind; every entry that was read or held is in exactly one of them. */
export type Counts = {
  /** Sent, and new or changed at the target. */
  copied: number;
  /** Deleted at the target, because the source proved that it is gone. */
  deleted: number;
  unchanged: number;
  /** At the source, and left there for a reason that is listed. */
  skipped: number;
  /** Absent at the source and not deleted, because the proof or the permission is missing. */
  withheld: number;
  /** Written at the target under its own authority: kept. */
  kept: number;
  /** Refused by the target, with its reason listed. */
  refused: number;
  /** Overtaken by another mirror while this one was on its way. */
  overtaken: number;
};

export type CountsByKind = Record<MirrorKind, Counts>;

export function emptyCounts(): Counts {
  return { copied: 0, deleted: 0, unchanged: 0, skipped: 0, withheld: 0, kept: 0, refused: 0, overtaken: 0 };
}

export function emptyCountsByKind(): CountsByKind {
  return { kv: emptyCounts(), node: emptyCounts(), service: emptyCounts(), check: emptyCounts() };
}
