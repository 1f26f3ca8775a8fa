import { authorityOf, phases, type MigrationKind, type Phase } from '../../../src/state/migration.ts';
import type { TailProgress } from '../ports.ts';

export interface Gate {
  readonly name: string;
  /** `unknown` is never green. */
  readonly state: 'green' | 'red' | 'unknown';
  readonly detail: string;
}

/** What gates are judged by; collected from all gateways. */
export interface GateFacts {
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly from: Phase;
  readonly to: Phase;
  /** The step that the rule is at now. */
  readonly step: number;
  readonly gateways: readonly GatewayFact[];
  /** Why the source cannot be asked; undefined: it can. */
  readonly sourceProblem: string | undefined;
  /** Of the runner; undefined: it copies nothing of this, or there is none. */
  readonly tail: TailProgress | undefined;
  readonly paused: string | undefined;
  readonly lagMsMax: number;
  readonly repairs: { readonly keys: number; readonly oldestMs: number };
  /** Keys below the prefix that sessions hold, the first few. */
  readonly locked: { readonly count: number; readonly some: readonly string[] };
  readonly rehearsal: { readonly atMs: number; readonly ok: boolean; readonly current: boolean } | undefined;
  readonly reverse: ReverseFact | undefined;
  /** The source's high-water, and the lowest that any gateway would show. */
  readonly indexes: { readonly source: number; readonly lowestHere: number };
  /** Of the report; empty: there is none. */
  readonly evidence: readonly Gate[];
}

export interface GatewayFact {
  readonly name: string;
  readonly alive: boolean;
  /** Left out by the operator, with a reason. */
  readonly without: boolean;
  /** The step that it acts on; undefined: it did not answer. */
  readonly step: number | undefined;
  /** Requests that it still answers by an older step. */
  readonly older: number;
  readonly problem: string | undefined;
}

export interface ReverseFact {
  readonly pending: number;
  readonly lagMs: number;
  readonly quarantined: number;
  readonly lost: boolean;
  readonly problem: string | undefined;
}

/** Every gate of a step, in the order in which they are looked at. */
export function gatesOf(facts: GateFacts): readonly Gate[] {
  const { from, to } = facts;
  const forward = phases.indexOf(to) > phases.indexOf(from);
  const gates: Gate[] = [gatewaysGate(facts)];
  if (forward && authorityOf(from) === 'source') gates.push(sourceGate(facts));
  if (forward && phases.indexOf(to) >= phases.indexOf('dual') && authorityOf(from) === 'source') {
    gates.push(mirrorGate(facts), lagGate(facts), breakerGate(facts), pausedGate(facts));
  }
  if (forward && phases.indexOf(to) >= phases.indexOf('shadow') && authorityOf(from) === 'source') {
    gates.push(repairGate(facts));
  }
  if (to === 'local-reads' && forward) gates.push(lockGate(facts));
  if (to === 'cutover' && forward) {
    gates.push(lockGate(facts), indexGate(facts), rehearsalGate(facts), ...evidenceGates(facts));
  }
  if (from === 'cutover' && to === 'local-reads')
    gates.push(sourceGate(facts), wayBackGate(facts), bypassGate(facts));
  if (from === 'cutover' && to === 'final') gates.push(bypassGate(facts));
  return gates;
}

/** Names of those that are not green. */
export function notGreen(gates: readonly Gate[]): readonly string[] {
  return gates.filter(({ state }) => state !== 'green').map(({ name }) => name);
}

const green = (name: string, detail: string): Gate => ({ name, state: 'green', detail });
const red = (name: string, detail: string): Gate => ({ name, state: 'red', detail });
const unknown = (name: string, detail: string): Gate => ({ name, state: 'unknown', detail });

function gatewaysGate({ gateways, step }: GateFacts): Gate {
  const name = 'gateways-act-on-this-step';
  const missing = gateways
    .filter(({ without }) => !without)
    .map((one) => {
      if (!one.alive) return `${one.name} is not reachable`;
      if (one.step === undefined)
        return `${one.name} does not answer${one.problem === undefined ? '' : ` (${one.problem})`}`;
      if (one.step < step) return `${one.name} is still at step ${one.step}`;
      return one.older > 0 ? `${one.name} still answers ${one.older} requests of an older step` : undefined;
    })
    .filter((each) => each !== undefined);
  if (missing.length > 0) {
    return red(
      name,
      `${missing.join('; ')}: start it again, or remove it with "force-leave", or leave it out with -without and a reason`,
    );
  }
  const left = gateways.filter(({ without }) => without).map((one) => one.name);
  const all = gateways.length - left.length;
  return green(name, left.length === 0 ? `all ${all}` : `${all}, without ${left.join(', ')}`);
}

