import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { buildAgent, type BuiltAgent } from '../compat/agent/build-agent.ts';
import type { AgentOutcome } from '../compat/agent/port.ts';
import type { AgentConfig } from '../compat/config/agent-config.ts';
import { loadAgentConfig } from '../compat/config/load-config.ts';
import { renderProblems } from '../compat/config/problems.ts';
import { keysForRestart } from '../compat/config/reload.ts';
import { EventLog, eventsTopic } from '../compat/events/event-log.ts';
import { serveForeign } from '../compat/http/foreign.ts';
import type { GatewayFacts, RouteContext } from '../compat/routes/context.ts';
import { Snapshots } from '../compat/snapshot/snapshots.ts';
import { LiveQueries } from '../compat/watch/live-queries.ts';
import { isLive } from '../compat/fleet/members.ts';
import type { DnsServer } from '../compat/dns/server.ts';
import { parseGoDuration } from '../compat/wire/go-duration.ts';
import { canonicalCatalogValue } from '../migration/canonical.ts';
import { digestCatalog, digestKv } from '../migration/digest.ts';
import { instant, wallClockUs } from '../src/io/clock.ts';
import { rememberLeaving } from '../src/io/members-meta.ts';
import type { Log, Logging } from '../src/io/logging.ts';
import { fatalDatabaseError } from '../src/io/sqlite-open.ts';
import { SqliteStore } from '../src/io/sqlite-store.ts';
import { startHousekeeping } from '../src/runtime/housekeeping.ts';
import { SessionExpiry } from '../src/runtime/session-expiry.ts';
import { SessionTimers } from '../src/state/session-timers.ts';
import { startMetrics } from './gateway-metrics.ts';
import { joinFleet } from './join-fleet.ts';
import { listen, openHttp, tlsOnReload } from './open-http.ts';
import { openState, ownershipWarning, snapshotDirectory, watchDatabase } from './open-state.ts';
import { openDns } from './open-dns.ts';
import { catalogOfOther } from './other-datacenter.ts';
import { openFleet, type Fleet } from './open-fleet.ts';
import { migrationSettings, openMigration } from './open-migration.ts';
import { renewElsewhere } from './renew-elsewhere.ts';

export interface GatewayOptions {
  readonly config: AgentConfig;
  readonly logging: Logging;
  readonly version: string;
  /** The process must stop: the reason says why and what to do. */
  readonly onFatal: (reason: string) => void;
  /** Somebody asked for a graceful stop over HTTP. */
  readonly onLeave: () => void;
}

export interface Gateway {
  /** Closes everything, with `leaving` after a goodbye to the other gateways; what was acknowledged is on disk. */
  stop(leaving: boolean): Promise<void>;
  /** Reads the services and checks of the configuration again. */
  reload(): Promise<AgentOutcome>;
}

/** Bytes of rendered results that are kept for the next to ask. Guess. */
const memoBytesMax = 8 * 1024 * 1024;

/** Answers that are under way when a stop begins get this long. */
const stopGraceMs = 1000;

