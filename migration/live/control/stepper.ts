import { ruleText } from '../../../src/state/migration-commands.ts';
import {
  authorityOf,
  isDual,
  phases,
  type MigrationKind,
  type Phase,
  type PhaseRule,
} from '../../../src/state/migration.ts';
import type { OriginId } from '../../../src/crdt/dot.ts';
import type { PartContext } from '../ports.ts';
import { moveAuthority, type MovePorts, type MoveStage } from './choreography.ts';
import { gateFacts, type FactParts } from './facts.ts';
import { lowerFence } from './fence-keeper.ts';
import { gatesOf, notGreen, type Gate } from './gates.ts';
import { callLong } from './long-call.ts';
import { compareAnswer, drainAnswer, holdAnswer, type Position, type StepOrder } from './order-forms.ts';
import { leaseMs } from '../dual/leases.ts';
import { ruleAt } from './phases.ts';
import { isOfRehearsals } from './rehearsals.ts';

/** What came of an order to step. */
export interface StepReport {
  readonly kind: MigrationKind;
  readonly prefix: string;
  readonly from: Phase;
  readonly to: Phase;
  readonly dryRun: boolean;
  /**
   * - `would`: a dry run; - `blocked`: gates are not green; - `called-off`: the authority could not be moved, all is as
   *   before; - `waiting`: the step is made, and not all gateways act on it yet; - `done`.
   */
  readonly result: 'would' | 'blocked' | 'called-off' | 'waiting' | 'done';
  readonly gates: readonly Gate[];
  /** Gates that were not green and were passed over, with the reason that was given. */
  readonly overridden: readonly string[];
  readonly actions: readonly string[];
  readonly rule: PhaseRule | null;
  /** Gateways that do not act on the step yet, and why. */
  readonly waitingFor: readonly { readonly gateway: string; readonly why: string }[];
  readonly message: string;
  readonly heldMs: number | null;
}

/** How a rehearsal steps: it has no report, and is not rehearsed itself. */
export interface StepOptions {
  readonly passedOver?: (gate: Gate) => boolean;
}

export type StepResult = StepReport | { readonly refused: string; readonly status: number };

/** How long gateways get to act on a step that was made. */
const actMs = 10_000;
const marginMs = 2000;
/** What clocks of two machines may differ by in how fast they go. Guess, far above what they do. */
const clockDrift = 0.1;

export interface StepperParts extends FactParts {
  readonly sessionsReady: (waitMs: number) => Promise<void>;
}

/** Makes steps, one at a time, at the gateway that owns the zone of the prefix. */
export class Stepper {
  readonly #context: PartContext;
  readonly #parts: StepperParts;
  #busy: string | undefined;
  #stage: MoveStage | undefined;
  #lastMove: string | undefined;

  constructor(context: PartContext, parts: StepperParts) {
    this.#context = context;
    this.#parts = parts;
  }

