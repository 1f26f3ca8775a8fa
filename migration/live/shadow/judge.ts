import type { DifferenceKind } from '../../evidence/snapshot.ts';
import type { EntryFacts, Facts } from './facts.ts';

// Source, here, source again: what is here may agree with either reading of the source, entry by entry. Where the source
// changed in between and here agrees with neither, nothing can be said.

export type Verdict =
  | { readonly kind: 'matched' }
  /** Differs only in what the rules pass over. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'moving' }
  | { readonly kind: 'differs'; readonly difference: DifferenceKind; readonly entries: Differences };

/** By the id of an entry. What stands here is the same as long as neither side changes. */
export type Differences = ReadonlyMap<string, Difference>;

export interface Difference {
  readonly kind: DifferenceKind;
  readonly source: string;
  readonly here: string;
}

/** What a difference of a whole answer is under, in place of an entry's id. */
const wholeAnswer = {
  status: '\u0000status',
  order: '\u0000order',
  header: '\u0000header',
  type: '\u0000type',
} as const;

/** The first of these that an answer has is what it counts as. */
const severity: readonly DifferenceKind[] = [
  ...(['target-newer', 'missing', 'extra', 'value', 'status', 'session', 'flags', 'order'] as const),
  ...(['header', 'metadata-only'] as const),
];

export function judge(before: Facts, here: Facts, after: Facts): Verdict {
  const differences = new Map<string, Difference>();
  let moving = false;
  let ignored = false;
  const note = (
    id: string,
    kindOf: (source: Facts) => DifferenceKind | 'ignored' | null,
    print: (side: Facts) => string,
  ): void => {
    const kinds = [kindOf(after), kindOf(before)];
    if (kinds.includes(null)) return;
    if (kinds.includes('ignored')) {
      ignored = true;
      return;
    }
    if (print(before) !== print(after)) moving = true;
    else differences.set(id, { kind: kinds[0] as DifferenceKind, source: print(after), here: print(here) });
  };

  const isAnswer = [before, here, after].every(({ status }) => status === 200 || status === 404);
  note(
    wholeAnswer.status,
    // A key that is not there is found missing below; only trouble differs by its status.
    (source) => (source.status === here.status || isAnswer ? null : 'status'),
    ({ status }) => String(status),
  );
  if (isAnswer) {
    for (const id of new Set([...before.entries.keys(), ...here.entries.keys(), ...after.entries.keys()])) {
      note(
        id,
        (source) => entryDifference(source.entries.get(id), here.entries.get(id), source.index),
        (side) => printOf(side.entries.get(id)),
      );
    }
    const sameStatus = (source: Facts): boolean =>
      source.status === here.status || differences.size > 0 || moving;
    note(
      wholeAnswer.status,
      (source) => (sameStatus(source) ? null : 'status'),
      ({ status }) => String(status),
    );
    note(
      wholeAnswer.order,
      (source) => (isSameOrder(source.order, here.order) ? null : 'order'),
      ({ order }) => (order ?? []).join('\n'),
    );
    note(
      wholeAnswer.header,
      (source) => (source.index > 0 === here.index > 0 ? null : 'header'),
      ({ index }) => String(index > 0),
    );
    note(
      wholeAnswer.type,
      (source) => (isSameType(source, here) ? null : 'header'),
      // Of some answers it is not at hand: that is no change.
      ({ contentType }) => contentType ?? before.contentType ?? after.contentType ?? '',
    );
    if (here.leftOut !== after.leftOut && here.leftOut !== before.leftOut) ignored = true;
  }
  if (differences.size > 0 && (before.hidden || after.hidden)) {
    // What the token may not see is no difference, and no proof that there is none.
    for (const [id, { kind }] of differences) if (hiddenKinds.has(kind)) differences.delete(id);
    if (differences.size === 0) return { kind: 'moving' };
  }
  if (differences.size > 0) return differs(differences);
  if (moving) return { kind: 'moving' };
  return { kind: ignored ? 'ignored' : 'matched' };
}

/** As it looks when the source shows less than it holds. */
const hiddenKinds: ReadonlySet<DifferenceKind> = new Set([
  'extra',
  'target-newer',
  'status',
  'header',
  'order',
]);

/** Whether all that differs could stem from a token that may not see it. */
export function mayBeHidden({ entries }: Extract<Verdict, { kind: 'differs' }>): boolean {
  return [...entries.values()].every(({ kind }) => hiddenKinds.has(kind));
}

export function differs(entries: Differences): Extract<Verdict, { kind: 'differs' }> {
  const kinds = new Set([...entries.values()].map(({ kind }) => kind));
  return { kind: 'differs', difference: severity.find((kind) => kinds.has(kind)) ?? 'value', entries };
}

function entryDifference(
  source: EntryFacts | undefined,
  here: EntryFacts | undefined,
  sourceIndex: number,
): DifferenceKind | 'ignored' | null {
  if (source === undefined) {
    if (here === undefined) return null;
    return here.version !== undefined && sourceIndex > 0 && here.version > sourceIndex
      ? 'target-newer'
      : 'extra';
  }
  if (here === undefined) return 'missing';
  const newer = source.version !== undefined && here.version !== undefined && here.version > source.version;
  if (source.content !== here.content) {
    if (newer) return 'target-newer';
    return source.withoutStatus !== undefined && source.withoutStatus === here.withoutStatus
      ? 'status'
      : 'value';
  }
  if (source.flags !== here.flags) return 'flags';
  if (source.session !== here.session) return 'session';
  if (newer) return 'target-newer';
  // A client that swaps by index would fail on an old one.
  const behind = source.version !== undefined && here.version !== undefined && here.version < source.version;
  if (behind || source.lockIndex !== here.lockIndex) return 'metadata-only';
  return source.strict === here.strict ? null : 'ignored';
}

/** Of the entries that both have. */
function isSameOrder(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) return true;
  const [inA, inB] = [new Set(a), new Set(b)];
  const [left, right] = [a.filter((id) => inB.has(id)), b.filter((id) => inA.has(id))];
  return left.every((id, at) => id === right[at]);
}

function isSameType(source: Facts, here: Facts): boolean {
  const known = source.contentType !== undefined && here.contentType !== undefined;
  return !known || source.status !== here.status || source.contentType === here.contentType;
}

function printOf(entry: EntryFacts | undefined): string {
  if (entry === undefined) return '';
  const { content, flags, session, lockIndex, version } = entry;
  return JSON.stringify([content, flags, session, lockIndex, version ?? null]);
}
