import type { PhaseRule } from '../../../src/state/migration.ts';
import { isPathSafe } from '../../mirror/key-rules.ts';
import type { Held } from '../../mirror/registers.ts';
import type { ReadMeta } from '../../source/consul-reader.ts';
import type { KnownList } from '../../source/known-list.ts';
import type { RawEntry } from '../../source/raw-entry.ts';
import type { Waiting } from '../../source/live-reader.ts';
import { ownKeys } from '../dual/fence.ts';
import { Outdated } from './committer.ts';
import type { TailDeps } from './deps.ts';
import type { HeldCache } from './held-cache.ts';
import type { Leaf } from './leaf.ts';
import { describe, isUnreachable, orAborted, wasInterrupted } from './trouble.ts';
import { digestNames, lookAtLeaf, type LeafLook } from './turn.ts';

/** What a leaf asks of its rule. */
export interface LeafHost {
  readonly rule: PhaseRule;
  readonly deps: TailDeps;
  readonly signal: AbortSignal;
  owns(key: string): boolean;
  newCache(leaf: Leaf): HeldCache;
  mayDelete(leaf: Leaf, deletes: number, creates: number, live: number): boolean;
  commit(leaf: Leaf, timeline: number, look: LeafLook, index: number): Promise<void>;
  learn(items: number, bytes: number): void;
  /** Whether it changed of late. */
  isBusy(leaf: Leaf): boolean;
  /** Time between two looks at a leaf that changes all the time. */
  readonly paceMs: number;
  /** How long a short answer takes of late, where that is too long; else 0. */
  readonly slowMs: number;
  /** An answer that waited for nothing took so long. */
  answered(tookMs: number): void;
  /** Time between two looks at a leaf that has no blocking query. */
  readonly coldMs: number;
  split(leaf: Leaf, names: readonly string[] | undefined): Promise<void>;
}

/** A leaf this much above its aim is split: room for what comes and goes. */
const splitAbove = 1.5;

/** Bytes of an answer that are received in a millisecond: parsed, or compared with those of the answer before. Guesses. */
const parsedPerMs = 100_000;
const comparedPerMs = 400_000;

/**
 * The first wait of a leaf that was taken up from a cursor: what was reaped meanwhile shows in a full answer only. And
 * the first one after trouble: that it is over is known once there is an answer, and gates wait for it.
 */
const firstWaitMs = 1000;

/** Follows one leaf until it is replaced or the rule stops. */
export async function runLeaf(host: LeafHost, leaf: Leaf): Promise<void> {
  const { gateway, limits, throttles } = host.deps;
  let tries = 0;
  while (!leaf.dead && !host.signal.aborted) {
    const own = new AbortController();
    leaf.interrupt = () => own.abort();
    const signal = AbortSignal.any([host.signal, own.signal]);
    const held = host.deps.held();
    if (held !== undefined) {
      await orAborted(held, host.signal);
      continue;
    }
    if (leaf.question !== undefined) {
      throttles.note(`mass delete held back under ${leaf.name}`, 2 * limits.coldPollMs);
      await gateway.clock.sleep(limits.coldPollMs, signal);
      continue;
    }
    try {
      await turn(host, leaf, signal);
      tries = 0;
      leaf.problem = undefined;
    } catch (error) {
      if (host.signal.aborted || leaf.dead) break;
      if (own.signal.aborted && wasInterrupted(error)) continue;
      if (error instanceof Outdated) {
        Object.assign(leaf, { index: 0, compared: false });
        continue;
      }
      if (isUnreachable(error)) host.deps.suspect();
      leaf.problem = describe(error);
      throttles.note(leaf.problem, 5000);
      const span = Math.min(5000, 100 * 2 ** Math.min(tries, 10));
      tries += 1;
      await gateway.clock.sleep(span / 2 + (span / 2) * gateway.random(), signal);
    }
  }
  leaf.held = undefined;
  leaf.known = undefined;
}

async function turn(host: LeafHost, leaf: Leaf, signal: AbortSignal): Promise<void> {
  const { gateway, limits, listPlace } = host.deps;
  if (leaf.index === 0) {
    const giveBack = await listPlace();
    try {
      if (!signal.aborted && !leaf.dead) await look(host, leaf, undefined, signal);
      // With its place kept: fewer lists are asked for.
      if (host.slowMs > 0) await gateway.clock.sleep(host.slowMs, signal);
    } finally {
      giveBack();
    }
    return;
  }
  if (leaf.hot && isPathSafe(leaf.prefix)) {
    const waitMs = leaf.comparedAtMs < 0 || leaf.problem !== undefined ? firstWaitMs : limits.waitMs;
    await look(host, leaf, { index: leaf.index, waitMs }, signal);
    // What changes meanwhile is seen in one look.
    await gateway.clock.sleep(untilNextMs(host, leaf), signal);
    return;
  }
  if (!host.isBusy(leaf)) {
    leaf.held = undefined;
    leaf.known = undefined;
  }
  const isBusy = host.isBusy(leaf);
  const everyMs = isBusy ? untilNextMs(host, leaf) : host.coldMs * (0.75 + gateway.random() / 2);
  await gateway.clock.sleep(everyMs, signal);
  if (signal.aborted || leaf.dead) return;
  if (isBusy || (await mayHaveChanged(host, leaf, signal))) await look(host, leaf, undefined, signal);
}

