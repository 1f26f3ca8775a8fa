import { z } from 'zod';
import type { MigrationAnswer } from '../../../compat/routes/migration-port.ts';
import type { ConsulReader } from '../../source/consul-reader.ts';
import type { MigrationKind, PhaseRule } from '../../../src/state/migration.ts';
import type { Zones } from '../../../src/state/zones.ts';
import type { EvidenceSnapshot } from '../../evidence/snapshot.ts';
import { buildReport } from '../../report/build.ts';
import { evaluateGates } from '../../report/gates.ts';
import type { Report } from '../../report/model.ts';
import type { RunFacts } from '../../report/run-facts.ts';
import { samplesText } from '../../report/samples.ts';
import { defaultThresholds, type Thresholds } from '../../report/thresholds.ts';
import type { BypassControl } from '../bypass/bypass.ts';
import type { DualControl, LivePart, PartContext, TailControl } from '../ports.ts';
import type { ReversePart } from '../reverse/reverse.ts';
import type { Shadow } from '../shadow/shadow.ts';
import { ChangedSinceSweep, ofThisHistory } from './changed-since.ts';
import { lastMoveMs, lockedBelow } from './facts.ts';
import type { Gate } from './gates.ts';
import { LagSamples } from './lag-samples.ts';
import type { Peers } from './peers.ts';
import { isOfRehearsals, type Rehearsals } from './rehearsals.ts';

export interface ReportingParts {
  readonly shadow: Shadow;
  readonly peers: Peers;
  readonly dual: DualControl;
  readonly bypass: BypassControl;
  readonly tail: TailControl | undefined;
  readonly reverse: ReversePart;
  readonly rehearsals: Rehearsals;
  readonly zones: () => Zones;
  /** Undefined: this gateway has no source. */
  readonly reader: Pick<ConsulReader, 'self'> | undefined;
  readonly version: string;
}

/** The report on a migration as it stands, of what all gateways know. */
export interface Reporting extends LivePart {
  /** `scope`: one rule alone. */
  report(scope?: { readonly of: MigrationKind; readonly prefix: string }): Promise<Report>;
  /** Evidence of all gateways, without what says nothing of the present history. */
  gathered(): Promise<EvidenceSnapshot>;
  /** Over HTTP: the report, or its samples one JSON object a line. */
  answer(what: 'report' | 'samples', query: Readonly<Record<string, string>>): Promise<MigrationAnswer>;
  /** What the report says about a cutover of a rule. */
  gates(of: MigrationKind, prefix: string): Promise<readonly Gate[]>;
}

/** Gates of a report that a step asks by itself, of the present moment: they would stand there twice. */
const askedByStep = new Set(['rehearsed', 'held-locks', 'repair-queue']);
/** What is told of keys alone: of the catalog these gates would never be green, or be red for what it is not about. */
const ofKeysAlone = {
  ...{ violationsMax: null, stalenessP99MsMax: null, bypassWritesMax: null, heldLocksMax: null },
  ...{ repairQueueMax: null, repairOldestMsMax: null },
} as const;
const topic = 'report-facts';
const askMs = 3000;
const selfMs = 60_000;
const selfWaitMs = 1000;
const sampleMs = 1000;

/** What each gateway adds to the report beside evidence. */
const factsForm = z.object({
  version: z.string().max(64),
  repairs: z.object({ keys: z.number(), oldestMs: z.number() }),
  /** Of the runner; null: it does not run here, or nothing is known yet. */
  lagP99Ms: z.number().nullable(),
  heldLocks: z.number().nullable(),
  /** Trouble of the copying, each rule's. */
  copyTroubles: z.array(z.string().max(4096)).max(1000).nullish(),
  usedEndpoints: z.record(z.string().max(1024), z.number()),
  /** Keys that somebody wrote at the source past this fleet, after it was decided here. */
  quarantined: z.number(),
  /** Keys that somebody wrote at the source past this fleet, while writes went to both sides. */
  bypass: z.number(),
  rehearsals: z.array(z.object({ atMs: z.number(), ok: z.boolean(), term: z.number() })).max(100),
});

type GatewayFacts = z.infer<typeof factsForm>;

