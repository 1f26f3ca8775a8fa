import { systemClock } from '../../../../migration/clock.ts';
import { ReplicaPhases } from '../../../../migration/live/control/phases.ts';
import type { GatewayMember, GatewayPort, SourceSettings } from '../../../../migration/live/gateway-port.ts';
import type { LiveSettings, PartContext } from '../../../../migration/live/ports.ts';
import { openTail, type Tail } from '../../../../migration/live/tail/tail.ts';
import type { TailLimits } from '../../../../migration/live/tail/limits.ts';
import type { LiveReader } from '../../../../migration/source/live-reader.ts';
import type { Command, CommandOutcome } from '../../../../src/state/command.ts';
import { Kind } from '../../../../src/state/kinds.ts';
import { migrationSource, phaseRules } from '../../../../src/state/migration-rules.ts';
import type { MigrationKind, Phase } from '../../../../src/state/migration.ts';
import { decodeKv } from '../../../../src/state/values.ts';
import { StateFixture } from '../../../support/state.ts';

export const fastLimits: Partial<TailLimits> = {
  ...{ hotMinMs: 1, coldPollMs: 30, tickMs: 10, canaryMs: 50, identityMs: 50, catalogMinMs: 5, waitMs: 2000 },
};

/** What survives a crash of the gateway: its database. */
export class Disk {
  readonly state = new StateFixture();
}

/** A gateway in memory with one tail. */
export class TailFixture {
  readonly state: StateFixture;
  readonly phases: ReplicaPhases;
  readonly marks: string[] = [];
  readonly commands: Command[] = [];
  readonly tail: Tail;
  members: GatewayMember[] = [{ nodeId: 'gateway-id', nodeName: 'gateway', region: '', alive: true }];
  isRunner = true;
  /** What other gateways have not acknowledged. */
  unacknowledged = { messages: 0, bytes: 0 };
  /** Called before each command is decided; what it throws is what the gateway does. */
  beforeCommand: (command: Command) => void = () => undefined;
  readonly #listeners = new Set<(touched: ReadonlySet<string>) => void>();
  readonly #runnerListeners = new Set<() => void>();

  constructor(
    reader: LiveReader | undefined,
    options: {
      readonly disk?: Disk;
      readonly limits?: Partial<TailLimits>;
      readonly source?: SourceSettings;
    } = {},
  ) {
    this.state = (options.disk ?? new Disk()).state;
    const { store } = this.state;
    this.phases = new ReplicaPhases(() => ({ rules: phaseRules(store), source: migrationSource(store) }));
    this.phases.becameKnown();
    const source: SourceSettings = options.source ?? {
      ...{
        addresses: ['fake'],
        token: '',
        tls: {},
        requestsPerSecondMax: 500,
        connectionsMax: 64,
        timeoutMs: 5000,
      },
    };
    const settings: LiveSettings = {
      ...{ source, sourceId: undefined, holdMsMax: 1, lagMsMax: 1, reverseKeysMax: 1 },
      ...{ shadowPercent: 0, shadowRequestsPerSecondMax: 1, reportWindowMs: 1 },
    };
    const context: Partial<PartContext> = {
      gateway: this.#gateway(),
      phases: this.phases,
      settings,
      runner: {
        isHereOf: this,
        get isHere(): boolean {
          return this.isHereOf.isRunner;
        },
        nodeName: 'gateway',
        onChange: (listener) => {
          this.#runnerListeners.add(listener);
          return () => this.#runnerListeners.delete(listener);
        },
      } as PartContext['runner'] & { isHereOf: TailFixture },
      hold: { held: () => undefined },
      evidence: {
        observed: () => undefined,
        acknowledged: () => undefined,
        mark: (what, detail) => this.marks.push(`${what}: ${detail}`),
      },
    };
    this.tail = openTail(context as PartContext, {
      limits: { ...fastLimits, ...options.limits },
      ...(reader === undefined ? {} : { openReader: () => reader }),
    });
  }

  step(of: MigrationKind, prefix: string, phase: Phase): CommandOutcome {
    const held = this.phases.at(of, prefix);
    return this.run({
      ...{ kind: 'migration-step', of, prefix, phase, expectStep: held?.step ?? 0 },
      ...{ reason: 'test', overridden: [], fences: [] },
    });
  }

  setRunner(isRunner: boolean): void {
    this.isRunner = isRunner;
    for (const listener of this.#runnerListeners) listener();
  }

  run(command: Command): CommandOutcome {
    const { outcome, touched } = this.state.step(command);
    if ([...touched].some((topic) => topic.startsWith('migration'))) this.phases.refresh();
    for (const listener of this.#listeners) listener(touched);
    return outcome;
  }

  /** Live keys and their values. */
  keys(prefix = ''): Record<string, string> {
    const found: Record<string, string> = {};
    for (const row of this.state.store.range(Kind.kv, prefix, undefined)) {
      if (row.value === null || !row.key.startsWith(prefix)) continue;
      found[row.key] = Buffer.from(decodeKv(row.value).value).toString();
    }
    return found;
  }

  get counts(): { copied: number; deleted: number } {
    const { rules } = this.tail.status() as { rules: { counts: { copied: number; deleted: number } }[] };
    return rules[0]?.counts ?? { copied: -1, deleted: -1 };
  }

  #gateway(): GatewayPort {
    const log = { info: () => undefined, warn: () => undefined, error: logError, debug: () => undefined };
    const port: Partial<GatewayPort> = {
      ...{ nodeId: 'gateway-id', nodeName: 'gateway', datacenter: 'dc1', view: this.state.store },
      propose: async (command) => {
        await new Promise<void>((resolve) => setImmediate(resolve));
        this.beforeCommand(command);
        this.commands.push(command);
        return this.run(command);
      },
      onCommit: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      gateways: () => this.members,
      backlog: () => this.unacknowledged,
      ...{ clock: systemClock, monoMs: () => performance.now(), random: Math.random, log },
      metrics: { counter: () => () => undefined, gauge: () => undefined, histogram: () => () => undefined },
    };
    return port as GatewayPort;
  }
}

function logError(fields: object, message: string): void {
  if ('err' in fields) console.error(message, fields.err);
}

/** Waits until something holds; fails with what `shown` says. */
export async function until(
  isSo: () => boolean,
  shown: () => unknown = () => '',
  msMax = 20_000,
): Promise<void> {
  const endMs = performance.now() + msMax;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`waited in vain: ${JSON.stringify(shown())}`);
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
}
