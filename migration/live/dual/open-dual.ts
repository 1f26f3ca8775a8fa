import type { Interceptor } from '../../../compat/http/interceptor.ts';
import type { MigrationKind } from '../../../src/state/migration.ts';
import type { DualControl, LivePart, PartContext } from '../ports.ts';
import { PhaseInterceptor, type Strategies } from '../route/interceptor.ts';
import { catalogName, concerns } from '../route/open-writes.ts';
import { OwnWrites } from '../bypass/own-writes.ts';
import { CasIndexes } from './cas-index.ts';
import { DualWriter } from './dual-writer.ts';
import { Fences } from './fence.ts';
import { KeyLocks } from './key-locks.ts';
import { Leases } from './leases.ts';
import { nameOfKey, OpenKeys } from './open-keys.ts';
import { Repairer } from './repairer.ts';
import { SourceServers } from './source-servers.ts';

/** Who answers a request, and writes that go to both sides. */
export interface DualPart extends LivePart, DualControl {
  readonly interceptor: Interceptor;
  /** What it wrote at the source. */
  readonly own: OwnWrites;
  /** Whether a write of the key is under way, or what became of one is still to be looked up. */
  isOpen(key: string): boolean;
  /** Resolves when no write is under way, and what the source took is stored here. */
  settled(): Promise<void>;
}

/** Writes of one key that may wait for each other. Guess. */
const waitingMax = 256;
/** Keys that may wait to be looked up. Guess. */
const repairsMax = 100_000;
/** How long a client waits for what the source has taken to be stored here as well. */
const storeMsMax = 250;

/** The part of one gateway. Without a source it refuses what is the source's to answer. */
export function openDual(context: PartContext, strategies: Strategies = {}): DualPart {
  const { gateway, phases, client, settings, evidence } = context;
  const keys = new OpenKeys(gateway, repairsMax);
  const locks = new KeyLocks(waitingMax);
  const token = (): string => settings.source?.token ?? '';
  const own = new OwnWrites(gateway.monoMs);
  const casIndexes = new CasIndexes(gateway, phases);
  const agreed = (): string => JSON.stringify([phases.source?.id, phases.source?.timeline]);
  const servers = client === undefined ? undefined : new SourceServers(client, token, agreed);
  const fences = client === undefined ? undefined : new Fences(client, token, servers);
  const repairer =
    client === undefined
      ? undefined
      : new Repairer({ gateway, phases, source: client, token, keys, locks, own });
  const dual =
    client === undefined || fences === undefined || repairer === undefined
      ? undefined
      : new DualWriter({
          ...{
            gateway,
            phases,
            source: client,
            fences,
            keys,
            locks,
            repairer,
            leases: new Leases(client, token, fences, gateway.monoMs),
            casIndexes,
            evidence,
            own,
          },
          storeMsMax,
        });
  const interceptor = new PhaseInterceptor(context, dual, strategies);
  const { metrics } = gateway;
  metrics.gauge('dual.open', () => keys.intentCount);
  metrics.gauge('dual.repairs', () => keys.repairs.size);
  metrics.gauge('dual.repairs_oldest', () => keys.oldestMs(''));
  metrics.gauge('dual.repairs_dropped', () => keys.dropped);
  let stopIndexes = (): void => undefined;

  return {
    interceptor,
    own,
    isOpen: (key) => keys.isOpen(key),
    settled: async () => dual?.settled(),
    start: () => {
      keys.load();
      stopIndexes = casIndexes.start();
      interceptor.start();
      repairer?.start();
    },
    stop: async () => {
      interceptor.stop();
      await repairer?.stop();
      await dual?.settled();
      stopIndexes();
    },
    status: () => ({
      open: keys.intentCount,
      repairs: keys.repairs.size,
      repairsOldestMs: keys.oldestMs(''),
      repairsDropped: keys.dropped,
      repairProblem: repairer?.problem ?? null,
      waitingAtSource: interceptor.waiting,
      source: client?.status ?? null,
    }),
    open: (of: MigrationKind, prefix: string) => {
      if (of !== 'kv') return interceptor.writes.of(catalogName);
      // What was answered already, and is not stored yet.
      let late = 0;
      for (const name of keys.intents) {
        if (!interceptor.writes.has(name) && concerns(name, prefix)) late += 1;
      }
      return interceptor.writes.below(prefix) + late;
    },
    repairs: (prefix) => {
      let count = 0;
      for (const name of keys.repairs.keys()) if (concerns(name, prefix)) count += 1;
      return { keys: count, oldestMs: keys.oldestMs(prefix) };
    },
    repair: (wanted) => keys.queue(wanted.map(nameOfKey), 'asked'),
    older: (of, prefix, step) => interceptor.older(of, prefix, step),
    fence: async (prefix, term, waitMs) => {
      if (fences === undefined) throw new Error('this gateway has no source configured');
      const late = new AbortController();
      const outcome = await Promise.race([
        fences.set({ prefix, term }),
        gateway.clock.sleep(waitMs, late.signal).then(() => undefined),
      ]);
      late.abort();
      if (outcome === undefined)
        throw new Error(`the fence of ${JSON.stringify(prefix)} was not set in time`);
      if (outcome.kind === 'stale') {
        throw new Error(`the fence of ${JSON.stringify(prefix)} has term ${outcome.term} already`);
      }
      if (outcome.kind === 'trouble') throw new Error(outcome.why);
    },
    usedEndpoints: () => interceptor.usedEndpoints(),
  };
}