/** Makes the report of a fleet: evidence and facts of all gateways, asked when somebody wants it. */
export function openReporting(context: PartContext, parts: ReportingParts): Reporting {
  const { gateway, phases, settings, runner } = context;
  const lags = new LagSamples();
  let timer: NodeJS.Timeout | undefined;

  const thresholds: Thresholds = {
    ...defaultThresholds,
    gate: {
      ...defaultThresholds.gate,
      windowMsMin: settings.reportWindowMs,
    },
  };

  const copyTroubles = (): string[] =>
    phases.rules.flatMap(({ of, prefix }) => {
      const problem = parts.tail?.progress(of, prefix)?.problem;
      return problem === undefined ? [] : [`${of} ${JSON.stringify(prefix)}: ${problem}`.slice(0, 4096)];
    });

  const own = (prefix: string): GatewayFacts => {
    const last = parts.rehearsals.last();
    return {
      version: parts.version,
      repairs: parts.dual.repairs(prefix),
      lagP99Ms: runner.isHere ? lags.p99Ms() : null,
      heldLocks: runner.isHere ? lockedBelow(context, prefix).count : null,
      copyTroubles: runner.isHere ? copyTroubles() : null,
      usedEndpoints: parts.dual.usedEndpoints(),
      quarantined: parts.reverse.state(prefix)?.quarantined ?? 0,
      bypass: parts.bypass.bypass(prefix).count,
      rehearsals: last === undefined ? [] : [last],
    };
  };
  gateway.serve(topic, (body) =>
    Promise.resolve(
      own(
        z
          .string()
          .max(64 * 1024)
          .parse(body),
      ),
    ),
  );

  const gather = async (prefix: string): Promise<ReadonlyMap<string, GatewayFacts>> => {
    const told = new Map([[gateway.nodeName, own(prefix)]]);
    const others = gateway.gateways().filter(({ alive, nodeId }) => alive && nodeId !== gateway.nodeId);
    await Promise.all(
      others.map(async ({ nodeName }) => {
        const answer = await gateway.call(nodeName, topic, prefix, askMs).catch(() => undefined);
        const facts = factsForm.safeParse(answer);
        if (facts.success) told.set(nodeName, facts.data);
      }),
    );
    return told;
  };

  const changed = new ChangedSinceSweep({
    ...{ view: gateway.view, zones: parts.zones, monoMs: gateway.monoMs },
    ruleOf: (key) => phases.ofKey(key),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  });

  /** As it was when it last said so: a report is made all the same while it does not answer. */
  let self: { readonly nodeName: string; readonly version: string } | undefined;
  let selfDueMs = 0;
  const sourceSelf = async (): Promise<typeof self> => {
    if (parts.reader === undefined || gateway.monoMs() < selfDueMs) return self;
    selfDueMs = gateway.monoMs() + selfMs;
    const asked = parts.reader.self().then((answer) => (self = answer));
    await Promise.race([asked.catch(() => undefined), gateway.clock.sleep(selfWaitMs)]);
    return self;
  };

  const gathered = async (): Promise<EvidenceSnapshot> =>
    ofThisHistory(gateway.view, await parts.shadow.gatherEvidence(), phases.source?.timeline ?? 0);

  const report = async (scope?: { readonly of: MigrationKind; readonly prefix: string }): Promise<Report> => {
    const [evidence, told] = await Promise.all([gathered(), gather(scope?.prefix ?? ''), parts.peers.ask()]);
    const rules = phases.rules.filter((rule) => !isOfRehearsals(rule));
    const changedSinceSweep = await changed.count(
      evidence,
      rules.filter((rule) => scope === undefined || isRule(rule, scope)),
    );
    const source = await sourceSelf();
    const atMs = gateway.clock.now();
    const facts: RunFacts = {
      ...{ id: `${gateway.nodeName}-${atMs}`, atMs, toolVersion: parts.version },
      source: {
        address: settings.source?.addresses.join(' ') ?? 'none',
        datacenter: phases.source?.id.replace(/-[0-9a-f]{16}$/, '') ?? '',
        ...{ node: source?.nodeName ?? '', version: source?.version ?? '' },
      },
      target: {
        ...{ address: '', datacenter: gateway.datacenter, node: gateway.nodeName, version: parts.version },
      },
      ...{ sourceId: phases.source?.id ?? '', timeline: phases.source?.timeline ?? 0 },
      rules: rules.map(({ of, prefix, phase, step, term, sinceMs, reason }) => ({
        ...{ of, prefix, phase, step, term, sinceMs, reason },
      })),
      ...(scope === undefined ? {} : { scope }),
      gateways: gateway.gateways().map(({ nodeId, nodeName, region, alive }) => ({
        ...{ id: nodeId, name: nodeName, region, alive, version: told.get(nodeName)?.version ?? '' },
      })),
      clockSkewMsMax: null,
      overrides: overridesOf(context),
      operations: { ...operationsOf(context, parts, told), changedSinceSweep },
      ...{ marks: [], notes: [] },
    };
    const limits =
      scope?.of === 'catalog' ? { ...thresholds, gate: { ...thresholds.gate, ...ofKeysAlone } } : thresholds;
    const made = buildReport(evidence, facts, limits);
    return { ...made, gate: evaluateGates(made, limits, atMs) };
  };

  return {
    report,
    gathered,
    answer: async (what, query) => {
      const prefix = query['prefix'];
      const of = query['kind'] === 'catalog' ? 'catalog' : 'kv';
      const scope = prefix === undefined ? undefined : ({ of, prefix } as const);
      if (scope !== undefined && !phases.rules.some((rule) => isRule(rule, scope))) {
        return { status: 404, body: `there is no rule of ${JSON.stringify(prefix)}` };
      }
      const made = await report(scope);
      return { status: 200, body: what === 'report' ? made : samplesText(made) };
    },
    gates: async (of, prefix) =>
      (await report({ of, prefix })).gate
        ?.filter(({ name, state }) => state !== 'off' && !askedByStep.has(name))
        .map(({ name, state, observed, limit, why }) => ({
          name: `report-${name}`,
          state: state === 'green' ? 'green' : state === 'red' ? 'red' : 'unknown',
          detail: `${observed} (wanted: ${limit})${why === '' ? '' : `: ${why}`}`,
        })) ?? [],
    start: () => {
      timer = setInterval(() => {
        if (!runner.isHere || parts.tail === undefined) return;
        for (const { of, prefix } of phases.rules) {
          const lagMs = parts.tail.progress(of, prefix)?.lagMs;
          if (lagMs !== undefined && Number.isFinite(lagMs)) lags.add(gateway.monoMs(), lagMs);
        }
      }, sampleMs);
      timer.unref();
    },
    stop: () => {
      clearInterval(timer);
      return Promise.resolve();
    },
    status: () => ({ lagP99Ms: lags.p99Ms() }),
  };
}