/** From one question to the next it is the pace, but never without a pause for others. */
function untilNextMs({ paceMs, deps }: LeafHost, leaf: Leaf): number {
  const sinceMs = deps.gateway.monoMs() - leaf.askedAtMs;
  return Math.max(deps.limits.hotMinMs, paceMs / 4, paceMs - sinceMs);
}

/** The names alone cost a fraction of the values, and bring the index of the prefix with them. */
async function mayHaveChanged(host: LeafHost, leaf: Leaf, signal: AbortSignal): Promise<boolean> {
  const { gateway, reader, limits } = host.deps;
  const sinceMs = gateway.monoMs() - leaf.comparedAtMs;
  if (!leaf.tree || !isPathSafe(leaf.prefix) || sinceMs > 2 * limits.waitMs) return true;
  const answer = await reader.keys(leaf.prefix, undefined, { signal });
  if (answer.kind === 'too-large' || answer.meta.index !== leaf.index || answer.meta.filtered) return true;
  if (digestNames(answer.names.filter((name) => host.owns(name))) !== leaf.names) return true;
  leaf.heardAtMs = gateway.monoMs();
  return false;
}

/** Asks, compares, and commits what differs. */
async function look(
  host: LeafHost,
  leaf: Leaf,
  waiting: Waiting | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { deps } = host;
  const { gateway, asks } = deps;
  const timeline = deps.timeline();
  const cache = (leaf.held ??= host.newCache(leaf));
  await cache.load();
  cache.settledFor(timeline, deps.terms());
  cache.current();
  const askedAt = asks.next();
  const askedMs = gateway.monoMs();
  const isKnown = leaf.known !== undefined;
  leaf.askedAtMs = askedMs;
  const answer = await read(deps, leaf, waiting, signal);
  const arrivedMs = gateway.monoMs();
  if (waiting === undefined) host.answered(arrivedMs - askedMs);
  if (answer === undefined) {
    host.learn(1, deps.limits.leafBytesAim);
    await host.split(leaf, undefined);
    return;
  }
  const { meta } = answer;
  const isShared = mayHoldOthers(host, leaf);
  const entries = isShared ? answer.entries.filter(({ key }) => host.owns(key)) : answer.entries;
  const heldNow = (): ReadonlyMap<string, Held> => owned(host, leaf, cache.current());
  const isPrompt = arrivedMs - askedMs < 20;
  const found = await lookAtLeaf({
    ...{ timeline, askedAt, meta, indexIsTable: answer.indexIsTable, entries },
    ...{ held: heldNow(), settled: cache.settled, termOf: deps.termOf, heldNow },
    names: isShared ? undefined : answer.known?.names,
    proveEveryAbsence: deps.source().aclsEnabled || deps.source().tokenGiven,
    prove: async (keys) => {
      const at = asks.next();
      return { askedAt: at, reads: await deps.reader.getAll(keys, { signal }) };
    },
  });
  const comparedMs = gateway.monoMs();
  if (found.kind === 'look' && answer.known !== undefined && !isShared) answer.known.names = found.names;
  if (found.kind === 'outdated' || timeline !== deps.timeline()) throw new Outdated('an older timeline');
  if (found.kind === 'fork') {
    await deps.fork(timeline, found.evidence);
    throw new Outdated('forked');
  }
  // Somebody holds it since it was asked: it is asked again then.
  if (deps.held() !== undefined) return;
  const isChange = found.upserts.length > 0 || found.deletes.length > 0;
  // Before this answer nothing told of the change: it is at most as old as the last answer.
  if (isChange) leaf.pendingSinceMs ??= isPrompt && leaf.arrivedAtMs > 0 ? leaf.arrivedAtMs : arrivedMs;
  leaf.arrivedAtMs = arrivedMs;
  leaf.heardAtMs = arrivedMs;
  const wanted = weighed(host, leaf, found);
  if (wanted === undefined) return;
  if (found.absenceIgnored === 'filtered-by-acl')
    deps.throttles.note('the token does not see everything', 10_000);

  // An index that falls back tells of reaped tombstones, or of nothing: all is asked for once more.
  const fellBack = waiting !== undefined && meta.index !== null && meta.index < waiting.index;
  await host.commit(leaf, timeline, wanted, fellBack ? 0 : (meta.index ?? 0));
  const doneMs = gateway.monoMs();
  if (isChange && leaf.pendingSinceMs !== undefined && waiting !== undefined)
    deps.lag(doneMs - leaf.pendingSinceMs);
  leaf.pendingSinceMs = undefined;
  leaf.known = leaf.hot || host.isBusy(leaf) ? answer.known : undefined;
  if (meta.index !== null && meta.knownLeader && !meta.filtered) leaf.comparedAtMs = askedMs;
  leaf.score += wanted.upserts.length + wanted.deletes.length;
  const costMs = comparedMs - arrivedMs + answer.bytes / (isKnown ? comparedPerMs : parsedPerMs);
  leaf.answerBytes = answer.bytes;
  leaf.costMs = leaf.costMs === 0 ? costMs : leaf.costMs * 0.8 + costMs * 0.2;
  if (isChange) leaf.changedAtMs = doneMs;
  host.learn(wanted.items, answer.bytes);
  await keepInShape(host, leaf, entries, answer.bytes);
}