/** Composition root: makes the parts of one gateway and connects them. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { logging } = options;
  let config = options.config;
  const log = logging.log.child({ name: 'agent' });
  const settingsOfMigration = migrationSettings(config.migration);
  const { store, replica, nodeId } = openState(config);
  const gateway = gatewayFacts(() => config, nodeId, options.version);
  const defect = (error: unknown): void =>
    log.error({ err: error, stack: (error as Error).stack ?? '' }, 'defect after a commit');
  const fleet = await openFleet({
    ...{ config, gateway, store, replica, log },
    onFatal: (error) =>
      options.onFatal(fatalDatabaseError(error) ?? `the state machine failed: ${String(error)}`),
    onRefused: options.onFatal,
    onDefect: defect,
  }).catch((error: unknown) => {
    store.close();
    throw error;
  });
  const { loop, machine } = fleet;
  if (config.bootstrap || config.devMode) {
    store.transact(() => {
      machine.found(randomBytes(8).toString('hex'), instant());
      machine.endBatch(instant());
    });
  }
  const live = new LiveQueries({ view: store, memoBytesMax });
  loop.onCommit((touched) => live.touch(touched));

  const timers = new SessionTimers({ ttlMsOf, isOwn: (row) => replica.isOwnRow(row) });
  const sessionExpiry = new SessionExpiry({ timers, loop, view: store, nowMs: Date.now });

  let dns: DnsServer | undefined;
  const reload = async (): Promise<AgentOutcome> => {
    const failed = (message: string): AgentOutcome => {
      log.error(`reload failed, the running configuration stays: ${message}`);
      return { kind: 'refused', status: 500, message };
    };
    const loaded = await loadAgentConfig(config.loadOptions);
    if (!loaded.ok) return failed(renderProblems(loaded.error.problems));
    const before = config;
    const next = reloaded(before, loaded.value);
    const tls = await tlsOnReload(next);
    if (!tls.ok) return failed(tls.error);
    config = next;
    const outcome = await agent.local.reload(next);
    if (outcome.kind === 'refused') {
      config = before;
      return failed(outcome.message);
    }
    logging.level = next.log.level;
    dns?.reconfigure(next.dns);
    http.connectionsPerClientMax = next.limits.httpConnsPerClientMax;
    if (tls.value !== undefined) http.renewTls(tls.value);
    const waiting = keysForRestart(options.config.given, loaded.value.given, loaded.value.ignoredKeys);
    if (waiting.length > 0) log.warn({ keys: waiting.join(', ') }, 'these keys are taken at a restart only');
    log.info('configuration reloaded');
    return outcome;
  };
  const agent: BuiltAgent = buildAgent({
    config: () => config,
    gateway,
    view: store,
    propose: (command, done) => loop.propose(command, done),
    onCommit: (listener) => loop.onCommit(listener),
    log: agentLog(log),
    logs: logging,
    control: { leave: options.onLeave, reload },
    nowMs: Date.now,
    fleet: fleet.port,
    grapevine: () => ({
      index: replica.highestIndex,
      head_seq: replica.headSeq,
      zones: replica.zones.length,
      ...loop.stats,
      blocked_queries: live.stats.waiting,
      kept_results: live.stats.entries,
    }),
  });
  const renewals = agent.metrics.counter('session.renew');
  const events = new EventLog({
    here: () => ({ nodeName: gateway.nodeName, services: [...agent.local.services().values()] }),
    tell: (event) => fleet.port.tellEvent(event),
    onChange: () => live.touch([eventsTopic]),
  });

  const migration = openMigration({
    ...{ settings: settingsOfMigration, gateway, replica, fleet, log },
    metrics: agent.metrics,
    routeContext: () => context,
    dataDir: config.stateInMemory ? undefined : config.dataDir,
  });
  const { migrator } = migration;
  const context: RouteContext = {
    view: store,
    gateway,
    limits: {
      kvValueBytesMax: config.limits.kvValueBytesMax,
      txnBytesMax: config.limits.txnBytesMax,
      txnOpsMax: 128,
      sessionTtlMsMin: config.sessionTtlMsMin,
      waits: { defaultMs: config.http.waitMsDefault, maxMs: config.http.waitMsMax },
    },
    nowMs: Date.now,
    newId: randomUUID,
    freshness: (scope) => fleet.port.freshness(scope),
    sessions: {
      renew: (id) => {
        renewals.add();
        return timers.renew(id, Date.now()) || renewElsewhere(fleet, store, id);
      },
    },
    events,
    snapshots: new Snapshots({
      backup: (file) => store.backup(file),
      directory: snapshotDirectory(config),
      gateway,
      highestIndex: () => replica.highestIndex,
      propose: agent.propose,
      nowMs: Date.now,
    }),
    mirrorDigest: {
      kv: digestKv,
      catalog: (kind, entry) => digestCatalog(kind, canonicalCatalogValue(kind, entry)),
    },
    agent: agent.port,
    migration: migrator.port,
  };
  const http = openHttp({
    config,
    context,
    live,
    agent,
    replica,
    log,
    logging,
    fleet: fleet.port,
    interceptor: migrator.interceptor,
  });
  const stopMetrics = startMetrics(agent.metrics, {
    ...{ replica, loop, live, timers, http },
    dataDir: config.stateInMemory ? undefined : config.dataDir,
  });
  // A gateway that had peers logs nothing before it has heard from one of them.
  loop.start();
  try {
    // First of all, so that no registration meets an agent that has not read what it holds.
    await agent.start();
    migrator.start();
    await listen(http, config, log);
    dns = await openDns({
      config,
      view: store,
      loop,
      freshness: (scope) => fleet.port.freshness(scope),
      remote: (datacenter) =>
        datacenter === config.datacenter
          ? migrator.catalogElsewhere()
          : catalogOfOther(fleet.port, datacenter),
      log,
    });
  } catch (error) {
    stopMetrics();
    await agent.stop();
    await http.close(0);
    await migrator.stop();
    loop.stop();
    await fleet.close();
    store.close();
    throw error;
  }
  fleet.serve({
    onEvent: (event) => events.receive(event),
    renewSession: (id) => timers.renew(id, Date.now()),
    http: (body) => serveForeign(body, http.serve),
    migration: (body, from) => migration.serve(body, from),
  });
  const stopJoining = joinFleet({ config, gateway, fleet, store, log, onExhausted: options.onFatal });
  sessionExpiry.start();
  const stopHousekeeping = startHousekeeping({
    loop,
    nowUs: wallClockUs,
    stableStamp: () => machine.stableStamp(instant()),
    tombstoneMs: 15 * 60_000,
    intervalMs: 60_000,
    ...watchDatabase(config, options.onFatal),
  });
  const unfounded = ownershipWarning({
    ...{ config, store, replica, nodeId },
    alone: machine.swim.members().length === 1,
  });
  if (unfounded !== undefined) log.warn(unfounded);

  return {
    reload,
    stop: async (leaving) => {
      stopJoining();
      if (leaving) await sayGoodbye(fleet, store, config);
      stopMetrics();
      stopHousekeeping();
      sessionExpiry.stop();
      await dns?.close();
      await agent.stop();
      await http.close(stopGraceMs);
      await migrator.stop();
      loop.stop();
      await fleet.close();
      store.close();
    },
  };
}

/** Others hear that this gateway goes, and clients have a while to find another one: it still serves meanwhile. */
async function sayGoodbye(fleet: Fleet, store: SqliteStore, config: AgentConfig): Promise<void> {
  const alone = fleet.port.members('lan').filter(isLive).length <= 1;
  await fleet.port.leave();
  store.transact(() => rememberLeaving(store, true));
  if (!alone) await delay(config.leave.drainMs);
}