function isRule(rule: PhaseRule, scope: { readonly of: string; readonly prefix: string }): boolean {
  return rule.of === scope.of && rule.prefix === scope.prefix;
}

/** Every gate that was passed over, in whatever step of whatever rule that is there. */
function overridesOf({ phases, gateway }: PartContext): RunFacts['overrides'] {
  const names = new Map(gateway.gateways().map(({ nodeId, nodeName }) => [nodeId, nodeName]));
  return phases.rules.flatMap((rule) =>
    [rule, ...rule.history]
      .filter(({ overridden }) => overridden.length > 0)
      .map(({ phase, sinceMs, byNode, reason, overridden }) => ({
        ...{ of: rule.of, prefix: rule.prefix, phase, atMs: sinceMs, reason, gates: overridden },
        by: names.get(byNode) ?? byNode,
      })),
  );
}

function operationsOf(
  { phases }: PartContext,
  { peers }: ReportingParts,
  told: ReadonlyMap<string, GatewayFacts>,
): Omit<NonNullable<RunFacts['operations']>, 'changedSinceSweep'> {
  const all = [...told.values()];
  const known = <T>(values: readonly (T | null)[]): readonly T[] => values.filter((value) => value !== null);
  const lags = known(all.map(({ lagP99Ms }) => lagP99Ms));
  const locks = known(all.map(({ heldLocks }) => heldLocks));
  const troubles = known(all.map(({ copyTroubles }) => copyTroubles ?? null));
  const terms = peers.list().flatMap(({ member, facts }) =>
    (facts?.rules ?? []).map(({ of, prefix, step }) => {
      const rule = phases.rules.find((each) => each.of === of && each.prefix === prefix);
      // A gateway that acts on an older step may have missed that the term rose with the newer one.
      return { gateway: member.nodeName, of, prefix, term: rule?.step === step ? rule.term : 0 };
    }),
  );
  return {
    repairQueue: {
      length: all.reduce((sum, { repairs }) => sum + repairs.keys, 0),
      oldestMs: Math.max(0, ...all.map(({ repairs }) => repairs.oldestMs)),
    },
    copyTroubles: troubles.length === 0 ? null : [...new Set(troubles.flat())],
    tailLagP99Ms: lags.length === 0 ? null : Math.max(...lags),
    bypassWrites: all.reduce((sum, { quarantined, bypass }) => sum + quarantined + bypass, 0),
    heldLocks: locks.length === 0 ? null : Math.max(...locks),
    unsupportedCalls: all.reduce(
      (sum, { usedEndpoints }) => sum + Object.values(usedEndpoints).reduce((a, b) => a + b, 0),
      0,
    ),
    rehearsals: rehearsalsOf(phases.rules, all),
    terms,
  };
}

/** A rehearsal walks a prefix of its own with the code that walks every other: it counts for each rule whose authority has not moved since. */
function rehearsalsOf(
  rules: readonly PhaseRule[],
  told: readonly GatewayFacts[],
): RunFacts['operations']['rehearsals'] {
  const good = told.flatMap(({ rehearsals }) => rehearsals).filter(({ ok }) => ok);
  const newest = good.toSorted((a, b) => b.atMs - a.atMs)[0];
  if (newest === undefined) return [];
  return rules
    .filter((rule) => lastMoveMs(rule) <= newest.atMs)
    .map(({ of, prefix, term }) => ({ of, prefix, term, at: new Date(newest.atMs).toISOString() }));
}
