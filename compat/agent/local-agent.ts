import { StartProblem } from '../../src/kernel/start-problem.ts';
import type { CommitListener } from '../../src/runtime/drive-loop.ts';
import { getNode, type CatalogCommand } from '../../src/state/catalog.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import { coordinateOrigin } from '../../src/state/coordinates.ts';
import type { LocalCommand } from '../../src/state/local.ts';
import type { ReadView } from '../../src/state/store.ts';
import { sourceTimelineOfOwn } from '../../src/state/own-node.ts';
import { topic } from '../../src/state/topics.ts';
import type { CheckValue, NodeValue, ServiceValue } from '../../src/state/values.ts';
import { sameDefinition, type CheckDefinition } from '../checks/definition.ts';
import { systemPorts, type RunnerPorts } from '../checks/ports.ts';
import type { ReapDue } from '../checks/reap.ts';
import { CheckRunner, type CheckRunnerOptions, type CheckUpdate } from '../checks/runner.ts';
import type { CheckStatus } from '../checks/thresholds.ts';
import type { GatewayFacts } from '../routes/context.ts';
import { notOwnedText } from '../wire/refusal.ts';
import { catalogAliases } from './alias-source.ts';
import { catalogDiff, deregisterCommand, registerCommand } from './catalog-diff.ts';
import { readDefinitions, type DefinitionsConfig } from './definitions.ts';
import { maintenanceCheck, maintenanceId, type HeldCheck } from './held.ts';
import { Holdings } from './holdings.ts';
import { ownNode, serverService, serverServiceId } from './own-node.ts';
import type { AgentOutcome, LocalPort } from './port.ts';
import { checkDelete, checkPut, serviceDelete, servicePut } from './registers.ts';
import type { CheckRegistration, ServiceRegistration } from './registration.ts';
import { missingService, reservedId, unknownCheck, unknownService } from './texts.ts';

export interface AgentLog {
  info(message: string, fields?: Readonly<Record<string, string>>): void;
  warn(message: string, fields?: Readonly<Record<string, string>>): void;
  error(message: string, fields?: Readonly<Record<string, string>>): void;
}

export interface LocalAgentOptions {
  readonly gateway: GatewayFacts;
  readonly view: ReadView;
  readonly propose: (command: Command, done: (outcome: CommandOutcome) => void) => void;
  readonly onCommit: (listener: CommitListener) => () => void;
  readonly config: DefinitionsConfig;
  /** Give the own node a coordinate (not `disable_coordinates`). */
  readonly coordinates: boolean;
  /** The gateway says goodbye: whoever takes its node out of the catalog is right. */
  readonly leaving?: () => boolean;
  readonly log: AgentLog;
  /** Time and chance; the system's by default. */
  readonly ports?: RunnerPorts;
  /** What runs the checks' probes, where tests put their own. */
  readonly probes?: NonNullable<CheckRunnerOptions['probes']>;
}

/** How often the catalog of the own node is compared with what the agent holds (Consul's anti-entropy). */
export const syncIntervalMs = 60_000;

const done: AgentOutcome = { kind: 'done' };

/**
 * The services and checks of this gateway's own agent. What is held here is the truth about the gateway's own node:
 * a change is held at once, and one command makes it durable and publishes it. The catalog is brought back to it
 * every minute, whoever wrote there meanwhile.
 */
export class LocalAgent implements LocalPort {
  readonly #options: LocalAgentOptions;
  readonly #ports: RunnerPorts;
  #node: NodeValue;
  readonly #held: Holdings;
  readonly #runner: CheckRunner;
  readonly #checkListeners = new Set<() => void>();
  readonly #serviceListeners = new Set<() => void>();
  #cancelSync: () => void = () => undefined;
  #endWatch: () => void = () => undefined;
  /** What the latest update from within a beat waits for. */
  #publishing: Promise<AgentOutcome> | undefined;

