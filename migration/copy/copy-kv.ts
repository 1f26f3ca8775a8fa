import { compareBytewise } from '../byte-order.ts';
import { digestKv } from '../digest.ts';
import {
  decideLeaf,
  decideProof,
  type ForkEvidence,
  type LeafAnswer,
  type LeafPlan,
} from '../mirror/leaf-decision.ts';
import { copiedTerm } from '../mirror/version.ts';
import { hasTrueName } from '../mirror/key-rules.ts';
import { isBehind, splitRegions, type Position, type Region } from '../mirror/regions.ts';
import type { Held } from '../mirror/registers.ts';
import { screenKv } from '../mirror/screening.ts';
import type { ConsulReader, KvEntry, ReadMeta } from '../source/consul-reader.ts';
import { heldUnder, type HeldEntry, type MirrorTarget } from '../target/target.ts';
import { done, type CopyRun, type LeafEnd } from './copy-run.ts';
import { inOrder } from './ordered-pipeline.ts';
import { LeafSizer, namesOfReader, planRegions, type NameSource } from './plan-regions.ts';

/** Aims of one list answer; Consul builds it whole in memory, so it is kept small. */
const leafBytesAim = 1.5 * 1024 * 1024;
const leafNamesMax = 8192;
const namesPerPlanMax = 400_000;

type Fetched =
  | { readonly kind: 'too-large'; readonly region: Region }
  /** Its names are all that the source tells of it. */
  | { readonly kind: 'nameless'; readonly region: Region }
  | {
      readonly kind: 'leaf';
      readonly region: Region;
      readonly held: readonly Held[];
      readonly answer: LeafAnswer;
      readonly entries: ReadonlyMap<string, KvEntry>;
      readonly denied: boolean;
    };

/** Copies the selected keys, leaf by leaf in bytewise order. */
export async function copyKv(run: CopyRun): Promise<LeafEnd> {
  const { source, target, sourceId } = run.options;
  const sizer = new LeafSizer(leafBytesAim, leafNamesMax);
  const tally = { done: 0, total: 0 };
  const startedAt = run.position;
  const sides = [namesOfReader(source), namesOfTarget(target, sourceId)].map((side) =>
    ahead(side, startedAt),
  );
  const regions = async function* (): AsyncGenerator<Region, void, undefined> {
    for (const prefix of run.options.prefixes) {
      yield* planRegions(prefix, sides, sizer.namesMax, (count) => (tally.total += count));
    }
  };
  return copyRegions({ run, sizer, tally, startedAt }, regions());
}

type KvWork = {
  readonly run: CopyRun;
  readonly sizer: LeafSizer;
  readonly tally: { done: number; readonly total: number };
  /** What is behind this place was done, and counted, by the run that this one takes up. */
  readonly startedAt: Position | null;
};

async function copyRegions(
  work: KvWork,
  regions: AsyncIterable<Region> | Iterable<Region>,
): Promise<LeafEnd> {
  const { run, tally } = work;
  const leavesAhead = run.options.leavesAhead ?? 4;
  for await (const fetched of inOrder(regions, leavesAhead, (region) => fetchLeaf(work, region))) {
    if (run.interrupted) return done;
    const { region } = fetched;
    if (fetched.kind === 'too-large') {
      const pieces = splitRegions(region.prefix, region.names, () => Math.ceil(region.names.length / 4));
      const single = { prefix: region.names[0] ?? region.prefix, tree: false, names: region.names };
      const end = await copyRegions(work, region.names.length === 1 ? [single] : pieces);
      if (end.kind === 'fork') return end;
      continue;
    }
    if (fetched.kind === 'nameless') leaveBehind(run, region);
    else {
      const end = await copyLeaf(run, fetched);
      if (end.kind === 'fork') return end;
    }
    tally.done += region.names.length;
    run.settled({ prefix: region.prefix, tree: region.tree });
    await run.leafDone();
    run.options.onProgress?.({
      phase: 'kv',
      done: tally.done,
      total: Math.max(tally.total, tally.done),
      bytes: run.bytes,
      where: region.prefix,
    });
  }
  return done;
}

