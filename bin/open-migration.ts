import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode, encode } from '@msgpack/msgpack';
import type { Metrics } from '../compat/agent/metrics.ts';
import type { MigrationConfig } from '../compat/config/agent-config.ts';
import { isLive } from '../compat/fleet/members.ts';
import { systemClock } from '../migration/clock.ts';
import { openMigrator, type Migrator } from '../migration/live/migrator.ts';
import type { GatewayPort, PartLog, PartMetrics } from '../migration/live/gateway-port.ts';
import type { LiveSettings } from '../migration/live/ports.ts';
import { parseAddress, type TlsSettings } from '../migration/source/address.ts';
import type { OriginId } from '../src/crdt/dot.ts';
import { contiguousHead } from '../src/crdt/seq-ranges.ts';
import type { Log } from '../src/io/logging.ts';
import { StartProblem } from '../src/kernel/start-problem.ts';
import type { Replica } from '../src/node/replica.ts';
import type { GatewayFacts, RouteContext } from '../compat/routes/context.ts';
import { routeTable } from '../compat/routes/table.ts';
import { evidenceFile } from '../migration/live/shadow/evidence-file.ts';
import { zoneOf } from '../src/state/zones.ts';
import type { Fleet } from './open-fleet.ts';

export interface MigrationParts {
  readonly settings: LiveSettings;
  readonly gateway: GatewayFacts;
  readonly replica: Replica;
  readonly fleet: Fleet;
  readonly metrics: Metrics;
  readonly log: Log;
  /** What routes are called with; undefined while the gateway is not put together yet. */
  readonly routeContext: () => RouteContext | undefined;
  /** Undefined: the state is in memory, and so is evidence. */
  readonly dataDir: string | undefined;
}

export interface Migration {
  readonly migrator: Migrator;
  /** For `Fleet.serve`: what the migrations of other gateways ask. */
  serve(body: Uint8Array, from: string): Promise<Uint8Array>;
}

/** A call's body is bounded by its schema; this bounds what is made of it. */
const decodeBounds = {
  maxStrLength: 16 * 1024 * 1024,
  maxBinLength: 16 * 1024 * 1024,
  maxArrayLength: 1_000_000,
  maxMapLength: 100_000,
  maxExtLength: 0,
};

/** How often a wait for another gateway's log looks, beside at each commit. */
const seenPollMs = 50;

type Handler = (body: unknown, from: string) => Promise<unknown>;

/**
 * The migration of this gateway: what it asks of the gateway is made of the gateway's parts. Nothing runs yet.
 */
export function openMigration(parts: MigrationParts): Migration {
  const handlers = new Map<string, Handler>();
  const migrator = openMigrator(gatewayPort(parts, handlers), parts.settings, {
    routes: routeTable,
    routeContext: parts.routeContext,
    store: parts.dataDir === undefined ? undefined : evidenceFile(join(parts.dataDir, 'evidence.json')),
    version: parts.gateway.version,
  });
  return {
    migrator,
    serve: async (body, from) => {
      const call: unknown = decode(body, decodeBounds);
      if (!isCall(call)) throw new Error('malformed call');
      const handler = handlers.get(call.topic);
      if (handler === undefined)
        throw new Error(`it does not know ${JSON.stringify(call.topic.slice(0, 64))}`);
      return encode((await handler(call.body, from)) ?? null);
    },
  };
}

function isCall(call: unknown): call is { readonly topic: string; readonly body: unknown } {
  return typeof call === 'object' && call !== null && 'topic' in call && typeof call.topic === 'string';
}