  constructor(options: LocalAgentOptions) {
    this.#options = options;
    this.#ports = options.ports ?? systemPorts;
    this.#node = ownNode(options.gateway);
    const { checks } = options.config;
    this.#held = new Holdings(options.view, this.#node.node, (checkId) => this.#runner.shown(checkId));
    this.#runner = new CheckRunner({
      onUpdate: (update) => this.#onUpdate(update),
      onServicesDue: (due) => this.#reap(due),
      aliases: catalogAliases({
        view: options.view,
        onCommit: options.onCommit,
        isOwnNode: (node) => node === '' || node.toLowerCase() === this.#node.node.toLowerCase(),
        ownChecks: () => this.checks().values(),
        hasOwnService: (id) => id === serverServiceId || this.#held.services.has(id),
        onOwnChange: (listener) => {
          this.#checkListeners.add(listener);
          return () => this.#checkListeners.delete(listener);
        },
      }),
      ports: this.#ports,
      ...(options.probes === undefined ? {} : { probes: options.probes }),
      scripts: checks.enableScriptChecks || checks.enableLocalScriptChecks,
      outputBytesMax: checks.outputBytesMax,
      updateIntervalMs: checks.updateIntervalMs,
      discardOutput: checks.discardOutput,
    });
  }

  get remoteScripts(): boolean {
    return this.#options.config.checks.enableScriptChecks;
  }

  /**
   * Takes what the store and the configuration know, publishes the node with it, and lets the checks run. Rejects
   * with a StartProblem when the configuration's definitions are wrong or the node cannot be registered.
   */
  async start(): Promise<void> {
    const definitions = readDefinitions(this.#options.config);
    if (!definitions.ok) throw new StartProblem(definitions.error);
    const orphans = this.#held.load(definitions.value);
    const problem = this.#held.missingService(definitions.value);
    if (problem !== undefined) throw new StartProblem(problem);
    for (const { register, why } of orphans) {
      this.#options.log.warn('A stored check was dropped', { check: register.key, why });
    }
    const { deletes } = this.#held.applyDefinitions(definitions.value);
    this.#held.adoptTags();
    const outcome = await this.#propose(
      [],
      [...orphans.map(({ register }) => register), ...deletes],
      this.#diff(),
    );
    if (outcome.kind === 'refused') {
      throw new StartProblem(`This node cannot be registered: ${outcome.message}`);
    }
    this.#alignRunner();
    this.#armSync();
    this.#endWatch = this.#options.onCommit((touched) => this.#onCommit(touched));
  }

  /** Stops the checks; what is registered stays. Resolves when no check holds anything any more. */
  async stop(): Promise<void> {
    this.#cancelSync();
    this.#endWatch();
    for (const listener of this.#serviceListeners) listener();
    await this.#runner.stopAll();
  }

  /**
   * Takes what may change while it runs of a configuration that was read again, and the node's metadata; refused whole
   * when a definition is wrong. Whether scripts may run stays as it was at the start, as in Consul.
   */
  async reload(config: DefinitionsConfig): Promise<AgentOutcome> {
    const { enableScriptChecks, enableLocalScriptChecks } = this.#options.config.checks;
    const definitions = readDefinitions({
      ...config,
      checks: { ...config.checks, enableScriptChecks, enableLocalScriptChecks },
    });
    if (!definitions.ok) return { kind: 'refused', status: 500, message: definitions.error };
    const problem = this.#held.missingService(definitions.value);
    if (problem !== undefined) return { kind: 'refused', status: 500, message: problem };
    this.#node = ownNode(this.#options.gateway);
    this.#runner.discardOutput = config.checks.discardOutput;
    const { deletes, droppedChecks } = this.#held.applyDefinitions(definitions.value);
    this.#stopChecks(droppedChecks);
    this.#alignRunner();
    this.#changed();
    return this.#propose([], deletes, this.#diff());
  }

  services(): ReadonlyMap<string, ServiceValue> {
    return new Map(this.#held.services.sorted().map(([id, { value }]) => [id, value]));
  }

  checks(): ReadonlyMap<string, CheckValue> {
    return new Map(this.#held.checks.sorted().map(([id, check]) => [id, this.#held.shownValue(check)]));
  }

  registerService({ service, checks, replaceChecks }: ServiceRegistration): Promise<AgentOutcome> {
    if (service.id.toLowerCase() === serverServiceId) return refuse(400, reservedId('service', service.id));
    const reserved = checks.find(({ checkId }) => isReservedCheck(checkId));
    if (reserved !== undefined) return refuse(400, reservedId('check', reserved.checkId));
    const dropped = this.#replacedChecks(service.id, checks, replaceChecks);
    for (const id of dropped) this.#held.checks.delete(id);
    this.#stopChecks(dropped);
    const value: ServiceValue = { ...service, node: this.#node.node };
    this.#held.services.set(service.id, { value, source: 'api' });
    const held = checks.map((definition) => this.#holdCheck(definition));
    const outcome = this.#propose([servicePut(value), ...held.map(checkPut)], dropped.map(checkDelete), [
      ...dropped.map((id) => deregisterCommand(this.#node.node, '', id)),
      // All of its checks: they carry its name and tags.
      registerCommand(
        this.#node,
        value,
        this.#held.checksOf(service.id).map(([, check]) => this.#held.publishedValue(check)),
      ),
    ]);
    for (const check of held) this.#run(check);
    this.#changed();
    return this.#logged(outcome, 'Synced service', { service: service.id });
  }

  deregisterService(id: string): Promise<AgentOutcome> {
    if (!this.#held.services.has(id)) return refuse(404, unknownService(id));
    const checks = this.#held.dropService(id);
    this.#stopChecks(checks);
    this.#changed();
    const outcome = this.#propose(
      [],
      [serviceDelete(id), ...checks.map(checkDelete)],
      [deregisterCommand(this.#node.node, id, '')],
    );
    return this.#logged(outcome, 'Deregistered service', { service: id });
  }

  registerCheck({ check }: CheckRegistration): Promise<AgentOutcome> {
    if (isReservedCheck(check.checkId)) return refuse(400, reservedId('check', check.checkId));
    if (check.serviceId !== '' && !this.#held.services.has(check.serviceId)) {
      return refuse(500, missingService(check.serviceId));
    }
    return this.#addCheck(this.#holdCheck(check));
  }

  deregisterCheck(id: string): Promise<AgentOutcome> {
    if (!this.#held.checks.has(id)) return refuse(404, unknownCheck(id));
    this.#runner.stop(id);
    this.#held.checks.delete(id);
    this.#changed();
    const outcome = this.#propose([], [checkDelete(id)], [deregisterCommand(this.#node.node, '', id)]);
    return this.#logged(outcome, 'Deregistered check', { check: id });
  }

  updateCheck(id: string, status: CheckStatus, output: string): Promise<AgentOutcome> {
    if (!this.#held.checks.has(id)) return refuse(404, unknownCheck(id));
    this.#publishing = undefined;
    const beat = this.#runner.beat(id, status, output);
    if (!beat.ok) return refuse(500, beat.error);
    return this.#publishing ?? Promise.resolve(done);
  }

  setMaintenance(serviceId: string | undefined, reason: string): Promise<AgentOutcome> {
    if (serviceId !== undefined && !this.#held.services.has(serviceId)) {
      return refuse(404, unknownService(serviceId));
    }
    if (this.#held.checks.has(maintenanceId(serviceId))) return Promise.resolve(done);
    const check = maintenanceCheck(serviceId, reason);
    this.#held.checks.set(check.definition.checkId, check);
    this.#options.log.info(`${serviceId === undefined ? 'Node' : 'Service'} entered maintenance mode`, {
      ...(serviceId === undefined ? {} : { service: serviceId }),
    });
    return this.#addCheck(check);
  }

  clearMaintenance(serviceId: string | undefined): Promise<AgentOutcome> {
    if (serviceId !== undefined && !this.#held.services.has(serviceId)) {
      return refuse(404, unknownService(serviceId));
    }
    const id = maintenanceId(serviceId);
    if (!this.#held.checks.has(id)) return Promise.resolve(done);
    this.#options.log.info(`${serviceId === undefined ? 'Node' : 'Service'} left maintenance mode`, {
      ...(serviceId === undefined ? {} : { service: serviceId }),
    });
    return this.deregisterCheck(id);
  }

  async servicesChanged(waitMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return;
    let wake = (): void => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#serviceListeners.add(wake);
    const cancel = this.#ports.setTimer(waitMs, wake);
    signal?.addEventListener('abort', wake, { once: true });
    await woken;
    signal?.removeEventListener('abort', wake);
    cancel();
    this.#serviceListeners.delete(wake);
  }

  /** Compares the catalog of the own node with what is held here, and puts right what differs. */
  async sync(): Promise<AgentOutcome> {
    if (this.#options.leaving?.() === true) return done;
    this.#held.adoptTags();
    const commands = this.#diff();
    if (commands.length > 0)
      this.#options.log.info('Catalog of this node put right', { changes: String(commands.length) });
    return this.#propose([], [], commands);
  }

  /** How many checks there are of each way to run, for `consul info`. */
  counts(): {
    readonly services: number;
    readonly checks: number;
    readonly ttls: number;
    readonly monitors: number;
  } {
    const running = [...this.#held.checks.entries()].filter(([, { maintenance }]) => !maintenance);
    const ttls = running.filter(([, { definition }]) => definition.ttlNs > 0).length;
    const scripts = running.filter(([, { definition }]) => definition.args.length > 0).length;
    return { services: this.#held.services.size, checks: this.#held.checks.size, ttls, monitors: scripts };
  }

  #armSync(): void {
    this.#cancelSync = this.#ports.setTimer(syncIntervalMs, () => {
      this.#armSync();
      void this.sync();
    });
  }

  /**
   * Who deregisters a node with everything on it may not know that this one runs, nor who copies an agent of Consul that
   * had its name: it comes back at once.
   */
  #onCommit(touched: ReadonlySet<string>): void {
    if (!touched.has(topic.node(this.#node.node))) return;
    const held = getNode(this.#options.view, this.#node.node);
    if (held === undefined || sourceTimelineOfOwn(held) !== undefined) void this.sync();
  }

  #diff(): readonly CatalogCommand[] {
    return catalogDiff(this.#options.view, {
      node: this.#node,
      services: [serverService(this.#options.gateway), ...this.#held.serviceValues()],
      checks: this.#held.checks.sorted().map(([, check]) => this.#held.publishedValue(check)),
      coordinate: this.#options.coordinates ? coordinateOrigin : undefined,
    });
  }

  #alignRunner(): void {
    for (const [id, check] of this.#held.checks.entries()) {
      const running = this.#runner.definition(id);
      if (running === undefined || !sameDefinition(running, check.definition)) this.#run(check);
    }
  }

  #run({ definition, maintenance, published }: HeldCheck): void {
    if (!maintenance) this.#runner.replace(definition.checkId, definition, published);
  }

  /** Checks that go when a service is registered: those of another spelling of its id, or those not given again. */
  #replacedChecks(
    serviceId: string,
    given: readonly CheckDefinition[],
    replaceChecks: boolean,
  ): readonly string[] {
    const respelled = this.#held.services.otherSpelling(serviceId);
    if (respelled !== undefined) return this.#held.checksOf(respelled).map(([id]) => id);
    if (!replaceChecks) return [];
    const kept = new Set(given.map(({ checkId }) => checkId));
    return this.#held.checksOf(serviceId).flatMap(([id]) => (kept.has(id) ? [] : [id]));
  }

  #holdCheck(definition: CheckDefinition): HeldCheck {
    const respelled = this.#held.checks.otherSpelling(definition.checkId);
    if (respelled !== undefined) this.#runner.stop(respelled);
    return this.#held.holdCheck(definition, 'api');
  }

  #addCheck(check: HeldCheck): Promise<AgentOutcome> {
    const outcome = this.#propose(
      [checkPut(check)],
      [],
      [registerCommand(this.#node, undefined, [this.#held.publishedValue(check)])],
    );
    this.#run(check);
    this.#changed();
    return this.#logged(outcome, 'Synced check', { check: check.definition.checkId });
  }

  #stopChecks(ids: readonly string[]): void {
    for (const id of ids) this.#runner.stop(id);
  }

  #onUpdate({ checkId, status, output, statusChanged, publish }: CheckUpdate): void {
    const check = this.#held.checks.get(checkId);
    if (check === undefined) return;
    if (statusChanged && status === 'critical')
      this.#options.log.warn('Check is now critical', { check: checkId });
    if (publish) {
      const published = { ...check, published: { status, output } };
      this.#held.checks.set(checkId, published);
      this.#publishing = this.#propose(
        [],
        [],
        [registerCommand(this.#node, undefined, [this.#held.publishedValue(published)])],
      );
    }
    for (const listener of this.#checkListeners) listener();
  }

  #reap(due: readonly ReapDue[]): void {
    for (const { serviceId, checkId, criticalMs } of due) {
      this.#options.log.info('Deregistered service that was critical for too long', {
        service: serviceId,
        check: checkId,
        critical_seconds: String(Math.round(criticalMs / 1000)),
      });
      void this.deregisterService(serviceId);
    }
  }

  #changed(): void {
    for (const listener of [...this.#serviceListeners]) listener();
    for (const listener of this.#checkListeners) listener();
  }

  async #logged(
    outcome: Promise<AgentOutcome>,
    message: string,
    fields: Readonly<Record<string, string>>,
  ): Promise<AgentOutcome> {
    const settled = await outcome;
    if (settled.kind === 'done') this.#options.log.info(message, fields);
    return settled;
  }

  /** One command for the registers and the catalog together; resolves when it is durable, or refused. */
  #propose(
    puts: LocalCommand['puts'],
    deletes: LocalCommand['deletes'],
    catalog: readonly CatalogCommand[],
  ): Promise<AgentOutcome> {
    if (puts.length === 0 && deletes.length === 0 && catalog.length === 0) return Promise.resolve(done);
    const { log } = this.#options;
    return new Promise((resolve) => {
      this.#options.propose({ kind: 'local', puts, deletes, catalog }, (outcome) => {
        if (outcome.kind !== 'refused' && outcome.kind !== 'not-owned') {
          resolve(done);
          return;
        }
        const message = outcome.kind === 'refused' ? outcome.message : notOwnedText(outcome);
        // What is held stays; the next comparison with the catalog tries again.
        log.error('A change of this agent was not published', { error: message });
        resolve({ kind: 'refused', status: 500, message });
      });
    });
  }
}

function refuse(status: 400 | 404 | 500, message: string): Promise<AgentOutcome> {
  return Promise.resolve({ kind: 'refused', status, message });
}

function isReservedCheck(checkId: string): boolean {
  return checkId.toLowerCase() === 'serfhealth';
}