/** The held state is read before the source is asked, so that the fork test may judge all of it. */
async function fetchLeaf(work: KvWork, region: Region): Promise<Fetched> {
  const { run, sizer, startedAt } = work;
  const { source, target, sourceId } = run.options;
  if (!hasTrueName(region.prefix)) return { kind: 'nameless', region };
  const timeline = run.timeline;
  const held: Held[] = [];
  for await (const entry of heldUnder(target, { source: sourceId, kind: 'kv', prefix: region.prefix })) {
    if (!region.tree && entry.key !== region.prefix) break;
    if (!isBehind(startedAt, entry.key)) held.push(asHeld(entry));
  }
  if (!region.tree) return fetchKey(source, region, held, timeline);
  const list = await source.list(region.prefix);
  if (list.kind === 'too-large') {
    sizer.learn(region.names.length, 16 * 1024 * 1024);
    return { kind: 'too-large', region };
  }
  sizer.learn(list.entries.length, list.bytes);
  const found = list.entries.filter((entry) => !isBehind(startedAt, entry.key));
  const answer = leafAnswer(timeline, list.meta, list.indexIsTable, found);
  const entries = new Map(found.map((entry) => [entry.key, entry]));
  return { kind: 'leaf', region, held, answer, entries, denied: false };
}

/** Keys that no read finds are listed by the names that they were listed under. */
function leaveBehind(run: CopyRun, region: Region): void {
  for (const name of region.names) {
    run.counts.kv.skipped += 1;
    run.notice('not-utf8', 'skipped', 'kv', name);
  }
}

async function fetchKey(
  source: ConsulReader,
  region: Region,
  held: readonly Held[],
  timeline: number,
): Promise<Fetched> {
  const read = await source.get(region.prefix);
  const meta = read.kind === 'denied' ? { index: null, knownLeader: true, filtered: true } : read.meta;
  const found = read.kind === 'read' && read.entry !== null ? [read.entry] : [];
  const answer = leafAnswer(timeline, meta, true, found);
  const entries = new Map(found.map((entry) => [entry.key, entry]));
  return { kind: 'leaf', region, held, answer, entries, denied: read.kind === 'denied' };
}

function leafAnswer(
  timeline: number,
  meta: ReadMeta,
  indexIsTable: boolean,
  entries: readonly KvEntry[],
): LeafAnswer {
  const items = entries.map((entry) => ({
    key: entry.key,
    stamp: entry.modifyIndex,
    digest: digestKv(entry.value, entry.flags),
  }));
  return { ...meta, timeline, askedAt: 1, indexIsTable, items };
}

type Outcome =
  | { readonly key: string; readonly kind: 'present'; readonly entry: KvEntry; readonly changed: boolean }
  | { readonly key: string; readonly kind: 'tombstone'; readonly stamp: number }
  | { readonly key: string; readonly kind: 'kept' }
  | {
      readonly key: string;
      readonly kind: 'withheld';
      readonly code: 'delete-withheld' | 'delete-unproved';
      readonly detail?: string;
    };

async function copyLeaf(run: CopyRun, fetched: Extract<Fetched, { kind: 'leaf' }>): Promise<LeafEnd> {
  const { region, held, answer } = fetched;
  const decision = decideLeaf({
    timeline: run.timeline,
    termOf: copiedTerm,
    held,
    answer,
    proveEveryAbsence: run.options.sourceSelf.aclsEnabled || run.options.tokenGiven,
  });
  if (decision.kind === 'fork') return decision;
  if (decision.kind === 'outdated') return done;

  const heldByKey = new Map(held.map((entry) => [entry.key, entry]));
  const outcomes: Outcome[] = [];
  for (const [key, entry] of fetched.entries) outcomes.push({ key, kind: 'present', entry, changed: false });
  const changed = new Set(decision.upserts);
  const kept = new Set(decision.kept);
  const absences = await proveAbsences(run, decision, heldByKey);
  if (absences.kind === 'fork') return absences;

  const live = held.filter((entry) => !entry.deleted).length;
  const deletes = absences.outcomes.filter((outcome) => outcome.kind === 'tombstone');
  const examples = deletes.slice(0, 5).map((outcome) => outcome.key);
  const goAhead = await run.mayDelete({ where: region.prefix, deletes: deletes.length, live, examples });
  for (const outcome of absences.outcomes) {
    if (goAhead || outcome.kind !== 'tombstone') outcomes.push(outcome);
    else outcomes.push({ key: outcome.key, kind: 'withheld', code: 'delete-withheld' });
  }
  if (decision.absenceIgnored === 'filtered-by-acl') {
    run.notice('filtered-by-acl', 'withheld', fetched.denied ? 'kv' : 'prefix', region.prefix);
  }

  for (const outcome of outcomes.toSorted((a, b) => compareBytewise(a.key, b.key))) {
    await settle(run, outcome, {
      changed: changed.has(outcome.key) || (outcome.kind === 'present' && outcome.changed),
      kept: kept.has(outcome.key),
      held: heldByKey.get(outcome.key),
    });
    run.settled({ prefix: outcome.key, tree: false });
  }
  return done;
}

