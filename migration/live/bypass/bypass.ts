import { z } from 'zod';
import { Kind } from '../../../src/state/kinds.ts';
import { authorityOf, isDual, type PhaseRule } from '../../../src/state/migration.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import { ownKeys } from '../dual/fence.ts';
import type { LivePart, PartContext } from '../ports.ts';
import type { OwnWrite, OwnWrites } from './own-writes.ts';

/** A write that somebody made at the source itself, while writes were to go through the gateways. */
export interface BypassWrite {
  readonly key: string;
  /** The source's. Of a deletion: one at which the key was known to be gone. */
  readonly index: number;
  readonly deleted: boolean;
  /** When it was noticed (wall clock). */
  readonly atMs: number;
}

export interface BypassControl {
  /** Those below a prefix that were noticed here in the last ten minutes; the newest first. */
  bypass(prefix: string): { readonly count: number; readonly some: readonly BypassWrite[] };
}

/** What this part is told, and asks. */
export interface BypassPart extends LivePart, BypassControl {
  /** The tail is about to store these, in this order. */
  applying(records: readonly MirrorRecord[]): void;
}

export interface BypassParts {
  /** Of this gateway; undefined: it writes nothing at a source. */
  readonly own: Pick<OwnWrites, 'latest'> | undefined;
  /** Whether a write of the key by this gateway is under way, or what became of one is still to be looked up. */
  readonly isOpen: (key: string) => boolean;
  /** Milliseconds; for tests. */
  readonly graceMs?: number;
}

interface Suspect {
  readonly key: string;
  readonly index: number;
  readonly deleted: boolean;
  readonly sinceMs: number;
  dueMs: number;
}

const topic = 'bypass-known';
/** What a gateway may need from the source's answer until it knows its own write. */
const graceMs = 2000;
/** How long those that do not answer are waited for, and writes whose fate is open. */
const patienceMs = 30_000;
const askMs = 3000;
const windowMs = 600_000;
/** Kept one by one. Guesses. */
const foundMax = 10_000;
const suspectsMax = 100_000;
const shownMax = 100;
const batchMax = 500;

const askedForm = z.array(z.object({ key: z.string().max(65_536), index: z.number() })).max(batchMax);
const toldForm = z.array(z.object({ index: z.number(), deleted: z.boolean(), open: z.boolean() }));
type Told = z.infer<typeof toldForm>[number];

/**
 * Finds writers that still write to the source past the gateways: what the tail brings, and no gateway knows as its own.
 * Not looked at are what the source itself does (a session ends, and with it a lock) and everything up to the index that
 * the source had when all gateways wrote to both sides.
 */
