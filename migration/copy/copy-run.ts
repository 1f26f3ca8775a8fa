import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { emptyTally, weighDeletes, type DeleteTally } from '../mirror/breaker.ts';
import type { ForkEvidence } from '../mirror/leaf-decision.ts';
import type { Position } from '../mirror/regions.ts';
import type { MirrorKind } from '../mirror/registers.ts';
import type { ConsulReader, SourceSelf } from '../source/consul-reader.ts';
import { fitsBatch, wireBytes } from '../target/batch.ts';
import {
  recordsPerBatchMax,
  type ApplyOutcome,
  type MirrorRecord,
  type MirrorState,
  type MirrorTarget,
} from '../target/target.ts';
import { emptyCountsByKind, type CountsByKind } from './counts.ts';
import { cursorName, encodeCursor, type CopyCursor } from './cursor.ts';
import { NoticeBook, type Notice, type NoticeAction, type NoticeCode } from './notices.ts';

export type DeleteQuestion = {
  /** Where: a key prefix, or the catalog. */
  readonly where: string;
  readonly deletes: number;
  readonly live: number;
  readonly examples: readonly string[];
};

export type CopyOptions = {
  readonly source: ConsulReader;
  readonly target: MirrorTarget;
  readonly sourceId: string;
  readonly sourceSelf: SourceSelf;
  readonly tokenGiven: boolean;
  /** Key prefixes, `['']` for all. */
  readonly prefixes: readonly string[];
  readonly kv: boolean;
  readonly catalog: boolean;
  readonly dryRun: boolean;
  readonly allowDeletes: boolean;
  /** Ignore an unfinished run's place. */
  readonly startOver: boolean;
  /** Asks a human when the breaker trips; absent: the deletes are withheld. */
  readonly askDeletes?: (question: DeleteQuestion) => Promise<boolean>;
  readonly signal?: AbortSignal;
  readonly clock: Clock;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly onNotice?: (notice: Notice) => void;
  /** How many leaves are read ahead of the one being applied. */
  readonly leavesAhead?: number;
  /** At most, and by default, what the target takes. */
  readonly recordsPerBatch?: number;
};

export type CopyProgress = {
  readonly phase: 'kv' | 'catalog';
  readonly done: number;
  /** Known so far; grows while a very large key space is planned in pieces. */
  readonly total: number;
  readonly bytes: number;
  readonly where: string;
};

export type LeafEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'fork'; readonly evidence: readonly ForkEvidence[] };

export const done: LeafEnd = { kind: 'done' };

/** What one run has learned and done so far; shared by the KV and the catalog part. */
export class CopyRun {
  readonly options: CopyOptions;
  /** In lower case. */
  readonly gatewayNodes: ReadonlySet<string>;
  readonly selection: string;
  notices: NoticeBook;
  counts: CountsByKind;
  timeline: number;
  phase: CopyCursor['phase'] = 'kv';
  /** Where the run stood when it was taken up; entries behind it are done. */
  position: Position | null = null;
  startedAtMs: number;
  bytes = 0;
  readonly resumed: boolean;
  #tally: DeleteTally = emptyTally;
  #pending: MirrorRecord[] = [];
  #pendingBytes = 0;
  #leavesSinceCommit = 0;
  #committedCursor = false;

