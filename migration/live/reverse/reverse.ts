import { copyingOf, type PhaseRule } from '../../../src/state/migration.ts';
import { Fences } from '../dual/fence.ts';
import type { LivePart, PartContext } from '../ports.ts';
import { keepBaseline, Ledger, type Quarantined } from './ledger.ts';
import { ReverseRule, type SweepResult } from './reverse-rule.ts';
import { readerOver } from './source-io.ts';

/** Copying back, as steps and gates ask of it; about the keys that this gateway owns. */
export interface ReverseControl {
  /** Undefined: this gateway copies nothing of this prefix back. */
  state(prefix: string): ReverseState | undefined;
  /** Resolves once everything was compared and copied; false: not within that time. */
  drained(prefix: string, waitMs: number): Promise<boolean>;
  sweep(prefix: string): Promise<SweepResult>;
  quarantined(prefix: string, after: string, limit: number): readonly Quarantined[];
  /** Overwrites these at the source with what is here. */
  keepHere(keys: readonly string[]): Promise<void>;
}

export interface ReverseState {
  readonly pending: number;
  readonly lagMs: number;
  readonly quarantined: number;
  readonly lost: boolean;
  readonly problem: string | undefined;
}

export interface ReversePart extends LivePart, ReverseControl {}

const drainPollMs = 10;

/** Keys that a migration has for itself at the source; those of rehearsals are keys like all others. */
export function isMachinery(key: string): boolean {
  return key.startsWith('_gw/') && !key.startsWith('_gw/rehearsal/');
}