interface LeafAnswer {
  readonly meta: ReadMeta;
  readonly indexIsTable: boolean;
  readonly entries: readonly RawEntry[];
  readonly bytes: number;
  readonly known?: KnownList;
}

/** Undefined: it is too large. */
async function read(
  { reader }: TailDeps,
  leaf: Leaf,
  waiting: Waiting | undefined,
  signal: AbortSignal,
): Promise<LeafAnswer | undefined> {
  const ask = waiting === undefined ? { signal } : { waiting, signal };
  if (leaf.tree) {
    const before = leaf.known === undefined ? {} : { before: leaf.known };
    const list = await reader.list(leaf.prefix, { ...ask, ...before });
    return list.kind === 'too-large' ? undefined : list;
  }
  const point = await reader.get(leaf.prefix, ask);
  if (point.kind === 'denied') {
    const meta = { index: null, knownLeader: true, filtered: true };
    return { meta, indexIsTable: true, entries: [], bytes: 0 };
  }
  const entries = point.entry === null ? [] : [point.entry];
  return { meta: point.meta, indexIsTable: true, entries, bytes: point.entry?.text.length ?? 0 };
}

/** Whether keys may be in it that are another rule's, or the migration's own. */
function mayHoldOthers(host: LeafHost, leaf: Leaf): boolean {
  return (
    host.deps.phases.under(leaf.prefix).length > 1 ||
    ownKeys.startsWith(leaf.prefix) ||
    leaf.prefix.startsWith(ownKeys)
  );
}

/** Without what is another rule's. */
function owned(host: LeafHost, leaf: Leaf, held: ReadonlyMap<string, Held>): ReadonlyMap<string, Held> {
  if (!mayHoldOthers(host, leaf)) return held;
  return new Map([...held].filter(([key]) => host.owns(key)));
}

/** What of a look is to be committed; undefined: nothing, the breaker asks. */
function weighed(host: LeafHost, leaf: Leaf, found: LeafLook): LeafLook | undefined {
  const deletes = found.deletes.filter(({ key }) => !leaf.denied.has(key));
  leaf.denied = new Set(found.deletes.filter(({ key }) => leaf.denied.has(key)).map(({ key }) => key));
  leaf.unproved = found.unproved;
  leaf.forbidden = found.deletes.length - deletes.length;
  leaf.absenceIgnored = found.absenceIgnored;
  // What a first look finds says nothing of what comes and goes.
  const creates = leaf.compared ? found.upserts.filter(({ same }) => !same).length : 0;
  if (host.mayDelete(leaf, deletes.length, creates, found.live)) return { ...found, deletes };
  const { gateway, evidence } = host.deps;
  leaf.question = {
    where: leaf.name,
    deletes: deletes.length,
    live: found.live,
    examples: deletes.slice(0, 5).map(({ key }) => key),
    keys: deletes.map(({ key }) => key),
    sinceMs: gateway.clock.now(),
  };
  const text = `${deletes.length} of ${found.live} keys under ${leaf.name} are gone at the source`;
  gateway.log.warn(
    { leaf: leaf.name, deletes: deletes.length, live: found.live },
    `mass delete held back: ${text}`,
  );
  evidence.mark('mass-delete', text);
  return undefined;
}

/** Splits a leaf that outgrew its answer. */
async function keepInShape(
  host: LeafHost,
  leaf: Leaf,
  entries: readonly RawEntry[],
  bytes: number,
): Promise<void> {
  const { leafBytesAim, leafNamesMax } = host.deps.limits;
  const isLarge = entries.length > splitAbove * leafNamesMax || bytes > 2 * splitAbove * leafBytesAim;
  if (!leaf.tree || !isLarge || entries.length < 2) return;
  await host.split(
    leaf,
    entries.map(({ key }) => key),
  );
}