  get facts(): object {
    return { busy: this.#busy ?? null, stage: this.#stage ?? null, lastMove: this.#lastMove ?? null };
  }

  async step(order: StepOrder, options: StepOptions = {}): Promise<StepResult> {
    const { kind: of, prefix } = order;
    const what = ruleText(of, prefix);
    if (this.#busy !== undefined) return { refused: `a step is being made: ${this.#busy}`, status: 409 };
    const before = this.#before(of, prefix);
    const step = before.rule?.step ?? 0;
    if (order.expectStep !== undefined && order.expectStep !== step) {
      return {
        refused: `${what} is at step ${step} by now, not at ${order.expectStep}: look again`,
        status: 409,
      };
    }
    if (order.without.length > 0 && order.reason.trim() === '') {
      return {
        refused: 'leaving a gateway out needs a reason: it may serve old answers until it is back',
        status: 400,
      };
    }
    if (order.override && order.reason.trim() === '') {
      return {
        refused: 'passing over a gate needs a reason: it is kept, and printed in every later report',
        status: 400,
      };
    }
    const wrong = orderProblem(what, before, order.phase);
    if (wrong !== undefined) return { refused: wrong, status: 409 };
    this.#busy = `${what} to ${order.phase}`;
    try {
      return await this.#make(order, before, options);
    } finally {
      this.#busy = undefined;
      this.#stage = undefined;
    }
  }

  /** The phase that a prefix is in now, and its own rule if it has one. */
  #before(
    of: MigrationKind,
    prefix: string,
  ): { readonly phase: Phase; readonly rule: PhaseRule | undefined } {
    const { phases: rules } = this.#context;
    const rule = ruleAt(rules, of, prefix);
    const around = of === 'kv' ? rules.ofKey(prefix) : rules.catalog;
    return {
      phase: rule?.phase ?? around?.phase ?? 'passthrough',
      rule: rule?.step === 0 ? undefined : rule,
    };
  }

  async #make(
    order: StepOrder,
    before: { readonly phase: Phase; readonly rule: PhaseRule | undefined },
    { passedOver = () => false }: StepOptions,
  ): Promise<StepReport> {
    const { kind: of, prefix, phase: to, without } = order;
    const gates = gatesOf(await gateFacts(this.#context, this.#parts, { of, prefix, to, without }, before));
    const open = notGreen(gates.filter((gate) => !passedOver(gate)));
    const base = {
      ...{ kind: of, prefix, from: before.phase, to, dryRun: order.dryRun, gates },
      actions: actionsOf(of, before.phase, to),
      overridden: order.override ? open : [],
      rule: before.rule ?? null,
      waitingFor: [],
      heldMs: null,
    } as const;
    const blocked = open.length > 0 && !order.override;
    if (order.dryRun) {
      const message = blocked
        ? `${open.length} gates are not green: ${open.join(', ')}`
        : 'the step could be made';
      return { ...base, result: 'would', message };
    }
    if (blocked) {
      return {
        ...base,
        result: 'blocked',
        message: `${open.length} gates are not green: ${open.join(', ')}. Nothing was changed`,
      };
    }
    const moved = await this.#change(order, before, base.overridden);
    if ('calledOff' in moved) {
      return { ...base, result: 'called-off', message: moved.calledOff, heldMs: moved.heldMs };
    }
    const { rule, heldMs } = moved;
    if (!isOfRehearsals({ of, prefix }))
      this.#context.evidence.mark('step', `${ruleText(of, prefix)}: ${before.phase} -> ${to}`);
    const waitingFor = await this.#acted(rule, without);
    const message =
      waitingFor.length === 0
        ? `${ruleText(of, prefix)} is in phase ${to}, and every gateway acts on it`
        : `${ruleText(of, prefix)} is in phase ${to}, but not every gateway acts on it yet: start those again, or remove ` +
          'them with "grapevine force-leave"; no further step is made before';
    return {
      ...base,
      rule,
      heldMs,
      waitingFor,
      message,
      result: waitingFor.length === 0 ? 'done' : 'waiting',
    };
  }

  /** Makes the step: where the authority moves by it, under a hold. */
  async #change(
    order: StepOrder,
    before: { readonly phase: Phase; readonly rule: PhaseRule | undefined },
    overridden: readonly string[],
  ): Promise<
    | { readonly rule: PhaseRule; readonly heldMs: number | null }
    | { readonly calledOff: string; readonly heldMs: number | null }
  > {
    const { phase: to, without } = order;
    let from = before.rule;
    if (authorityOf(before.phase) === authorityOf(to)) {
      const proposed = await this.#propose(order, from?.step ?? 0, overridden, []);
      return 'refused' in proposed
        ? { calledOff: proposed.refused, heldMs: null }
        : { rule: proposed.rule, heldMs: null };
    }
    if (from === undefined) {
      // Gateways hold by the step of a rule: it gets one of its own first, in the phase that it is in.
      const proposed = await this.#propose({ ...order, phase: before.phase }, 0, [], []);
      if ('refused' in proposed) return { calledOff: proposed.refused, heldMs: null };
      from = proposed.rule;
      const [late] = await this.#acted(from, without);
      if (late !== undefined) return { calledOff: `${late.gateway}: ${late.why}`, heldMs: null };
    }
    const outcome = await this.#move(order, from, overridden);
    const heldMs = Math.round(outcome.heldMs);
    if (outcome.kind === 'called-off') {
      this.#lastMove = `called off at ${outcome.at}: ${outcome.why}`;
      const calledOff = `called off (${outcome.at}): ${outcome.why}. Writes go on in phase ${before.phase} as before`;
      return { calledOff, heldMs };
    }
    this.#lastMove = `to ${to}, writes were held for ${heldMs} ms`;
    return { rule: outcome.rule, heldMs };
  }

  async #move(order: StepOrder, from: PhaseRule, overridden: readonly string[]) {
    const { gateway, settings, runner, client } = this.#context;
    const { dual, sessionsReady } = this.#parts;
    const { kind: of, prefix, phase: to } = order;
    const isKv = of === 'kv';
    const names = this.#names(order.without);
    const runnerName = runner.nodeName;
    const ask = async (name: string, topic: string, body: object, waitMs: number): Promise<unknown> =>
      gateway.call(name, topic, body, waitMs + marginMs);
    const runs = (): string => {
      if (runnerName === undefined) throw new Error('no gateway that lives has the source configured');
      return runnerName;
    };
    const expectStep = from.step;
    const ports: MovePorts = {
      names,
      runner: runnerName,
      hold: async (name, id, forMs) =>
        holdAnswer.parse(await ask(name, 'hold', { id, of, prefix, step: expectStep, forMs }, forMs)),
      release: async (name, id) => {
        await ask(name, 'release', { id }, marginMs);
      },
      see: async (name, heads, waitMs) => {
        await ask(name, 'heads', { heads, waitMs }, waitMs);
      },
      compare: async (waitMs) =>
        compareAnswer.parse(
          await callLong(gateway, runs(), 'compare', { of, prefix, waitMs }, waitMs + marginMs),
        ),
      // Keys are copied back by their owner, which is this gateway; the catalog by who copies.
      drainBack: async (waitMs) => {
        const heads = isKv ? [] : await this.#heads(order.without);
        const name = isKv ? gateway.nodeName : runs();
        return drainAnswer.parse(await ask(name, 'drain-back', { of, prefix, waitMs, heads }, waitMs));
      },
      // Consul checks nothing when it takes a registration: who is left out is not held off (docs/migration.md).
      fence: (waitMs) => (isKv ? dual.fence(prefix, from.term + 1, waitMs) : Promise.resolve()),
      untilOut:
        !isKv || gateway.gateways().every(({ nodeName }) => names.includes(nodeName))
          ? undefined
          : async (waitMs) => {
              const outMs = leaseMs * (1 + clockDrift);
              if (waitMs < outMs) throw new Error(`no time is left to wait for gateways that are left out`);
              await gateway.clock.sleep(outMs);
            },
      unfence: async () => {
        if (isKv && client !== undefined) await lowerFence(client, settings.source?.token ?? '', from);
      },
      sourceIndex: () => client?.highWater ?? 0,
      step: (fences) => this.#propose(order, expectStep, overridden, fences),
      monoMs: gateway.monoMs,
      newId: () => `${gateway.nodeId}:${gateway.clock.now()}:${gateway.random()}`,
      stage: (stage) => {
        this.#stage = stage;
        gateway.log.info({ of, prefix, to, stage }, 'the authority moves');
      },
    };
    if (isKv && to === 'cutover') await sessionsReady(actMs);
    return moveAuthority({ of, prefix, from, to, holdMsMax: settings.holdMsMax }, ports);
  }

