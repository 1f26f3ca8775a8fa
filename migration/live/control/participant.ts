import { ruleText } from '../../../src/state/migration-commands.ts';
import type { CatalogExportPart } from '../catalog/export.ts';
import type { DualControl, PartContext, TailControl } from '../ports.ts';
import type { ReversePart } from '../reverse/reverse.ts';
import type { HoldBook } from './hold-book.ts';
import {
  actingCall,
  compareCall,
  drainCall,
  headsCall,
  holdCall,
  releaseCall,
  type HoldAnswer,
} from './order-forms.ts';
import { ruleAt } from './phases.ts';
import { serveLong } from './long-call.ts';

const lookMs = 10;
/** Of the time of a hold, what those who hold may take to end their writes. */
const drainShare = 0.6;

export interface ParticipantParts {
  readonly hold: HoldBook;
  readonly dual: DualControl | undefined;
  readonly tail: TailControl | undefined;
  readonly reverse: ReversePart;
  /** What shows the catalog to the source; undefined: there is no source here. */
  readonly exported: Pick<CatalogExportPart, 'drained'> | undefined;
}

/** What this gateway does when another one directs a step. */
export function serveSteps(context: PartContext, parts: ParticipantParts): () => void {
  const { gateway, phases } = context;
  const { hold, dual, tail, reverse, exported } = parts;
  /** Holds by the step that they wait for: it ends them. */
  const waiting = new Map<
    string,
    { readonly of: 'kv' | 'catalog'; readonly prefix: string; readonly step: number }
  >();

  const until = async (isSo: () => boolean, waitMs: number): Promise<boolean> => {
    const dueMs = gateway.monoMs() + waitMs;
    while (!isSo()) {
      if (gateway.monoMs() >= dueMs) return false;
      // oxlint-disable-next-line no-await-in-loop -- a poll
      await gateway.clock.sleep(lookMs);
    }
    return true;
  };

  gateway.serve('acting', async (body) => {
    const { of, prefix, step, waitMs } = actingCall.parse(body);
    const acts = await until(
      () => (ruleAt(phases, of, prefix)?.step ?? 0) >= step && (dual?.older(of, prefix, step) ?? 0) === 0,
      waitMs,
    );
    if (acts) return {};
    const now = ruleAt(phases, of, prefix)?.step ?? 0;
    const older = dual?.older(of, prefix, step) ?? 0;
    throw new Error(
      now < step ? `it has not heard of step ${step} yet` : `it still answers ${older} older requests`,
    );
  });

  gateway.serve('hold', async (body): Promise<HoldAnswer> => {
    const { id, of, prefix, step, forMs } = holdCall.parse(body);
    const now = ruleAt(phases, of, prefix)?.step ?? 0;
    if (now !== step) throw new Error(`${ruleText(of, prefix)} is at step ${now} here, not at ${step}`);
    waiting.set(id, { of, prefix, step });
    hold.hold(id, of, prefix, forMs, () => {
      waiting.delete(id);
      gateway.log.warn({ prefix, forMs }, 'writes were held, and go on: the step was not made in time');
    });
    await until(() => (dual?.open(of, prefix) ?? 0) === 0, forMs * drainShare);
    // Commands are taken in order: what was proposed before is in the log after this.
    await gateway.propose({ kind: 'local', puts: [], deletes: [], catalog: [] });
    return {
      open: dual?.open(of, prefix) ?? 0,
      head: gateway.ownHead(),
      highestIndex: gateway.view.highestIndex(),
    };
  });

  gateway.serve('release', (body) => {
    const { id } = releaseCall.parse(body);
    waiting.delete(id);
    hold.release(id);
    return Promise.resolve({});
  });

  gateway.serve('heads', async (body) => {
    const { heads, waitMs } = headsCall.parse(body);
    await Promise.all(heads.map(({ origin, seq }) => gateway.untilSeen(origin, seq, waitMs)));
    return {};
  });

  serveLong(gateway, 'compare', async (body) => {
    const { of, prefix, waitMs } = compareCall.parse(body);
    if (tail === undefined) throw new Error('it has no source');
    const found = await tail.compareNow(of, prefix, waitMs);
    return { ...found, head: gateway.ownHead() };
  });

  gateway.serve('drain-back', async (body) => {
    const { of, prefix, waitMs, heads } = drainCall.parse(body);
    const startMs = gateway.monoMs();
    if (of === 'catalog') {
      if (exported === undefined) throw new Error('it has no source');
      await Promise.all(heads.map(({ origin, seq }) => gateway.untilSeen(origin, seq, waitMs)));
      const leftMs = waitMs - (gateway.monoMs() - startMs);
      return { drained: await exported.drained(leftMs), differing: 0 };
    }
    if (!(await reverse.drained(prefix, waitMs))) return { drained: false, differing: 0 };
    const { differing } = await reverse.sweep(prefix);
    if (differing === 0) return { drained: true, differing: 0 };
    const leftMs = Math.max(0, waitMs - (gateway.monoMs() - startMs));
    if (!(await reverse.drained(prefix, leftMs))) return { drained: false, differing };
    return { drained: true, differing: (await reverse.sweep(prefix)).differing };
  });

  return phases.onChange(() => {
    for (const [id, { of, prefix, step }] of waiting) {
      if ((ruleAt(phases, of, prefix)?.step ?? 0) <= step) continue;
      waiting.delete(id);
      hold.release(id);
    }
  });
}
