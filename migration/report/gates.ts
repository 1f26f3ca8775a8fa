import { count, plural } from '../terminal/format.ts';
import type { Gate, GateState, Report, ReportRate } from './model.ts';
import { hitsText, msText, rateText } from './numbers.ts';
import type { GateLimits, Thresholds } from './thresholds.ts';

/**
 * Holds a report against what a cutover asks (design, section 3 of the migration reference). Pure: `nowMs` is the wall
 * clock, for the age of the report. What is not known is `unknown`, never green: whoever decides treats it as red.
 */
export function evaluateGates(report: Report, thresholds: Thresholds, nowMs: number): readonly Gate[] {
  const limits = thresholds.gate;
  return [
    persistentGate(report, limits),
    nonTransientGate(report, limits),
    noiseGate(report, limits),
    sweepGate(report, limits),
    sessionsGate(report, limits),
    stalenessGate(report, limits),
    ...operationsGates(report, limits),
    droppedGate(report, limits),
    windowGate(report, limits),
    ageGate(report, limits, nowMs),
    completeGate(report),
    rehearsedGate(report, limits),
    sameTermGate(report, limits),
  ];
}

/** Green only where every gate that counts is green. */
export function gatesState(gates: readonly Gate[]): 'green' | 'red' | 'unknown' {
  const counted = gates.filter((each) => each.state !== 'off');
  if (counted.some((each) => each.state === 'red')) return 'red';
  return counted.length === 0 || counted.some((each) => each.state === 'unknown') ? 'unknown' : 'green';
}

/** How many comparisons without a difference bound a rate at `bound` (rule of three, 95 %). */
export function readsForBound(bound: number): number {
  return Math.ceil(3 / bound);
}

type Judged = { readonly state: GateState; readonly observed: string; readonly why?: string };

function gate(name: string, title: string, limit: string | null, judged: () => Judged): Gate {
  if (limit === null) {
    return { name, title, state: 'off', observed: '', limit: '', why: 'Left out by the thresholds.' };
  }
  const { state, observed, why = '' } = judged();
  return { name, title, state, observed, limit, why };
}

function persistentGate(report: Report, { persistentMax }: GateLimits): Gate {
  const limit = persistentMax === null ? null : `at most ${count(persistentMax)}`;
  return gate('persistent', 'Differences that stayed', limit, () => {
    const { persistent, compared, open = 0, unchecked } = report.totals;
    const swept = (report.coverage.sweeps ?? []).reduce((sum, sweep) => sum + sweep.persistent, 0);
    const found = Math.max(persistent, swept);
    const observed = `${count(found)} in ${count(compared)} comparisons`;
    if (found > (persistentMax ?? 0))
      return {
        state: 'red',
        observed,
        why: 'See the samples; `grapevine migrate repair` mends what it can.',
      };
    if (compared === 0) return { state: 'unknown', observed, why: 'Nothing was compared.' };
    if (open + unchecked > 0) {
      const why = `${count(open + unchecked)} differences are not settled: wait for the last re-check.`;
      return { state: 'unknown', observed, why };
    }
    return { state: 'green', observed };
  });
}

function nonTransientGate(report: Report, { nonTransientUpperMax: max }: GateLimits): Gate {
  const limit = max === null ? null : `below ${rateText(max)} with 95 % confidence`;
  return gate('non-transient', 'Share of reads whose difference did not clear', limit, () => {
    const { rate, compared } = report.totals;
    const bound = max ?? 1;
    const hits = rate.hits ?? report.totals.persistent;
    const upper = upperOf(rate);
    const low = lowerOf(rate);
    const observed = hitsText(hits, compared, low, upper);
    if (compared > 0 && upper <= bound) return { state: 'green', observed };
    if (low > bound)
      return { state: 'red', observed, why: 'Even the lower end of the interval is above the limit.' };
    const missing = Math.max(0, readsForBound(bound) - compared);
    const why =
      hits === 0
        ? `${count(missing)} more compared reads without a difference would show it.`
        : 'The interval reaches over the limit: more reads, or fewer differences, are needed.';
    return { state: 'unknown', observed, why };
  });
}

