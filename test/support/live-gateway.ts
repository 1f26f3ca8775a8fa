import { systemClock } from '../../migration/clock.ts';
import type { GatewayMember, GatewayPort, SourceSettings } from '../../migration/live/gateway-port.ts';
import type { LiveSettings, PartContext, Phases } from '../../migration/live/ports.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { MigrationKind, Phase, PhaseRule } from '../../src/state/migration.ts';
import { StateFixture } from './state.ts';

/** A rule as tests need it: what they do not say is as at its first step. */
export function ruleOf(
  of: MigrationKind,
  prefix: string,
  phase: Phase,
  more: Partial<PhaseRule> = {},
): PhaseRule {
  const decided = { sinceMs: 0, byNode: 'gateway-id', reason: '', overridden: [], history: [] };
  return { of, prefix, phase, step: 1, term: 1, ...decided, ...more };
}

/** Rules that a test sets. */
export class FakePhases implements Phases {
  readonly known = true;
  readonly source = { id: 'dc1:test', timeline: 0 };
  #rules: readonly PhaseRule[];
  readonly #listeners = new Set<() => void>();

  constructor(...rules: readonly PhaseRule[]) {
    this.#rules = rules;
  }

  get rules(): readonly PhaseRule[] {
    return this.#rules;
  }

  get catalog(): PhaseRule | undefined {
    return this.#rules.find((rule) => rule.of === 'catalog');
  }

  set(...rules: readonly PhaseRule[]): void {
    this.#rules = rules;
    for (const listener of this.#listeners) listener();
  }

  ofKey(key: string): PhaseRule | undefined {
    return this.#rules
      .filter((rule) => rule.of === 'kv' && key.startsWith(rule.prefix))
      .toSorted((a, b) => b.prefix.length - a.prefix.length)[0];
  }

  under(prefix: string): readonly PhaseRule[] {
    const own = this.ofKey(prefix);
    const below = this.#rules.filter(
      (rule) => rule.of === 'kv' && rule !== own && rule.prefix.startsWith(prefix),
    );
    return own === undefined ? below : [own, ...below];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** One gateway on a memory store, as the parts of a migration see it: no processes, no network of its own. */
export class LiveGateway implements GatewayPort {
  readonly state = new StateFixture();
  readonly nodeId = 'gateway-id';
  readonly nodeName = 'gateway';
  readonly datacenter = 'dc1';
  readonly view = this.state.store;
  readonly clock = systemClock;
  readonly monoMs = (): number => performance.now();
  readonly random = (): number => 0.5;
  /** Messages of warnings and errors. */
  readonly complaints: string[] = [];
  readonly log = {
    info: () => {},
    debug: () => {},
    warn: (_: object, message: string) => void this.complaints.push(message),
    error: (_: object, message: string) => void this.complaints.push(message),
  };
  readonly metrics = { counter: () => () => {}, gauge: () => {}, histogram: () => () => {} };
  readonly #listeners = new Set<(touched: ReadonlySet<string>) => void>();
  readonly #handlers = new Map<string, (body: unknown, from: string) => Promise<unknown>>();

  propose(command: Command): Promise<CommandOutcome> {
    const { outcome, touched } = this.state.step(command);
    for (const listener of this.#listeners) listener(touched);
    return Promise.resolve(outcome);
  }

  onCommit(listener: (touched: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  gateways(): readonly GatewayMember[] {
    return [{ nodeId: this.nodeId, nodeName: this.nodeName, region: '', alive: true }];
  }

  onGatewaysChanged(): () => void {
    return () => {};
  }

  async call(nodeName: string, topic: string, body: unknown): Promise<unknown> {
    const handler = this.#handlers.get(topic);
    if (nodeName !== this.nodeName || handler === undefined) throw new Error(`no gateway ${nodeName}`);
    return handler(body, this.nodeName);
  }

  serve(topic: string, handler: (body: unknown, from: string) => Promise<unknown>): void {
    this.#handlers.set(topic, handler);
  }

  ownerOf(): string {
    return this.nodeId;
  }

  ownHead(): { readonly origin: string; readonly seq: number } {
    return { origin: '0123456789abcdef0123456789abcdef', seq: this.state.replica.headSeq };
  }

  untilSeen(): Promise<void> {
    return Promise.resolve();
  }
}

export function sourceSettings(address: string, more: Partial<SourceSettings> = {}): SourceSettings {
  const limits = { requestsPerSecondMax: 10_000, connectionsMax: 64, timeoutMs: 10_000 };
  return { addresses: [address], token: '', tls: {}, ...limits, ...more };
}

/** What a part is made with, of a gateway that runs the migration alone. */
export function partContext(
  gateway: GatewayPort,
  phases: Phases,
  source: SourceSettings,
  settings: Partial<LiveSettings> = {},
): PartContext {
  const limits = { holdMsMax: 2000, lagMsMax: 1000, reverseKeysMax: 100_000, reportWindowMs: 86_400_000 };
  const shadow = { shadowPercent: 100, shadowRequestsPerSecondMax: 10_000 };
  return {
    ...{ gateway, phases, client: undefined },
    settings: { source, sourceId: undefined, ...limits, ...shadow, ...settings },
    runner: { isHere: true, nodeName: gateway.nodeName, onChange: () => () => {} },
    hold: { held: () => undefined },
    evidence: { observed: () => {}, acknowledged: () => {}, mark: () => {} },
  };
}
