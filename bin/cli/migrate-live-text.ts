import type { Plan } from '../../migration/live/control/plan.ts';
import type { RehearsalReport } from '../../migration/live/control/rehearse.ts';
import type { StepReport } from '../../migration/live/control/stepper.ts';
import { catalogKinds, type Counted, type Verification } from '../../migration/live/control/verification.ts';
import { columns, count, duration, printable } from './table.ts';

// What the commands of a live migration print.

export interface RuleStatus {
  readonly kind: string;
  readonly prefix: string;
  readonly phase: string;
  readonly step: number;
  readonly open?: number;
  readonly older?: number;
  readonly tail?: {
    readonly backfilled: boolean;
    readonly items: number;
    readonly itemsTotal?: number | null;
    readonly itemsPerSecond: number;
    readonly lagMs: number | null;
    readonly etaMs?: number | null;
    readonly throttledBy: readonly string[];
    readonly breaker?: string | null;
    readonly problem?: string | null;
  } | null;
  readonly repairs?: { readonly keys: number; readonly oldestMs: number };
  readonly reverse?: {
    readonly pending: number;
    readonly lagMs: number | null;
    readonly quarantined: number;
    readonly lost: boolean;
    readonly problem?: string | null;
  } | null;
}

export interface StatusBody {
  readonly source: { readonly id: string; readonly timeline: number } | null;
  readonly runner: string | null;
  readonly rehearsal?: { readonly atMs: number; readonly ok: boolean; readonly by?: string } | null;
  readonly rules: readonly {
    readonly kind: string;
    readonly prefix: string;
    readonly phase: string;
    readonly step: number;
    readonly sinceMs: number;
    readonly reason: string;
    readonly overridden: readonly string[];
    /** It is there for a rehearsal alone. */
    readonly rehearsal?: boolean;
  }[];
  readonly gateways: readonly {
    readonly name: string;
    readonly alive: boolean;
    readonly problem: string | null;
    readonly status: {
      readonly known: boolean;
      readonly hasSource: boolean;
      readonly rules: readonly RuleStatus[];
      readonly steps?: { readonly busy: string | null; readonly lastMove: string | null };
    } | null;
  }[];
}

export function renderStep(report: StepReport): string {
  const lines = [
    `${report.kind} ${named(report.prefix)}: ${report.from} -> ${report.to}${report.dryRun ? ' (dry run)' : ''}`,
    ...report.gates.map(({ name, state, detail }) => {
      const passed = state !== 'green' && report.overridden.includes(name) ? ' (passed over)' : '';
      return `  ${mark(state)} ${name}: ${detail}${passed}`;
    }),
    ...(report.dryRun ? ['would:', ...report.actions.map((each) => `  - ${each}`)] : []),
    ...report.waitingFor.map(({ gateway, why }) => `  waiting for ${gateway}: ${why}`),
    ...(report.heldMs === null ? [] : [`  writes were held for ${report.heldMs} ms`]),
    report.message,
  ];
  return lines.join('\n');
}

function mark(state: string): string {
  if (state === 'green') return 'ok ';
  return state === 'red' ? 'NO ' : '?  ';
}

export function renderStatus(body: StatusBody, nowMs: number): string {
  if (body.rules.length === 0) return 'Nothing is migrated: no rules.';
  const head = [
    `Source: ${body.source === null ? 'not agreed on yet' : `${body.source.id}, timeline ${body.source.timeline}`}`,
    `Runner: ${body.runner ?? 'none: no gateway that lives has the source configured'}`,
    `Rehearsed: ${rehearsed(body.rehearsal, nowMs)}`,
  ];
  const rules = body.rules.flatMap((rule) => {
    const told = body.gateways.flatMap(({ name, status }) =>
      (status?.rules ?? [])
        .filter((each) => each.kind === rule.kind && each.prefix === rule.prefix)
        .map((each) => ({ name, ...each })),
    );
    const acts = told.filter(({ step, older }) => step >= rule.step && (older ?? 0) === 0).length;
    const progress = told.map(progressOf).filter((each) => each !== '');
    return [
      `${rule.kind} ${named(rule.prefix)}${rule.rehearsal === true ? ' (of a rehearsal)' : ''}  ${rule.phase}, step ${rule.step}, since ${duration(nowMs - rule.sinceMs)}, ` +
        `${acts} of ${body.gateways.length} gateways act on it${progress.length === 0 ? '' : `; ${progress.join('; ')}`}`,
      ...(rule.overridden.length === 0
        ? []
        : [`    passed over: ${rule.overridden.join(', ')} (${rule.reason})`]),
    ];
  });
  const gateways = columns([
    ['Gateway', 'State', 'Source', 'Note'],
    ...body.gateways.map(({ name, alive, problem, status }) => [
      printable(name),
      alive ? 'alive' : 'not reachable',
      status === null ? '?' : status.hasSource ? 'yes' : 'no',
      problem ?? (status?.known === false ? 'has not heard of the newest steps yet' : noteOf(status?.steps)),
    ]),
  ]);
  return [...head, ...rules, '', gateways].join('\n');
}

function rehearsed(last: StatusBody['rehearsal'], nowMs: number): string {
  if (last === null || last === undefined) return 'never';
  const by = last.by === undefined ? '' : ` by ${printable(last.by)}`;
  return `${duration(nowMs - last.atMs)} ago${by}, ${last.ok ? 'went well' : 'FAILED'}`;
}