function noiseGate(report: Report, { noiseMax: max }: GateLimits): Gate {
  const limit = max === null ? null : `at most ${rateText(max)}`;
  return gate('noise', 'Noise floor: the source compared with itself', limit, () => {
    const { noise } = report.totals;
    if (noise === undefined || noise.compared === 0)
      return { state: 'unknown', observed: 'not measured', why: 'The A/A lane compared nothing.' };
    const observed = hitsText(noise.differed, noise.compared, ...noise.rate.wilson95);
    if (noise.rate.wilson95[0] > (max ?? 1))
      return {
        state: 'red',
        observed,
        why: 'The source disagrees with itself: what differs is hard to tell.',
      };
    if (noise.rate.upper95 <= (max ?? 1)) return { state: 'green', observed };
    return { state: 'unknown', observed, why: `About ${count(readsForBound(max ?? 1))} are needed.` };
  });
}

function sweepGate(report: Report, limits: GateLimits): Gate {
  const { sweepAgeMsMax: ageMax, sweepChangedMax: changedMax } = limits;
  const asked = [
    ageMax === null ? undefined : `within ${msText(ageMax)}`,
    changedMax === null ? undefined : `at most ${plural(changedMax, 'key')} changed since`,
  ].filter((part) => part !== undefined);
  const limit = asked.length === 0 ? null : `every rule, both ways, ${asked.join(', ')}`;
  return gate('sweep', 'Every key looked at', limit, () => {
    const { sweeps = [] } = report.coverage;
    const rules = report.run.mode === 'sweep' ? [] : (report.run.phases ?? []);
    const why = '`grapevine migrate verify` makes one.';
    if (report.run.mode === 'sweep') {
      const { unchecked, indeterminate, persistent } = report.totals;
      const observed = `one sweep of ${count(report.totals.compared)} entries`;
      if (persistent > 0) return { state: 'red', observed };
      return { state: unchecked + indeterminate > 0 ? 'unknown' : 'green', observed };
    }
    const missing = rules.filter((rule) => !sweeps.some((each) => sameRule(each, rule)));
    if (sweeps.length === 0 || missing.length > 0) {
      const names = missing.map((rule) => ruleName(rule)).join(', ');
      return { state: 'unknown', observed: `no sweep of ${names === '' ? 'any rule' : names}`, why };
    }
    const bad = sweeps.find((each) => each.persistent > 0);
    if (bad !== undefined)
      return { state: 'red', observed: `${count(bad.persistent)} differ in ${ruleName(bad)}` };
    const partial = sweeps.find((each) => each.failure !== '' || each.filtered || each.unchecked > 0);
    if (partial !== undefined) {
      const reason = partial.failure === '' ? 'ACLs hid entries, or not all were settled' : partial.failure;
      return { state: 'unknown', observed: `${ruleName(partial)}: ${reason}`, why };
    }
    const oldest = Math.min(...sweeps.map((each) => Date.parse(each.finishedAt)));
    const ageMs = Math.max(0, Date.parse(report.run.finishedAt) - oldest);
    const of = count(Math.max(rules.length, sweeps.length));
    const swept = `${count(sweeps.length)} of ${of} rules, oldest ${msText(ageMs)} ago`;
    const changed = report.operations?.changedSinceSweep ?? null;
    const since = changed === null ? '' : `; ${plural(changed, 'key')} changed since`;
    const observed = `${swept}${since}`;
    if (ageMax !== null && ageMs > ageMax) return { state: 'red', observed, why };
    if (changedMax === null) return { state: 'green', observed };
    if (changed === null)
      return { state: 'unknown', observed, why: 'How many keys changed since is not known.' };
    return changed <= changedMax ? { state: 'green', observed } : { state: 'red', observed, why };
  });
}

function sessionsGate(report: Report, { violationsMax: max, sessionChecksMin }: GateLimits): Gate {
  const limit = max === null ? null : `at most ${count(max)} of each`;
  return gate('sessions', 'Clients read their own writes, and never go back', limit, () => {
    const { sessions } = report;
    if (sessions === undefined) return { state: 'unknown', observed: 'not measured' };
    const each = [sessions.readYourWrites, sessions.monotonicReads];
    const observed = `${count(each[0]?.violations ?? 0)} and ${count(each[1]?.violations ?? 0)} in ${each
      .map((guarantee) => count(guarantee.checked))
      .join(' and ')} checks`;
    if (each.some((guarantee) => guarantee.violations > (max ?? 0))) return { state: 'red', observed };
    const least = Math.min(...each.map((guarantee) => guarantee.checked));
    const needed = sessionChecksMin ?? 1;
    if (least < needed) {
      const why = `Zero of few: ${count(needed - least)} more checks are needed.`;
      return { state: 'unknown', observed, why };
    }
    return { state: 'green', observed };
  });
}