function sourceGate({ sourceProblem }: GateFacts): Gate {
  const name = 'source-reachable';
  return sourceProblem === undefined ? green(name, 'it answers') : red(name, sourceProblem);
}

function mirrorGate({ tail }: GateFacts): Gate {
  const name = 'mirror-complete';
  if (tail === undefined) return unknown(name, 'nobody copies it yet');
  if (tail.problem !== undefined) return red(name, tail.problem);
  return tail.backfilled
    ? green(name, `${tail.items} entries`)
    : red(name, `${tail.items} entries copied so far`);
}

function lagGate({ tail, lagMsMax }: GateFacts): Gate {
  const name = 'mirror-lag';
  if (tail === undefined || tail.lagMs === Infinity) return unknown(name, 'not known');
  const text = `${Math.round(tail.lagMs)} ms, ${lagMsMax} ms are allowed`;
  return tail.lagMs <= lagMsMax ? green(name, text) : red(name, text);
}

function breakerGate({ tail }: GateFacts): Gate {
  const name = 'mass-delete-breaker';
  return tail?.breaker === undefined ? green(name, 'asks nothing') : red(name, tail.breaker);
}

function pausedGate({ paused }: GateFacts): Gate {
  const name = 'copying-runs';
  return paused === undefined ? green(name, 'it runs') : red(name, `paused: ${paused}`);
}

function repairGate({ repairs }: GateFacts): Gate {
  const name = 'repair-queue-empty';
  if (repairs.keys === 0) return green(name, 'empty');
  return red(name, `${repairs.keys} keys, the oldest for ${Math.round(repairs.oldestMs)} ms`);
}

function lockGate({ locked }: GateFacts): Gate {
  const name = 'no-held-locks';
  if (locked.count === 0) return green(name, 'none');
  const some = locked.some.map((key) => JSON.stringify(key)).join(', ');
  return red(
    name,
    `${locked.count} keys are held by sessions, ${some} among them: let them be released first`,
  );
}

function indexGate({ indexes }: GateFacts): Gate {
  const name = 'indexes-grow';
  const { source, lowestHere } = indexes;
  if (source === 0) return unknown(name, "the source's index is not known");
  const text = `the source is at ${source}, the lowest gateway at ${lowestHere}`;
  return lowestHere > source
    ? green(name, text)
    : red(name, `${text}: clients that wait would see indexes fall, and start over`);
}

function rehearsalGate({ rehearsal }: GateFacts): Gate {
  const name = 'rollback-rehearsed';
  if (rehearsal === undefined) return red(name, 'never: run "grapevine migrate rehearse"');
  const at = new Date(rehearsal.atMs).toISOString();
  if (!rehearsal.ok) return red(name, `failed at ${at}`);
  return rehearsal.current
    ? green(name, `at ${at}`)
    : red(name, `at ${at}, before the authority last moved: rehearse again`);
}

function evidenceGates({ evidence }: GateFacts): readonly Gate[] {
  return evidence.length > 0 ? evidence : [unknown('report', 'there is no report')];
}

function wayBackGate({ reverse }: GateFacts): Gate {
  const name = 'way-back';
  if (reverse === undefined) return unknown(name, 'nobody copies back');
  if (reverse.lost) return red(name, 'too many keys wait to be copied back');
  if (reverse.problem !== undefined) return red(name, reverse.problem);
  return green(name, `${reverse.pending} keys wait to be copied back`);
}

function bypassGate({ reverse }: GateFacts): Gate {
  const name = 'no-writes-past-the-gateways';
  if (reverse === undefined || reverse.quarantined === 0) return green(name, 'none');
  return red(
    name,
    `${reverse.quarantined} keys were written at the source past the gateways: see "grapevine migrate quarantine"`,
  );
}
