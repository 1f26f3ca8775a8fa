import type { MigrationKind, Phase, PhaseRule } from '../../../src/state/migration.ts';
import type { HoldAnswer, Position } from './order-forms.ts';

// How authority moves: nobody writes for a moment, everybody has everything, the source is fenced, the step is made.
// Every gateway's hold ends by itself, so whoever directs this may die at any point: then writes go on as before.

export interface Move {
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly from: PhaseRule;
  readonly to: Phase;
  readonly holdMsMax: number;
}

/** What is done on the way; names are those of gateways. */
export interface MovePorts {
  /** Those that take part: all that live, without those left out. */
  readonly names: readonly string[];
  readonly runner: string | undefined;
  hold(name: string, id: string, forMs: number): Promise<HoldAnswer>;
  release(name: string, id: string): Promise<void>;
  see(name: string, heads: readonly Position[], waitMs: number): Promise<void>;
  /** Everything below the prefix is read at the source and applied here. */
  compare(
    waitMs: number,
  ): Promise<{ readonly entries: number; readonly changed: number; readonly head: Position }>;
  /** Everything written here is copied to the source, and compared. */
  drainBack(waitMs: number): Promise<{ readonly drained: boolean; readonly differing: number }>;
  /** Writers that have not heard of what comes are refused by the source from now on. */
  fence(waitMs: number): Promise<void>;
  /**
   * Waits until gateways that do not take part can write at the source no more, once the fence is raised. Undefined: all
   * take part, and hold.
   */
  readonly untilOut: ((waitMs: number) => Promise<void>) | undefined;
  /** The move was called off after the fence was set: those writers may go on. */
  unfence(): Promise<void>;
  /** The highest index that the source has shown. */
  sourceIndex(): number;
  step(fences: readonly Position[]): Promise<{ readonly rule: PhaseRule } | { readonly refused: string }>;
  readonly monoMs: () => number;
  newId(): string;
  stage(stage: MoveStage): void;
}

export type MoveStage = 'prepare' | 'hold' | 'compare' | 'heads' | 'fence' | 'step' | 'done' | 'called-off';

export type MoveOutcome =
  | {
      readonly kind: 'moved';
      readonly rule: PhaseRule;
      /** How long writes were held. */
      readonly heldMs: number;
      readonly entries: number;
    }
  | { readonly kind: 'called-off'; readonly at: MoveStage; readonly why: string; readonly heldMs: number };

/** What comes before the hold may take this long: it only makes what happens under it short. */
const prepareMs = 120_000;
/** What the step itself needs of the hold. Guess. */
const stepMs = 100;

class CalledOff extends Error {}

/** Moves the authority over a prefix, or leaves everything as it was and says why. */
export async function moveAuthority(move: Move, ports: MovePorts): Promise<MoveOutcome> {
  const { names, runner } = ports;
  const back = move.to === 'local-reads';
  const id = ports.newId();
  let at: MoveStage = 'prepare';
  let heldFromMs: number | undefined;
  let fenced = false;
  const enter = (stage: MoveStage): void => {
    at = stage;
    ports.stage(stage);
  };
  const heldMs = (): number => (heldFromMs === undefined ? 0 : ports.monoMs() - heldFromMs);
  /** What is left of the hold; throws when it is over. */
  const left = (): number => {
    const ms = (heldFromMs ?? 0) + move.holdMsMax - stepMs - ports.monoMs();
    if (ms <= 0)
      throw new CalledOff(
        `not done within ${move.holdMsMax} ms: limits.hold may be raised, or the prefix split`,
      );
    return ms;
  };
  try {
    enter('prepare');
    if (back) {
      const { drained } = await ports.drainBack(prepareMs);
      if (!drained) throw new CalledOff('not everything that was written here could be copied back');
    } else await ports.compare(prepareMs);

    enter('hold');
    heldFromMs = ports.monoMs();
    const holds = await Promise.all(names.map((name) => ports.hold(name, id, move.holdMsMax)));
    const heads = new Map<string, Position>();
    let lowestIndex = Infinity;
    for (const [i, { open, head, highestIndex }] of holds.entries()) {
      if (open > 0) throw new CalledOff(`${names[i] ?? ''} still had ${open} writes under way`);
      heads.set(head.origin, head);
      lowestIndex = Math.min(lowestIndex, highestIndex);
    }

    const fence = async (): Promise<void> => {
      enter('fence');
      fenced = true;
      await ports.fence(left());
    };
    if (!back && ports.untilOut !== undefined) {
      // What they still wrote is compared with the rest.
      await fence();
      await ports.untilOut(left());
    }

    enter('compare');
    let entries = 0;
    if (back) {
      const { drained, differing } = await ports.drainBack(left());
      if (!drained) throw new CalledOff('not everything that was written here could be copied back in time');
      if (differing > 0)
        throw new CalledOff(`${differing} keys differ at the source after everything was copied back`);
    } else {
      const compared = await ports.compare(left());
      entries = compared.entries;
      if (runner === undefined || !names.includes(runner))
        throw new CalledOff('no gateway compares with the source');
      heads.set(compared.head.origin, compared.head);
      if (lowestIndex <= ports.sourceIndex()) {
        throw new CalledOff(
          `a gateway would show index ${lowestIndex}, and the source has shown ${ports.sourceIndex()}: ` +
            'clients that wait would start over',
        );
      }
    }

    enter('heads');
    const fences = [...heads.values()];
    const seeMs = left();
    await Promise.all(names.map((name) => ports.see(name, fences, seeMs)));

    if (!back && !fenced) await fence();

    enter('step');
    left();
    const outcome = await ports.step(fences);
    if ('refused' in outcome) throw new CalledOff(outcome.refused);
    const result = { kind: 'moved', rule: outcome.rule, heldMs: heldMs(), entries } as const;
    enter('done');
    return result;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const outcome = { kind: 'called-off', at, why, heldMs: heldMs() } as const;
    ports.stage('called-off');
    if (fenced) await ports.unfence().catch(() => {});
    return outcome;
  } finally {
    if (heldFromMs !== undefined) {
      await Promise.all(names.map((name) => ports.release(name, id).catch(() => {})));
    }
  }
}
