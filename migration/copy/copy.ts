import type { ForkEvidence } from '../mirror/leaf-decision.ts';
import { ConnectionError } from '../source/connection.ts';
import { copyCatalog, listSessions } from './copy-catalog.ts';
import { copyKv } from './copy-kv.ts';
import { CopyRun, type CopyOptions, type LeafEnd } from './copy-run.ts';
import type { CountsByKind } from './counts.ts';
import { cursorName, decodeCursor } from './cursor.ts';
import type { NoticeSummary } from './notices.ts';

export type CopySummary = {
  readonly end: 'done' | 'interrupted';
  readonly sourceId: string;
  readonly timeline: number;
  /** Why the timeline was raised in this run; empty when it was not. */
  readonly fork: readonly ForkEvidence[];
  readonly resumed: boolean;
  readonly dryRun: boolean;
  readonly counts: CountsByKind;
  readonly notices: readonly NoticeSummary[];
  /** Bytes of values read at the source. */
  readonly bytes: number;
  readonly startedAtMs: number;
  readonly tookMs: number;
};

/**
 * Copies a source Consul into a target. Repeatable: what is already there is not written again. Interrupted,
 * it goes on where the target last committed. Rejects with a ConnectionError when a side fails for good.
 */
export async function copyFromConsul(options: CopyOptions): Promise<CopySummary> {
  const begunAtMs = options.clock.now();
  const state = await options.target.state(options.sourceId);
  if (state.timeline === 0 && state.otherSources.length > 0) {
    const others = state.otherSources.join(', ');
    throw new ConnectionError(
      'refused',
      `the gateway already mirrors ${others}, and this source is ${options.sourceId}. ` +
        `If it is the same cluster with other servers, say --source-id ${state.otherSources[0] ?? ''}`,
    );
  }
  const run = new CopyRun(options, state, decodeCursor(state.cursors[cursorName]));
  const fork: ForkEvidence[] = [];
  for (;;) {
    const end = await copyAll(run);
    if (end.kind === 'done') break;
    if (fork.length > 0) throw new Error(secondFork(end.evidence));
    fork.push(...end.evidence);
    await run.rebase();
  }
  return {
    end: run.interrupted ? 'interrupted' : 'done',
    sourceId: options.sourceId,
    timeline: run.timeline,
    fork,
    resumed: run.resumed,
    dryRun: options.dryRun,
    counts: run.counts,
    notices: run.notices.summary(),
    bytes: run.bytes,
    startedAtMs: run.startedAtMs,
    tookMs: options.clock.now() - begunAtMs,
  };
}

async function copyAll(run: CopyRun): Promise<LeafEnd> {
  const { kv, catalog } = run.options;
  try {
    if (kv && run.phase === 'kv') {
      const end = await copyKv(run);
      if (end.kind === 'fork') return end;
    }
    if (!run.interrupted) {
      if (run.phase === 'kv') {
        run.phase = 'catalog';
        run.position = null;
      }
      if (catalog) {
        const end = await copyCatalog(run);
        if (end.kind === 'fork') return end;
      }
    }
    if (!run.interrupted && kv) await listSessions(run);
  } catch (error) {
    // The signal cuts requests short; what was settled before is committed below.
    if (!(run.interrupted && error instanceof ConnectionError && error.kind === 'aborted')) throw error;
  }
  await (run.interrupted ? run.commit() : run.finish());
  return { kind: 'done' };
}

function secondFork(evidence: readonly ForkEvidence[]): string {
  const [first] = evidence;
  const what =
    first === undefined
      ? ''
      : ` (${first.key}: held ${first.heldStamp}, source ${first.sourceIndex}, ${first.why})`;
  return `the source contradicts itself again right after everything was read anew${what}: is it being restored?`;
}