function gatewayPort(parts: MigrationParts, handlers: Map<string, Handler>): GatewayPort {
  const { gateway, replica, fleet } = parts;
  const { loop, port } = fleet;
  const log = parts.log.child({ name: 'agent.migration' });
  const idOf = (nodeName: string): string | undefined =>
    port.members('lan').find(({ facts }) => facts.name === nodeName)?.facts.id;
  return {
    nodeId: gateway.nodeId,
    nodeName: gateway.nodeName,
    datacenter: gateway.datacenter,
    view: replica.view,
    propose: (command) => new Promise((resolve) => loop.propose(command, resolve)),
    onCommit: (listener) => loop.onCommit(listener),
    gateways: () =>
      port
        .members('lan')
        .filter(({ state, leaving }) => state !== 'left' && !leaving)
        .map((member) => ({
          nodeId: member.facts.id,
          nodeName: member.facts.name,
          region: member.facts.region,
          alive: isLive(member),
        })),
    onGatewaysChanged: (listener) => port.onMembersChanged(listener),
    call: async (nodeName, topic, body, waitMs) => {
      if (nodeName === gateway.nodeName) {
        const handler = handlers.get(topic);
        if (handler === undefined) throw new Error(`nobody serves ${topic}`);
        return handler(body, gateway.nodeId);
      }
      const id = idOf(nodeName);
      if (id === undefined) throw new Error(`${nodeName} is no gateway of this fleet`);
      const result = await port.call(id, 'migration', encode({ topic, body }), waitMs);
      if (!result.ok) throw new Error(`${nodeName}: ${result.error}`);
      return decode(result.body, decodeBounds);
    },
    serve: (topic, handler) => {
      if (handlers.has(topic)) throw new Error(`two parts serve ${topic}`);
      handlers.set(topic, handler);
    },
    ownerOf: (prefix) => zoneOf(replica.zones, prefix)?.ownerId,
    ownHead: () => ({ origin: replica.origin, seq: replica.headSeq }),
    untilSeen: (origin, seq, waitMs) => untilSeen(parts, origin as OriginId, seq, waitMs),
    backlog: () => {
      const now = { wallUs: Date.now() * 1000, monoMs: performance.now() };
      const { unacked, queues } = fleet.machine.replication.needs(now);
      return {
        messages: unacked.messages + queues.write.messages,
        bytes: unacked.bytes + queues.write.bytes,
      };
    },
    clock: systemClock,
    monoMs: () => performance.now(),
    random: Math.random,
    log: partLog(log),
    metrics: partMetrics(parts.metrics),
  };
}

/** Polls beside the commits: a place in a log may be reached by a dot that leaves nothing behind. */
function untilSeen(
  { replica, fleet }: MigrationParts,
  origin: OriginId,
  seq: number,
  waitMs: number,
): Promise<void> {
  const reached = (): boolean => {
    if (origin === replica.origin) return replica.headSeq >= seq;
    const log = replica.originLog(origin);
    return log !== undefined && contiguousHead(log.seen) >= seq;
  };
  if (reached()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const dueMs = performance.now() + waitMs;
    const stop = fleet.loop.onCommit(() => look());
    const timer = setInterval(() => look(), seenPollMs);
    const look = (): void => {
      const isReached = reached();
      if (!isReached && performance.now() < dueMs) return;
      clearInterval(timer);
      stop();
      if (isReached) resolve();
      else reject(new Error(`the log ${origin} did not get here up to ${seq} within ${waitMs} ms`));
    };
  });
}

function partLog(log: Log): PartLog {
  return {
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    debug: (fields, message) => log.debug(fields, message),
  };
}

function partMetrics(metrics: Metrics): PartMetrics {
  return {
    counter: (name, labels) => {
      const counter = metrics.counter(`grapevine.migration.${name}`, labels);
      return (by) => counter.add(by);
    },
    gauge: (name, read, labels) => metrics.gauge(`grapevine.migration.${name}`, read, labels),
    histogram: (name, labels) => {
      const timings = metrics.timings(`grapevine.migration.${name}`, labels);
      return (value) => timings.observe(value);
    },
  };
}

/**
 * What the configuration says of the migration, with the files that it names.
 * @throws StartProblem when one cannot be read
 */
export function migrationSettings(config: MigrationConfig): LiveSettings {
  const { sources, requestsPerSecondMax, connectionsMax, timeoutMs } = config;
  for (const address of sources) {
    const parsed = parseAddress(address);
    if (!parsed.ok) throw new StartProblem(`migration.source: ${parsed.error}`);
  }
  const { sourceId, holdMsMax, lagMsMax, reverseKeysMax, reportWindowMs } = config;
  const { shadowPercent, shadowRequestsPerSecondMax } = config;
  return {
    ...{ sourceId, holdMsMax, lagMsMax, reverseKeysMax, reportWindowMs },
    ...{ shadowPercent, shadowRequestsPerSecondMax },
    source:
      sources.length === 0
        ? undefined
        : {
            ...{ addresses: sources, requestsPerSecondMax, connectionsMax, timeoutMs },
            token:
              config.tokenFile === undefined ? config.token : fileText('token_file', config.tokenFile).trim(),
            tls: tlsOf(config),
          },
  };
}

function tlsOf(config: MigrationConfig): TlsSettings {
  const { caFile, certFile, keyFile, tlsServerName, tlsSkipVerify } = config;
  return {
    ...(caFile === undefined ? {} : { ca: fileText('ca_file', caFile) }),
    ...(certFile === undefined ? {} : { cert: fileText('cert_file', certFile) }),
    ...(keyFile === undefined ? {} : { key: fileText('key_file', keyFile) }),
    ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
    ...(tlsSkipVerify ? { rejectUnauthorized: false } : {}),
  };
}

function fileText(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartProblem(`migration.${key}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