/** Asks the point reads that the plan needs, and turns every absent key into an outcome. */
async function proveAbsences(
  run: CopyRun,
  plan: LeafPlan,
  held: ReadonlyMap<string, Held>,
): Promise<{ kind: 'outcomes'; outcomes: Outcome[] } | { kind: 'fork'; evidence: readonly ForkEvidence[] }> {
  const outcomes: Outcome[] = plan.tombstones.map(({ key, stamp }) => ({ key, kind: 'tombstone', stamp }));
  const proofs = inOrder(plan.proofs, 16, async (key) => ({ key, read: await run.options.source.get(key) }));
  for await (const { key, read } of proofs) {
    const known = held.get(key);
    if (known === undefined) continue;
    const unproved = (detail: string): void => {
      outcomes.push({ key, kind: 'withheld', code: 'delete-unproved', detail });
    };
    if (read.kind === 'denied') {
      unproved('the token may not read it');
      continue;
    }
    const { entry } = read;
    const item = entry === null ? null : itemOf(entry);
    const verdict = decideProof(run.timeline, 0, known, {
      ...read.meta,
      timeline: run.timeline,
      askedAt: 1,
      item,
    });
    if (verdict.kind === 'fork') return { kind: 'fork', evidence: [verdict.evidence] };
    if (verdict.kind === 'tombstone') outcomes.push({ key, kind: 'tombstone', stamp: verdict.stamp });
    else if (verdict.kind === 'kept') outcomes.push({ key, kind: 'kept' });
    else if (verdict.kind === 'unproved') unproved('the answer proves nothing');
    else if (entry !== null)
      outcomes.push({ key, kind: 'present', entry, changed: verdict.kind === 'upsert' });
  }
  return { kind: 'outcomes', outcomes };
}

async function settle(
  run: CopyRun,
  outcome: Outcome,
  facts: { readonly changed: boolean; readonly kept: boolean; readonly held: Held | undefined },
): Promise<void> {
  const counts = run.counts.kv;
  if (outcome.kind === 'tombstone') {
    await run.send({ kind: 'kv', key: outcome.key, stamp: outcome.stamp, deleted: true }, 'deleted');
    return;
  }
  if (outcome.kind !== 'present') {
    counts[outcome.kind] += 1;
    if (outcome.kind === 'withheld') run.notice(outcome.code, 'withheld', 'kv', outcome.key, outcome.detail);
    return;
  }
  const { key, entry } = outcome;
  run.bytes += entry.value.length;
  const screening = screenKv(entry);
  if (facts.kept) counts.kept += 1;
  else if (!screening.copy) counts.skipped += 1;
  else if (!facts.changed) counts.unchanged += 1;
  else {
    const same =
      facts.held !== undefined &&
      !facts.held.deleted &&
      facts.held.digest === digestKv(entry.value, entry.flags);
    const { createIndex, modifyIndex, value, flags } = entry;
    await run.send(
      { kind: 'kv', key, stamp: modifyIndex, created: createIndex, value, flags },
      same ? 'unchanged' : 'copied',
    );
  }
  // After the send: a batch that it commits must not carry this key's notices yet.
  if (facts.kept) run.notice('written-here', 'kept', 'kv', key);
  for (const remark of screening.remarks) {
    run.notice(remark, screening.copy ? 'copied' : 'skipped', 'kv', key);
  }
}

function itemOf(entry: KvEntry): { key: string; stamp: number; digest: string } {
  return { key: entry.key, stamp: entry.modifyIndex, digest: digestKv(entry.value, entry.flags) };
}

export function asHeld(entry: HeldEntry): Held {
  return { ...entry, storedAt: 0 };
}

/** Drops the names that an earlier, interrupted run has done. */
function ahead(side: NameSource, position: Position | null): NameSource {
  if (position === null) return side;
  const filter = (names: readonly string[] | null): readonly string[] | null =>
    names?.filter((name) => !isBehind(position, name)) ?? null;
  // A child such as `a/` stands for names that may be ahead although `a/` itself is behind: kept.
  return { names: async (prefix) => filter(await side.names(prefix)), children: side.children };
}

/** Live keys that the target holds, so that what the source no longer has is looked at. */
function namesOfTarget(target: MirrorTarget, source: string): NameSource {
  return {
    names: async (prefix) => {
      const names: string[] = [];
      for await (const entry of heldUnder(target, { source, kind: 'kv', prefix })) {
        if (entry.deleted) continue;
        names.push(entry.key);
        if (names.length > namesPerPlanMax) return null;
      }
      return names;
    },
    children: async (prefix) => {
      const children = new Set<string>();
      for await (const entry of heldUnder(target, { source, kind: 'kv', prefix })) {
        if (entry.deleted) continue;
        const slash = entry.key.indexOf('/', prefix.length);
        children.add(slash === -1 ? entry.key : entry.key.slice(0, slash + 1));
      }
      return [...children];
    },
  };
}
