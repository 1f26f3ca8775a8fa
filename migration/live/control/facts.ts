import { z } from 'zod';
import { Kind } from '../../../src/state/kinds.ts';
import { authorityOf, type MigrationKind, type Phase, type PhaseRule } from '../../../src/state/migration.ts';
import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import type { CatalogExportPart } from '../catalog/export.ts';
import type { DualControl, PartContext, TailControl } from '../ports.ts';
import type { ReversePart } from '../reverse/reverse.ts';
import type { Gate, GateFacts, ReverseFact } from './gates.ts';
import type { Peers } from './peers.ts';
import type { Rehearsals } from './rehearsals.ts';

export interface FactParts {
  readonly peers: Peers;
  readonly dual: DualControl;
  readonly tail: TailControl | undefined;
  readonly reverse: ReversePart;
  readonly rehearsals: Rehearsals;
  /** What shows the catalog to the source; undefined: there is none. */
  readonly exported: CatalogExportPart | undefined;
  /** Gates of the report about a prefix. */
  readonly evidence: (of: MigrationKind, prefix: string) => readonly Gate[] | Promise<readonly Gate[]>;
  /** Why the source cannot be asked; undefined: it can. */
  readonly askSource: () => Promise<string | undefined>;
}

/** What one gateway knows of a prefix that gates are judged by; told to the one that judges. */
export interface LocalFacts {
  readonly repairs: { readonly keys: number; readonly oldestMs: number };
  readonly highestIndex: number;
  readonly tail: ReturnType<TailControl['progress']>;
  readonly paused: string | undefined;
  readonly reverse: ReverseFact | undefined;
  readonly sourceIndex: number;
  readonly rehearsal: { readonly atMs: number; readonly ok: boolean; readonly term: number } | undefined;
}

export function localFacts(
  context: PartContext,
  parts: FactParts,
  of: MigrationKind,
  prefix: string,
): LocalFacts {
  const { gateway, client } = context;
  return {
    repairs: parts.dual.repairs(prefix),
    highestIndex: gateway.view.highestIndex(),
    tail: parts.tail?.progress(of, prefix),
    paused: parts.tail?.paused,
    reverse: of === 'catalog' ? catalogBack(parts.exported) : parts.reverse.state(prefix),
    sourceIndex: client?.highWater ?? 0,
    rehearsal: parts.rehearsals.last(),
  };
}

/** The catalog has no versions to guard by: nothing is quarantined, the last writer wins. */
function catalogBack(exported: CatalogExportPart | undefined): ReverseFact | undefined {
  const state = exported?.state();
  return state === undefined ? undefined : { ...state, quarantined: 0, lost: false };
}

/** Of other gateways: `null` stands for what is not there. */
const maybe = <T extends z.ZodType>(form: T) =>
  form.nullish().transform((value): z.infer<T> | undefined => value ?? undefined);
const text = z.string().max(4096);
const factsForm = z.object({
  repairs: z.object({ keys: z.number(), oldestMs: z.number() }),
  highestIndex: z.number(),
  sourceIndex: z.number(),
  paused: maybe(text),
  rehearsal: maybe(z.object({ atMs: z.number(), ok: z.boolean(), term: z.number() })),
  reverse: maybe(
    z.object({
      ...{ pending: z.number(), lagMs: z.number().or(z.literal(Infinity)), quarantined: z.number() },
      ...{ lost: z.boolean(), problem: maybe(text) },
    }),
  ),
  tail: maybe(
    z.object({
      ...{ backfilled: z.boolean(), items: z.number(), bytes: z.number(), itemsTotal: maybe(z.number()) },
      ...{ itemsPerSecond: z.number(), lagMs: z.number().or(z.literal(Infinity)), etaMs: maybe(z.number()) },
      ...{ throttledBy: z.array(text).max(100), breaker: maybe(text), problem: maybe(text) },
      verifiedThroughIndex: z.number(),
    }),
  ),
});

const somePeerMs = 3000;
const lockedShown = 3;