/** From a cutover until `final`: what owners write here gets to the source, so that there is a way back. */
export function openReverse(context: PartContext): ReversePart {
  const { gateway, phases, settings, client, evidence } = context;
  const ledger = new Ledger(gateway);
  const running = new Map<string, ReverseRule>();
  const stops: (() => void)[] = [];
  let changing: Promise<void> = Promise.resolve();
  const { metrics } = gateway;
  const counters = {
    written: metrics.counter('reverse.written'),
    removed: metrics.counter('reverse.removed'),
    batches: metrics.counter('reverse.batches'),
    bypass: metrics.counter('reverse.bypass_writes'),
    lost: metrics.counter('reverse.source_lost'),
  };
  metrics.gauge('reverse.pending', () => sum([...running.values()].map((one) => stateOf(one).pending)));
  metrics.gauge('reverse.lag', () =>
    Math.max(0, ...[...running.values()].map(({ lagMs }) => (lagMs === Infinity ? -1 : lagMs))),
  );
  metrics.gauge('reverse.quarantined', () => ledger.quarantinedCount(''));

  const isMine = (key: string, prefix: string): boolean =>
    !isMachinery(key) && phases.ofKey(key)?.prefix === prefix && gateway.ownerOf(key) === gateway.nodeId;

  const open = (rule: PhaseRule): ReverseRule | undefined => {
    if (client === undefined) return undefined;
    const token = settings.source?.token ?? '';
    const one = new ReverseRule({
      ...{ gateway, rule, token, ledger },
      source: client,
      reader: readerOver(client, token, settings.source?.addresses[0] ?? ''),
      fences: new Fences(client, () => token),
      isOwn: (key) => isMine(key, rule.prefix),
      agreed: () => phases.source,
      isNamed: settings.sourceId !== undefined,
      keysMax: settings.reverseKeysMax,
      onBypass: (_key, why) => {
        counters.bypass();
        const where = JSON.stringify(rule.prefix);
        evidence.mark('bypass', `a key below ${where} was ${why} at the source, past the gateways`);
      },
      onLost: (why) => {
        counters.lost();
        evidence.mark('fork', `copying back ${rule.prefix}: ${why}`);
      },
      count: (what, by) => counters[what](by),
    });
    one.start();
    return one;
  };

  /** What is to run now, by the rules and by who owns what. */
  const align = async (): Promise<void> => {
    const wanted = new Map(
      phases.rules
        .filter((rule) => rule.of === 'kv' && copyingOf(rule.phase) === 'to-source' && owns(rule.prefix))
        .map((rule) => [rule.prefix, rule]),
    );
    for (const [prefix, one] of running) {
      const rule = wanted.get(prefix);
      if (rule !== undefined && rule.term === one.rule.term && rule.step === one.rule.step) continue;
      running.delete(prefix);
      // oxlint-disable-next-line no-await-in-loop -- few
      await one.stop();
      const held = ledger.baseline(prefix);
      if (held === undefined) continue;
      const phase = phases.rules.find((each) => each.of === 'kv' && each.prefix === prefix)?.phase;
      // oxlint-disable-next-line no-await-in-loop -- few
      if (phase === 'cutover') await ledger.write(keepBaseline(prefix, { ...held, over: true }));
      // oxlint-disable-next-line no-await-in-loop -- few
      else await ledger.forget(prefix, (key) => (phases.ofKey(key)?.prefix ?? prefix) === prefix);
    }
    for (const [prefix, rule] of wanted) {
      const one = running.has(prefix) ? undefined : open(rule);
      if (one !== undefined) running.set(prefix, one);
    }
  };

  /** Whether any key of a rule is this gateway's: its own zone, or one below. */
  const owns = (prefix: string): boolean => gateway.ownerOf(prefix) === gateway.nodeId;

  const realign = (): void => {
    changing = changing.then(align).catch((error: unknown) => {
      gateway.log.error({ why: String(error) }, 'copying back could not be begun or ended');
    });
  };

  const onCommit = (touched: ReadonlySet<string>): void => {
    if (touched.has('zones')) realign();
    if (running.size === 0) return;
    for (const topic of touched) {
      if (!topic.startsWith('k/')) continue;
      const key = topic.slice(2);
      const rule = phases.ofKey(key);
      const one = rule === undefined ? undefined : running.get(rule.prefix);
      if (one !== undefined && isMine(key, one.rule.prefix)) one.touched(key);
    }
  };

  return {
    start: () => {
      stops.push(gateway.onCommit(onCommit), phases.onChange(realign));
      realign();
    },
    stop: async () => {
      for (const stop of stops.splice(0)) stop();
      await changing;
      await Promise.all([...running.values()].map((one) => one.stop()));
      running.clear();
    },
    status: () => ({ rules: [...running.values()].map(({ facts }) => facts) }),
    state: (prefix) => {
      const one = running.get(prefix);
      return one === undefined
        ? undefined
        : { ...stateOf(one), quarantined: ledger.quarantinedCount(prefix) };
    },
    drained: async (prefix, waitMs) => {
      const dueMs = gateway.monoMs() + waitMs;
      for (;;) {
        if (running.get(prefix)?.drained === true) return true;
        if (gateway.monoMs() >= dueMs) return false;
        // oxlint-disable-next-line no-await-in-loop -- a poll
        await gateway.clock.sleep(drainPollMs);
      }
    },
    sweep: (prefix) => {
      const one = running.get(prefix);
      return one === undefined ? Promise.reject(new Error('nothing is copied back here')) : one.sweep();
    },
    quarantined: (prefix, after, limit) => {
      const found: Quarantined[] = [];
      for (const each of ledger.quarantined(prefix, after)) {
        if (found.length >= limit) break;
        found.push(each);
      }
      return found;
    },
    keepHere: async (keys) => {
      for (const key of keys) {
        const rule = phases.ofKey(key);
        const one = rule === undefined ? undefined : running.get(rule.prefix);
        if (one === undefined) throw new Error(`${JSON.stringify(key)} is not copied back by this gateway`);
        // oxlint-disable-next-line no-await-in-loop -- an operator's list
        await one.keepHere(key);
      }
    },
  };
}

function stateOf(one: ReverseRule): Omit<ReverseState, 'quarantined'> {
  const { pending } = one.facts as { readonly pending: number };
  return { pending, lagMs: one.lagMs, ...one.trouble };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