export function openBypass(context: PartContext, { own, isOpen, ...more }: BypassParts): BypassPart {
  const { gateway, phases, runner, client, settings, evidence } = context;
  const waitMs = more.graceMs ?? graceMs;
  const counter = gateway.metrics.counter('bypass.writes');
  const overlooked = gateway.metrics.counter('bypass.not_looked_at');
  const suspects = new Map<string, Suspect>();
  let found: readonly BypassWrite[] = [];
  let total = 0;
  /** From which index on what is below a rule is looked at, by rule and its step. */
  const floors = new Map<string, number>();
  const asked = new Set<string>();
  let timeline = phases.source?.timeline;
  let stopping = new AbortController();
  const stops: (() => void)[] = [];
  let running: Promise<unknown> = Promise.resolve();

  /** What this gateway relayed before it was started again: its log says so. */
  const stored = (key: string, index: number): OwnWrite | undefined => {
    const row = gateway.view.get(Kind.kv, key);
    if (row === undefined || row.stamp > index) return undefined;
    const writer = gateway.view.origins().find(({ ref }) => ref === row.origin);
    if (writer?.nodeId !== gateway.nodeId) return undefined;
    return { index: row.stamp, deleted: row.value === null };
  };

  gateway.serve(topic, (body) =>
    Promise.resolve(
      askedForm.parse(body).map(({ key, index }): Told => {
        const known = own?.latest(key, index);
        const { index: at = 0, deleted = false } =
          (known?.index === index ? known : stored(key, index)) ?? known ?? {};
        return { index: at, deleted, open: isOpen(key) };
      }),
    ),
  );

  const recent = (): readonly BypassWrite[] => {
    const sinceMs = gateway.clock.now() - windowMs;
    if ((found[0]?.atMs ?? sinceMs) < sinceMs) found = found.filter(({ atMs }) => atMs >= sinceMs);
    return found;
  };
  gateway.metrics.gauge('bypass.recent', () => recent().length);

  /** Everybody writes to both sides from here on: what is newer than this has to be somebody's. */
  const findFloor = async (rule: PhaseRule, name: string): Promise<void> => {
    const { signal } = stopping;
    if (client === undefined) return;
    while (!signal.aborted) {
      const { of, prefix, step } = rule;
      const call = { of, prefix, step, waitMs: 10_000 };
      const alive = gateway.gateways().filter((each) => each.alive);
      const acting = await Promise.allSettled(
        alive.map(({ nodeName }) => gateway.call(nodeName, 'acting', call, 12_000)),
      );
      if (acting.every(({ status }) => status === 'fulfilled')) {
        const path = `/v1/kv/${ownKeys}absent?consistent`;
        const answer = await client.ask({ method: 'GET', path, token: settings.source?.token ?? '' });
        const index = answer.kind === 'answer' ? Number(answer.header('x-consul-index') ?? 0) : 0;
        if (index > 0) {
          if (asked.has(name)) floors.set(name, index);
          return;
        }
      }
      await gateway.clock.sleep(1000, signal);
    }
  };

  const look = (): void => {
    const isNewHistory = timeline !== phases.source?.timeline;
    timeline = phases.source?.timeline;
    const wanted = new Set<string>();
    if (runner.isHere && client !== undefined && phases.known) {
      for (const rule of phases.rules) if (isWatched(rule)) wanted.add(nameOf(rule));
    }
    for (const name of [...asked]) {
      if (wanted.has(name) && !isNewHistory) continue;
      asked.delete(name);
      floors.delete(name);
    }
    for (const rule of phases.rules) {
      const name = nameOf(rule);
      if (!wanted.has(name) || asked.has(name)) continue;
      asked.add(name);
      running = Promise.allSettled([running, findFloor(rule, name)]);
    }
  };

  const ask = async (
    batch: readonly Suspect[],
  ): Promise<readonly { told: readonly Told[] | undefined }[]> => {
    const body = batch.map(({ key, index }) => ({ key, index }));
    const alive = gateway.gateways().filter((each) => each.alive);
    return Promise.all(
      alive.map(async ({ nodeName }) => {
        const answer = await gateway.call(nodeName, topic, body, askMs).catch(() => undefined);
        const told = toldForm.length(batch.length).safeParse(answer);
        return { told: told.success ? told.data : undefined };
      }),
    );
  };

  /** Who starts again was not to be asked meanwhile, and knows when it is back. */
  const lastThereMs = new Map<string, number>();
  const noteThere = (nowMs: number): void => {
    for (const { nodeId, alive } of gateway.gateways()) if (alive) lastThereMs.set(nodeId, nowMs);
    for (const [nodeId, lastMs] of lastThereMs) if (nowMs - lastMs >= patienceMs) lastThereMs.delete(nodeId);
  };

  const judge = async (batch: readonly Suspect[]): Promise<void> => {
    const answers = await ask(batch);
    const nowMs = gateway.monoMs();
    const isSomebodyAway = [...lastThereMs.values()].some(
      (lastMs) => lastMs < nowMs - waitMs && nowMs - lastMs < patienceMs,
    );
    for (const [at, suspect] of batch.entries()) {
      const told = answers.map((answer) => answer.told?.[at]);
      const isUncertain = isSomebodyAway || told.some((one) => one === undefined || one.open);
      let latest: Told | undefined;
      for (const one of told) if (one !== undefined && one.index > (latest?.index ?? 0)) latest = one;
      const isOurs = suspect.deleted
        ? latest?.deleted === true
        : latest?.index === suspect.index && !latest.deleted;
      if (!isOurs && isUncertain && nowMs - suspect.sinceMs < patienceMs) {
        suspect.dueMs = nowMs + waitMs;
        continue;
      }
      suspects.delete(nameOfSuspect(suspect));
      if (isOurs) continue;
      const { key, index, deleted } = suspect;
      found = [...recent().slice(1 - foundMax), { key, index, deleted, atMs: gateway.clock.now() }];
      total += 1;
      counter();
      // Reports travel further than keys may: `status` names it.
      const where = JSON.stringify(phases.ofKey(key)?.prefix ?? '');
      evidence.mark(
        'bypass',
        `a key below ${where} was ${deleted ? 'deleted' : 'written'} at the source itself (index ${index})`,
      );
      gateway.log.warn({ key, index, deleted }, 'a key was written at the source past the gateways');
    }
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await gateway.clock.sleep(waitMs / 4, signal);
      const nowMs = gateway.monoMs();
      noteThere(nowMs);
      const due: Suspect[] = [];
      for (const suspect of suspects.values()) {
        if (due.length >= batchMax) break;
        if (suspect.dueMs <= nowMs) due.push(suspect);
      }
      if (due.length > 0 && !signal.aborted) await judge(due);
    }
  };

  return {
    applying: (records) => {
      if (floors.size === 0) return;
      const nowMs = gateway.monoMs();
      for (const { kind, key, stamp, value, ix } of records) {
        if (kind !== Kind.kv || key.startsWith(ownKeys)) continue;
        const rule = phases.ofKey(key);
        const floor = rule === undefined ? undefined : floors.get(nameOf(rule));
        if (floor === undefined || stamp <= floor) continue;
        const held = gateway.view.get(Kind.kv, key);
        const wasLocked = held?.value !== null && held?.ix !== null && held?.ix !== undefined;
        // A session has ended: the source itself frees the key, or deletes it.
        if (wasLocked && ix === null) continue;
        const suspect = { key, index: stamp, deleted: value === null, sinceMs: nowMs, dueMs: nowMs + waitMs };
        if (suspects.size >= suspectsMax) overlooked();
        else suspects.set(nameOfSuspect(suspect), suspect);
      }
    },
    bypass: (prefix) => {
      const below = recent().filter(({ key }) => key.startsWith(prefix));
      return { count: below.length, some: below.slice(-shownMax).toReversed() };
    },
    start: () => {
      stopping = new AbortController();
      stops.push(phases.onChange(look), runner.onChange(look));
      look();
      running = Promise.allSettled([running, run(stopping.signal)]);
    },
    stop: async () => {
      stopping.abort();
      for (const stop of stops.splice(0)) stop();
      await running;
      asked.clear();
      floors.clear();
    },
    status: () => ({
      looksAt: [...floors.keys()],
      waiting: suspects.size,
      total,
      recent: recent().length,
      some: recent().slice(-shownMax).toReversed(),
    }),
  };
}

function isWatched(rule: PhaseRule): boolean {
  return rule.of === 'kv' && isDual(rule.phase) && authorityOf(rule.phase) === 'source';
}

/** The same for as long as the rule has been in phases that write to both sides. */
function nameOf({ prefix, term }: PhaseRule): string {
  return `${term} ${prefix}`;
}

function nameOfSuspect({ key, index }: Pick<Suspect, 'key' | 'index'>): string {
  return `${index} ${key}`;
}