function noteOf(
  steps: { readonly busy: string | null; readonly lastMove: string | null } | undefined,
): string {
  if (steps === undefined) return '';
  if (steps.busy !== null) return `steps: ${steps.busy}`;
  return steps.lastMove === null ? '' : `last move: ${steps.lastMove}`;
}

function isSaid(text: string | null | undefined): boolean {
  return text !== null && text !== undefined;
}

/** A prefix as people read it. */
function named(prefix: string): string {
  return prefix === '' ? '(all)' : printable(prefix);
}

/** What is copied back, or was and did not get there. */
function copiesBack(reverse: NonNullable<RuleStatus['reverse']>, phase: string): boolean {
  return phase === 'cutover' || reverse.pending > 0 || reverse.quarantined > 0 || isSaid(reverse.problem);
}

function progressOf({ name, tail, repairs, reverse, phase }: RuleStatus & { readonly name: string }): string {
  const parts: string[] = [];
  if (tail !== null && tail !== undefined && (tail.items > 0 || isSaid(tail.problem))) {
    const total = tail.itemsTotal === null || tail.itemsTotal === undefined ? '' : ` of ${tail.itemsTotal}`;
    parts.push(`${tail.items}${total} copied, ${Math.round(tail.itemsPerSecond)}/s`);
    parts.push(tail.lagMs === null ? 'lag not known' : `lag ${Math.round(tail.lagMs)} ms`);
    if (!tail.backfilled) {
      parts.push(
        tail.etaMs === null || tail.etaMs === undefined
          ? 'time left not known'
          : `${Math.round(tail.etaMs / 1000)} s left`,
      );
    }
    if (tail.throttledBy.length > 0) parts.push(`slowed by ${tail.throttledBy.join(', ')}`);
    if (isSaid(tail.breaker)) parts.push(`ASKS: ${tail.breaker}`);
    if (isSaid(tail.problem)) parts.push(`TROUBLE: ${tail.problem}`);
  }
  if ((repairs?.keys ?? 0) > 0) parts.push(`${repairs?.keys ?? 0} keys to repair`);
  if (reverse !== null && reverse !== undefined && copiesBack(reverse, phase)) {
    parts.push(`${reverse.pending} to copy back`);
    parts.push(reverse.lagMs === null ? 'lag not known' : `lag ${Math.round(reverse.lagMs)} ms`);
    if (reverse.quarantined > 0) parts.push(`${reverse.quarantined} QUARANTINED`);
    if (reverse.lost) parts.push('ROLLBACK DISABLED');
    if (isSaid(reverse.problem)) parts.push(`TROUBLE: ${reverse.problem}`);
  }
  return parts.length === 0 ? '' : `${name}: ${parts.join(', ')}`;
}

export function renderPlan(plan: Plan): string {
  const { source, sample } = plan;
  return [
    `Source: ${source.address}, datacenter ${source.datacenter}, Consul ${source.version}`,
    `${count(plan.keys, 'key')}, about ${megabytes(plan.bytesEstimated)}; ${count(plan.services, 'service')} on ` +
      `${count(plan.nodes, 'node')}; ${count(plan.sessions, 'session')}`,
    `First copy: about ${Math.ceil(plan.backfillMsEstimated / 1000)} s (${sample.keys} keys took ${sample.tookMs} ms)`,
    'Biggest prefixes:',
    ...plan.prefixes.map(({ prefix, keys }) => `  ${String(keys).padStart(9)}  ${printable(prefix)}`),
    ...(plan.remarks.length === 0
      ? []
      : [
          'To be looked at:',
          ...plan.remarks.map(
            ({ what, count: n, some }) => `  ${what}: ${n}, ${some.map(printable).join(', ')}`,
          ),
        ]),
    ...(Object.keys(plan.refusedEndpoints).length === 0
      ? []
      : [
          'Endpoints that clients use and that are refused here:',
          ...Object.entries(plan.refusedEndpoints).map(([path, n]) => `  ${path}: ${n}`),
        ]),
    ...(plan.blind.length === 0 ? [] : ['Not to be seen:', ...plan.blind.map((each) => `  ${each}`)]),
  ].join('\n');
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

export function renderVerification({ of, catalog, ...found }: Verification): string {
  const lines: string[] = [];
  if (of.includes('kv')) {
    lines.push(`${found.equal} of ${found.compared} keys are equal, in ${Math.round(found.tookMs)} ms`);
    if (found.equal < found.compared) lines.push(differences(found), ...shown(found.keys));
  }
  if (catalog !== null) {
    const { compared, equal, tookMs, failure } = catalog;
    lines.push(`${equal} of ${compared} entries of the catalog are equal, in ${Math.round(tookMs)} ms`);
    if (failure !== '') lines.push(`not to be found out: ${failure}`);
    for (const kind of catalogKinds) {
      const each = catalog.kinds[kind];
      if (each.equal < each.compared) lines.push(`${kind}s: ${differences(each)}`);
    }
    lines.push(...shown(catalog.entries));
  }
  return lines.join('\n');
}

function differences({ missing, extra, different, unsettled = 0 }: Counted): string {
  const changing = unsettled === 0 ? '' : `, still changing ${unsettled}`;
  return `missing here ${missing}, not at the source ${extra}, different ${different}${changing}`;
}

function shown(names: readonly string[]): readonly string[] {
  return names.slice(0, 20).map((name) => `  ${printable(name)}`);
}

export function renderRehearsal({ ok, text, steps }: RehearsalReport): string {
  return [
    ...steps.map(({ what, tookMs }) => `  ${String(tookMs).padStart(6)} ms  ${what}`),
    ok ? `Went well: ${text}.` : `FAILED: ${text}`,
  ].join('\n');
}