  /** The heads of all logs. */
  async #heads(without: readonly string[]): Promise<readonly Position[]> {
    const { gateway } = this.#context;
    const answers = await Promise.all(
      this.#names(without).map(async (name) =>
        holdAnswer.shape.head.parse(
          name === gateway.nodeName ? gateway.ownHead() : await gateway.call(name, 'head', {}, marginMs),
        ),
      ),
    );
    await Promise.all(answers.map(({ origin, seq }) => gateway.untilSeen(origin, seq, actMs)));
    return answers;
  }

  async #propose(
    { kind: of, prefix, phase, reason }: StepOrder,
    expectStep: number,
    overridden: readonly string[],
    fences: readonly Position[],
  ): Promise<{ readonly rule: PhaseRule } | { readonly refused: string }> {
    const outcome = await this.#context.gateway.propose({
      ...{ kind: 'migration-step', of, prefix, phase, expectStep, reason, overridden },
      fences: fences.map(({ origin, seq }) => ({ origin: origin as OriginId, seq })),
    });
    if (outcome.kind === 'refused') return { refused: outcome.message };
    if (outcome.kind === 'not-owned')
      return { refused: 'the gateway that owns the zone of the prefix cannot be reached' };
    if (outcome.kind !== 'migration' || outcome.rule === undefined)
      return { refused: 'no rule was answered' };
    return { rule: outcome.rule };
  }

  async #acted(
    { of, prefix, step }: PhaseRule,
    without: readonly string[],
  ): Promise<readonly { readonly gateway: string; readonly why: string }[]> {
    const { gateway } = this.#context;
    const failed = gateway.gateways().filter(({ alive, nodeName }) => !alive && !without.includes(nodeName));
    const waiting = await Promise.all(
      this.#names(without).map(async (name) => {
        try {
          await gateway.call(name, 'acting', { of, prefix, step, waitMs: actMs }, actMs + marginMs);
          return undefined;
        } catch (error) {
          return { gateway: name, why: error instanceof Error ? error.message : String(error) };
        }
      }),
    );
    return [
      ...waiting.filter((each) => each !== undefined),
      ...failed.map(({ nodeName }) => ({ gateway: nodeName, why: 'it is not reachable' })),
    ];
  }

  #names(without: readonly string[]): readonly string[] {
    return this.#context.gateway
      .gateways()
      .filter(({ alive, nodeName }) => alive && !without.includes(nodeName))
      .map(({ nodeName }) => nodeName);
  }
}