/**
 * The running configuration with what a reload may change (`reloadableKeys`), and the certificates: those are read
 * again from the files that they were read from.
 */
function reloaded(running: AgentConfig, read: AgentConfig): AgentConfig {
  return {
    ...running,
    nodeMeta: read.nodeMeta,
    services: read.services,
    checkDefinitions: read.checkDefinitions,
    checks: { ...running.checks, discardOutput: read.checks.discardOutput },
    log: { ...running.log, level: read.log.level },
    limits: { ...running.limits, httpConnsPerClientMax: read.limits.httpConnsPerClientMax },
    telemetry: {
      ...running.telemetry,
      filterDefault: read.telemetry.filterDefault,
      allowedPrefixes: read.telemetry.allowedPrefixes,
      blockedPrefixes: read.telemetry.blockedPrefixes,
    },
  };
}

function ttlMsOf(ttl: string): number {
  const parsed = parseGoDuration(ttl === '' ? '0' : ttl);
  return parsed.ok ? parsed.value / 1e6 : 0;
}

function agentLog(log: Log): Parameters<typeof buildAgent>[0]['log'] {
  return {
    info: (message, fields = {}) => log.info(fields, message),
    warn: (message, fields = {}) => log.warn(fields, message),
    error: (message, fields = {}) => log.error(fields, message),
  };
}

function gatewayFacts(current: () => AgentConfig, nodeId: string, version: string): GatewayFacts {
  const config = current();
  return {
    nodeName: config.nodeName,
    nodeId,
    datacenter: config.datacenter,
    address: config.advertiseAddr,
    // A reload may change it.
    get nodeMeta() {
      return current().nodeMeta;
    },
    taggedAddresses: config.taggedAddresses,
    version,
    serverPort: config.ports.server,
  };
}