/** Everything that the gates of a step are judged by, gathered from all gateways. */
export async function gateFacts(
  context: PartContext,
  parts: FactParts,
  { of, prefix, to, without }: { of: MigrationKind; prefix: string; to: Phase; without: readonly string[] },
  before: { readonly phase: Phase; readonly rule: PhaseRule | undefined },
): Promise<GateFacts> {
  const { gateway, settings, runner } = context;
  const step = before.rule?.step ?? 0;
  await parts.peers.ask();
  const peers = parts.peers.list();
  const told = new Map<string, LocalFacts>();
  await Promise.all(
    peers
      .filter(({ member }) => member.alive && !without.includes(member.nodeName))
      .map(async ({ member }) => {
        const facts =
          member.nodeId === gateway.nodeId
            ? localFacts(context, parts, of, prefix)
            : await gateway.call(member.nodeName, 'facts', { of, prefix }, somePeerMs).catch(() => undefined);
        if (facts === undefined) return;
        const read = factsForm.safeParse(facts);
        if (read.success) told.set(member.nodeName, read.data);
      }),
  );
  const all = [...told.values()];
  const runs = runner.nodeName === undefined ? undefined : told.get(runner.nodeName);
  const rehearsals = all
    .map(({ rehearsal }) => rehearsal)
    .filter((each) => each !== undefined && each !== null);
  const rehearsal = rehearsals.toSorted((a, b) => b.atMs - a.atMs)[0];
  const reverse = all.map((each) => each.reverse).filter((each) => each !== undefined && each !== null);
  return {
    ...{ of, prefix, step },
    from: before.phase,
    to,
    gateways: peers.map(({ member, facts, problem }) => ({
      name: member.nodeName,
      alive: member.alive,
      without: without.includes(member.nodeName),
      // A rule that is new has no step to be acted on.
      step:
        step === 0
          ? facts === undefined
            ? undefined
            : 0
          : facts?.rules.find((rule) => rule.of === of && rule.prefix === prefix)?.step,
      older: facts?.rules.find((rule) => rule.of === of && rule.prefix === prefix)?.older ?? 0,
      problem,
    })),
    sourceProblem: await parts.askSource(),
    tail: runs?.tail ?? undefined,
    paused: runs?.paused ?? undefined,
    lagMsMax: settings.lagMsMax,
    repairs: {
      keys: all.reduce((sum, { repairs }) => sum + repairs.keys, 0),
      oldestMs: Math.max(0, ...all.map(({ repairs }) => repairs.oldestMs)),
    },
    locked:
      of === 'kv' && authorityOf(before.phase) === 'source'
        ? lockedBelow(context, prefix)
        : { count: 0, some: [] },
    rehearsal:
      rehearsal === undefined
        ? undefined
        : {
            atMs: rehearsal.atMs,
            ok: rehearsal.ok,
            current: rehearsal.atMs >= (before.rule === undefined ? 0 : lastMoveMs(before.rule)),
          },
    reverse: reverse.length === 0 ? undefined : reverse[0],
    indexes: {
      source: Math.max(0, ...all.map(({ sourceIndex }) => sourceIndex)),
      lowestHere: Math.min(Infinity, ...all.map(({ highestIndex }) => highestIndex)),
    },
    evidence: to === 'cutover' ? await parts.evidence(of, prefix) : [],
  };
}

/** When the authority over what a rule is about last moved: rehearsals of before do not count. */
export function lastMoveMs(rule: PhaseRule): number {
  const walked = [rule, ...rule.history];
  for (const [i, { phase, sinceMs }] of walked.entries()) {
    const earlier = walked[i + 1];
    if (earlier !== undefined && authorityOf(earlier.phase) !== authorityOf(phase)) return sinceMs;
  }
  return 0;
}

/** Keys below a prefix whose lock a session holds, as this replica has them. */
export function lockedBelow(
  { gateway }: PartContext,
  prefix: string,
): { count: number; some: readonly string[] } {
  const some: string[] = [];
  let count = 0;
  const end = prefixEnd(prefix);
  for (const row of gateway.view.indexed(Kind.kv)) {
    if (row.value === null || row.ix === null || row.ix === '') continue;
    if (row.key < prefix || (end !== undefined && row.key >= end && !row.key.startsWith(prefix))) continue;
    if (!row.key.startsWith(prefix)) continue;
    count += 1;
    if (some.length < lockedShown) some.push(row.key);
  }
  return { count, some };
}