function stalenessGate(report: Report, { stalenessP99MsMax: max, stalenessReadsMin }: GateLimits): Gate {
  const limit = max === null ? null : `p99 at most ${msText(max)}`;
  return gate('staleness', 'How far answers here are behind', limit, () => {
    const { staleness } = report;
    if (staleness === undefined || staleness.high.p99 === null || staleness.low.p99 === null)
      return { state: 'unknown', observed: 'not measured' };
    const [low, high] = [staleness.low.p99, staleness.high.p99];
    const range = low === high ? msText(high) : `between ${msText(low)} and ${msText(high)}`;
    const observed = `p99 ${range} over ${count(staleness.high.n)} reads`;
    if (staleness.high.n < (stalenessReadsMin ?? 1)) {
      const why = `${count((stalenessReadsMin ?? 1) - staleness.high.n)} more reads are needed.`;
      return { state: 'unknown', observed, why };
    }
    if (low > (max ?? 0)) return { state: 'red', observed };
    if (high <= (max ?? 0)) return { state: 'green', observed };
    return {
      state: 'unknown',
      observed,
      why: 'Writes past the fleet give bounds only; they reach over the limit.',
    };
  });
}

function copyGate(troubles: readonly string[] | null | undefined): Gate {
  return gate('copy-trouble', 'Trouble of copying from the source', 'none', () => {
    if (troubles === null || troubles === undefined) return { state: 'unknown', observed: 'not known' };
    const [first] = troubles;
    if (first === undefined) return { state: 'green', observed: 'none' };
    return { state: 'red', observed: plural(troubles.length, 'rule'), why: first };
  });
}

function operationsGates(report: Report, limits: GateLimits): readonly Gate[] {
  const { operations } = report;
  const most = (
    name: string,
    title: string,
    value: number | null | undefined,
    max: number | null,
    text: (value: number) => string = count,
    why = '',
  ): Gate =>
    gate(name, title, max === null ? null : `at most ${text(max)}`, () => {
      if (value === null || value === undefined) return { state: 'unknown', observed: 'not known' };
      return value <= (max ?? 0)
        ? { state: 'green', observed: text(value) }
        : { state: 'red', observed: text(value), why };
    });
  const queue = operations?.repairQueue;
  return [
    most('repair-queue', 'Keys waiting for repair', queue?.length, limits.repairQueueMax),
    most('repair-oldest', 'Oldest key waiting for repair', queue?.oldestMs, limits.repairOldestMsMax, msText),
    most('tail-lag', 'Lag of the tail, p99', operations?.tailLagP99Ms, limits.tailLagP99MsMax, msText),
    copyGate(operations?.copyTroubles),
    most(
      'bypass-writes',
      'Writes past the fleet',
      operations?.bypassWrites,
      limits.bypassWritesMax,
      count,
      'Somebody still writes at the source: point them at a gateway, or deny it by ACL.',
    ),
    most(
      'held-locks',
      'Locks held at the source',
      operations?.heldLocks,
      limits.heldLocksMax,
      count,
      'Held locks are not copied: have their holders release them.',
    ),
    most(
      'unsupported-calls',
      'Calls of endpoints that are refused here',
      operations?.unsupportedCalls,
      limits.unsupportedCallsMax,
      count,
      'These clients would break at the cutover.',
    ),
  ];
}

function droppedGate(report: Report, { droppedShareMax: max }: GateLimits): Gate {
  const limit = max === null ? null : `below ${rateText(max)}`;
  return gate('dropped', 'Comparisons dropped', limit, () => {
    const { compared } = report.totals;
    const dropped = report.totals.dropped ?? 0;
    const of = compared + dropped;
    if (of === 0) return { state: 'unknown', observed: 'nothing was to be compared' };
    const observed = `${count(dropped)} of ${count(of)} (${rateText(dropped / of)})`;
    const isBelow = dropped === 0 || dropped / of < (max ?? 0);
    return isBelow
      ? { state: 'green', observed }
      : { state: 'red', observed, why: 'Sample fewer keys, or allow more comparisons per second.' };
  });
}

function windowGate(report: Report, { windowMsMin: min }: GateLimits): Gate {
  const limit = min === null ? null : `at least ${msText(min)} without a gap`;
  return gate('window', 'One continuous window', limit, () => {
    const { continuousMs } = report.coverage;
    if (continuousMs === undefined) return { state: 'unknown', observed: 'not measured' };
    const observed = msText(continuousMs);
    if (continuousMs >= (min ?? 0)) return { state: 'green', observed };
    return { state: 'unknown', observed, why: `${msText((min ?? 0) - continuousMs)} more are needed.` };
  });
}

