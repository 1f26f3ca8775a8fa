import type { OriginId } from '../crdt/dot.ts';
import type { SeqRanges } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import { startCursor, type Cursor, type DottedRecord, type Page, type ReplicatedLog } from './log.ts';
import type { StatePageMessage, StateRow } from './sync-messages.ts';

/** The rows of a page as the log takes them; undefined when a row points past the table of origins. */
export function unpackPage(message: StatePageMessage): Page | undefined {
  const rows = unpackRows(message, message.rows);
  const aside = unpackRows(message, message.aside);
  if (rows === undefined || aside === undefined) return undefined;
  const { from, to, collectedBelow } = message;
  return { from, to: to ?? undefined, rows, collectedBelow, aside };
}

function unpackRows(
  { origins }: StatePageMessage,
  packed: readonly StateRow[],
): readonly DottedRecord[] | undefined {
  const rows: DottedRecord[] = [];
  for (const { at, ...row } of packed) {
    const name = origins[at];
    if (name === undefined) return undefined;
    rows.push({ ...row, origin: name.origin });
  }
  return rows;
}

export function sameCursor(a: Cursor, b: Cursor): boolean {
  return a.kind === b.kind && a.key === b.key;
}

/**
 * Taking over a peer's whole state, page by page. The context is what the peer had seen before its first page was read:
 * every dot of it shows in the pages that follow, so one context stands for all of them, and what the peer learns
 * during the walk is merely learned again later.
 */
export class Walk {
  readonly #log: ReplicatedLog;
  readonly #context: ReadonlyMap<OriginId, SeqRanges>;
  /** Up to this second of stamps the peer had seen everything of everybody. */
  readonly seenStampS: number;
  /** Where the next page begins. */
  at: Cursor = startCursor;
  /** How often the next page was asked for. */
  tries = 0;
  finished = false;

  constructor(log: ReplicatedLog, context: ReadonlyMap<OriginId, SeqRanges>, seenStampS: number) {
    this.#log = log;
    this.#context = context;
    this.seenStampS = seenStampS;
  }

  /** False for a page that is not the next one. */
  take(message: StatePageMessage, now: Instant): boolean {
    const page = unpackPage(message);
    if (this.finished || page === undefined || !sameCursor(page.from, this.at)) return false;
    for (const { origin, nodeId } of message.origins) this.#log.introduce(origin, nodeId);
    this.#log.join(page, this.#context, now);
    this.tries = 0;
    if (page.to === undefined) this.finished = true;
    else this.at = page.to;
    return true;
  }

  /** Now all that the peer had seen is seen here; answers the origins that this concerns. */
  finish(): Iterable<OriginId> {
    // Not of our own log: what a peer knows of it beyond our head must not count as written by this run.
    const foreign = new Map(this.#context);
    foreign.delete(this.#log.origin);
    this.#log.adoptContext(foreign);
    return foreign.keys();
  }
}