/** The order of phases, as the state machine has it too: said before gates are looked at. */
function orderProblem(
  what: string,
  { phase: from, rule }: { readonly phase: Phase; readonly rule: PhaseRule | undefined },
  to: Phase,
): string | undefined {
  if (rule !== undefined && from === to) return `${what} is in phase ${to} already`;
  const distance = Math.abs(phases.indexOf(to) - phases.indexOf(from));
  if (distance <= 1 || (to === 'passthrough' && authorityOf(from) === 'source')) return undefined;
  const ways = [phases[phases.indexOf(from) + 1], phases[phases.indexOf(from) - 1]].filter(
    (each) => each !== undefined,
  );
  return `phases are walked one step at a time: ${what} is in phase ${from}, and goes to ${ways.join(' or ')}`;
}

/** What a step does, in words. */
function actionsOf(of: MigrationKind, from: Phase, to: Phase): readonly string[] {
  const actions: string[] = [];
  if (authorityOf(from) === 'source' && authorityOf(to) === 'here') {
    actions.push(
      'compare everything with the source, and apply what differs',
      'hold writes on every gateway, for limits.hold at most; end those under way',
      'compare once more; every gateway waits until it has what all others have',
      ...(of === 'kv'
        ? ['raise the fence at the source: gateways that missed the step can write there no more']
        : []),
      'raise the term: this fleet decides from here on; writes go on',
      'begin to copy back to the source, so that there is a way back',
    );
  } else if (authorityOf(from) === 'here' && authorityOf(to) === 'source') {
    actions.push(
      'copy back what the source does not have yet',
      'hold writes on every gateway, for limits.hold at most; copy back the rest; compare',
      'raise the term: the source decides from here on; writes go on, to both sides',
    );
  }
  if (from === 'passthrough' && to === 'mirror')
    actions.push('begin to copy everything from the source, and to follow it');
  if (!isDual(from) && isDual(to) && authorityOf(from) === 'source')
    actions.push('writes go to the source first, then here');
  if (isDual(from) && !isDual(to) && authorityOf(to) === 'source')
    actions.push('writes go to the source alone');
  if (to === 'shadow' && from === 'dual') actions.push('sampled reads are compared with what is here');
  if (to === 'local-reads' && from === 'shadow') actions.push('reads are answered here');
  if (to === 'shadow' && from === 'local-reads') actions.push('reads are answered by the source');
  if (to === 'passthrough') actions.push('everything goes to the source; copying ends');
  if (to === 'final')
    actions.push('copying back ends: from here on there is no way back without copying again');
  return [...actions, 'wait until every gateway acts on the step'];
}