function ageGate(report: Report, { reportAgeMsMax: max }: GateLimits, nowMs: number): Gate {
  return gate('age', 'Age of this report', max === null ? null : `below ${msText(max)}`, () => {
    // A report made just now of what a gateway counted an hour ago is an hour old.
    const told = (report.gateways ?? []).filter((each) => each.alive === true).map((each) => each.until);
    const oldest = Math.min(...[report.run.finishedAt, ...told].map((at) => Date.parse(at)));
    const ageMs = nowMs - oldest;
    if (ageMs < -60_000)
      return { state: 'unknown', observed: 'from the future', why: 'Clocks disagree: see `clockSkewMsMax`.' };
    const observed = msText(Math.max(0, ageMs));
    return ageMs < (max ?? 0)
      ? { state: 'green', observed }
      : { state: 'red', observed, why: 'Make a new one: it says how things were.' };
  });
}

function completeGate(report: Report): Gate {
  return gate('complete', 'All gateways told what they saw', 'every live gateway', () => {
    const { absent } = report.coverage;
    if (absent === undefined) return { state: 'unknown', observed: 'not known' };
    if (absent.length === 0) return { state: 'green', observed: count(report.coverage.gateways ?? 0) };
    return { state: 'unknown', observed: `nothing from ${absent.join(', ')}` };
  });
}

function rehearsedGate(report: Report, { rehearsed }: GateLimits): Gate {
  return gate('rehearsed', 'The way back was rehearsed', rehearsed ? 'in this term, each rule' : null, () => {
    const { phases: rules } = report.run;
    const rehearsals = report.operations?.rehearsals;
    if (rules === undefined || rehearsals === null || rehearsals === undefined)
      return { state: 'unknown', observed: 'not known' };
    if (rules.length === 0) return { state: 'unknown', observed: 'no rule' };
    const missing = rules.filter(
      (rule) => !rehearsals.some((each) => sameRule(each, rule) && each.term === rule.term),
    );
    if (missing.length === 0)
      return { state: 'green', observed: `${count(rules.length)} of ${count(rules.length)}` };
    const why = '`grapevine migrate rehearse` does it.';
    return { state: 'red', observed: `not for ${missing.map(ruleName).join(', ')}`, why };
  });
}

function sameTermGate(report: Report, { sameTerm }: GateLimits): Gate {
  return gate('same-term', 'All gateways act on this term', sameTerm ? 'every live gateway' : null, () => {
    const { phases: rules } = report.run;
    const terms = report.operations?.terms;
    if (rules === undefined || terms === null || terms === undefined || terms.length === 0)
      return { state: 'unknown', observed: 'not known' };
    const behind = rules.flatMap((rule) =>
      terms.filter((each) => sameRule(each, rule) && each.term !== rule.term).map((each) => each.gateway),
    );
    const unheard = rules.filter((rule) => !terms.some((each) => sameRule(each, rule)));
    const gateways = new Set(terms.map((each) => each.gateway)).size;
    if (behind.length > 0) return { state: 'red', observed: `not ${[...new Set(behind)].join(', ')}` };
    if (unheard.length > 0)
      return { state: 'unknown', observed: `nobody told of ${unheard.map(ruleName).join(', ')}` };
    return { state: 'green', observed: `${count(gateways)} of ${count(gateways)}` };
  });
}

type RuleRef = { readonly of: string; readonly prefix: string };

function sameRule(a: RuleRef, b: RuleRef): boolean {
  return a.of === b.of && a.prefix === b.prefix;
}

export function ruleName(rule: RuleRef): string {
  return rule.of === 'catalog' ? 'the catalog' : rule.prefix === '' ? 'all keys' : rule.prefix;
}

type Bounds = Pick<ReportRate, 'upper95' | 'wilson95'> & {
  readonly interval95?: readonly [number, number] | undefined;
};

/** The least favourable bounds that a rate has. */
export function upperOf(rate: Bounds): number {
  return Math.max(rate.upper95, rate.interval95?.[1] ?? 0);
}

export function lowerOf(rate: Bounds): number {
  return Math.min(rate.wilson95[0], rate.interval95?.[0] ?? 1);
}