  constructor(options: CopyOptions, state: MirrorState, cursor: CopyCursor | null) {
    this.options = options;
    this.gatewayNodes = new Set(state.gatewayNodes.map((name) => name.toLowerCase()));
    this.selection = selectionOf(options);
    this.timeline = Math.max(1, state.timeline);
    const usable =
      cursor !== null &&
      !options.startOver &&
      cursor.phase !== 'done' &&
      cursor.selection === this.selection &&
      cursor.timeline === this.timeline;
    this.resumed = usable;
    this.notices = new NoticeBook(this.#onNotice, usable ? cursor.notices : []);
    this.counts = usable ? structuredClone(cursor.counts) : emptyCountsByKind();
    this.startedAtMs = usable ? cursor.startedAtMs : options.clock.now();
    if (usable) {
      this.phase = cursor.phase;
      this.position = cursor.position;
      this.#committedCursor = true;
    }
  }

  get interrupted(): boolean {
    return this.options.signal?.aborted === true;
  }

  notice(code: NoticeCode, action: NoticeAction, kind: Notice['kind'], key: string, detail?: string): void {
    this.notices.add({ code, action, kind, key, ...(detail === undefined ? {} : { detail }) });
  }

  /** Weighs the deletes of one leaf; true when they may go ahead. */
  async mayDelete(question: DeleteQuestion): Promise<boolean> {
    const { deletes, live } = question;
    const { trips, allowed, withheld } = weighDeletes(this.#tally, { deletes, live });
    const goAhead =
      !trips ||
      this.options.allowDeletes ||
      (deletes > 0 && (await this.options.askDeletes?.(question)) === true);
    this.#tally = goAhead ? allowed : withheld;
    return goAhead;
  }

  /** Queues a record; what is queued is committed in order. `predicted` is counted now, corrected on answer. */
  async send(record: MirrorRecord, predicted: 'copied' | 'deleted' | 'unchanged'): Promise<void> {
    const fill = { records: this.#pending.length, bytes: this.#pendingBytes };
    if (!fitsBatch(fill, record, this.options.recordsPerBatch ?? recordsPerBatchMax)) await this.commit();
    this.#pending.push(record);
    this.#pendingBytes += wireBytes(record);
    this.counts[record.kind][predicted] += 1;
  }

  /** Everything up to here is settled; call it in key order, after the records of that place were sent. */
  settled(position: Position): void {
    this.position = position;
  }

  /** Called after each leaf: long stretches without change still move the committed place on. */
  async leafDone(): Promise<void> {
    this.#leavesSinceCommit += 1;
    if (this.#leavesSinceCommit >= 64) await this.commit();
  }

  /** Commits what is queued, together with the cursor. */
  async commit(): Promise<void> {
    const idle = this.#pending.length === 0 && this.#leavesSinceCommit === 0;
    const records = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#leavesSinceCommit = 0;
    if (idle || this.options.dryRun) return;
    await this.#apply(records);
  }

  /** Ends the run: the place is cleared, so that the next run starts anew. */
  async finish(): Promise<void> {
    this.phase = 'done';
    this.position = null;
    if (this.options.dryRun) return;
    // A run that found nothing to do and left no place behind writes nothing at all.
    if (this.#pending.length > 0 || this.#committedCursor) {
      const records = this.#pending;
      this.#pending = [];
      await this.#apply(records);
    }
  }

  /** The source's history was replaced: all that is held counts as the old timeline's from here on. */
  async rebase(): Promise<void> {
    this.timeline += 1;
    this.phase = 'kv';
    this.position = null;
    this.counts = emptyCountsByKind();
    this.notices = new NoticeBook(this.#onNotice);
    this.#tally = emptyTally;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (!this.options.dryRun) await this.#apply([]);
  }

  readonly #onNotice = (notice: Notice): void => this.options.onNotice?.(notice);

  async #apply(records: readonly MirrorRecord[]): Promise<void> {
    const cursor = encodeCursor({
      selection: this.selection,
      timeline: this.timeline,
      phase: this.phase,
      position: this.position,
      startedAtMs: this.startedAtMs,
      counts: this.counts,
      notices: this.notices.summary(),
    });
    const outcome = await this.options.target.apply({
      source: this.options.sourceId,
      timeline: this.timeline,
      records,
      cursors: { [cursorName]: cursor },
    });
    this.#committedCursor = true;
    this.#correct(records, outcome);
  }

  /** Moves what the target did otherwise than predicted into its own count. */
  #correct(records: readonly MirrorRecord[], outcome: ApplyOutcome): void {
    const byId = new Map(records.map((record) => [`${record.kind} ${record.key}`, record]));
    const predictedOf = (
      kind: string,
      key: string,
    ): { kind: MirrorKind; from: 'copied' | 'deleted' } | null => {
      const record = byId.get(`${kind} ${key}`);
      return record === undefined
        ? null
        : { kind: record.kind, from: 'deleted' in record ? 'deleted' : 'copied' };
    };
    for (const refusal of outcome.refused) {
      const found = predictedOf(refusal.kind, refusal.key);
      if (found === null) continue;
      this.#move(found.kind, found.from, 'refused', 1);
      this.notice('refused', 'refused', found.kind, refusal.key, refusal.why);
    }
    for (const conflict of outcome.conflicts) {
      const found = predictedOf(conflict.kind, conflict.key);
      if (found === null) continue;
      this.#move(found.kind, found.from, 'kept', 1);
      this.notice('written-here', 'kept', found.kind, conflict.key, `term ${conflict.heldTerm}`);
    }
    const [first] = records;
    if (outcome.older > 0 && first !== undefined)
      this.#move(first.kind, 'copied', 'overtaken', outcome.older);
  }

  #move(
    kind: MirrorKind,
    from: 'copied' | 'deleted',
    to: 'refused' | 'kept' | 'overtaken',
    many: number,
  ): void {
    const counts = this.counts[kind];
    const moved = Math.min(many, counts[from]);
    counts[from] -= moved;
    counts[to] += many;
  }
}

function selectionOf(options: CopyOptions): string {
  const selection = JSON.stringify([options.prefixes, options.kv, options.catalog]);
  return createHash('sha256').update(selection).digest('hex').slice(0, 16);
}
