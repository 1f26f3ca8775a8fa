import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { AgentConfig } from '../compat/config/agent-config.ts';
import { Dispatcher } from '../compat/http/dispatcher.ts';
import { HttpServer } from '../compat/http/server.ts';
import type { GatewayFacts, RouteContext } from '../compat/routes/context.ts';
import { routeTable } from '../compat/routes/table.ts';
import { LiveQueries } from '../compat/watch/live-queries.ts';
import { wallClockUs } from '../src/io/clock.ts';
import { checkDatacenter, databaseFile, ensureDataDir, loadNodeId, loadOrigin } from '../src/io/data-dir.ts';
import type { Logging } from '../src/io/logging.ts';
import { fatalDatabaseError } from '../src/io/sqlite-open.ts';
import { SqliteStore } from '../src/io/sqlite-store.ts';
import { Replica } from '../src/node/replica.ts';
import { DriveLoop } from '../src/runtime/drive-loop.ts';

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
  /** Leaves and closes everything; what was acknowledged is on disk. */
  stop(): Promise<void>;
  /** Reads the services and checks of the configuration again. */
  reload(): Promise<void>;
}

/** Bytes of rendered results that are kept for the next to ask. Guess. */
const memoBytesMax = 16 * 1024 * 1024;

/** Composition root: makes the parts of one gateway and connects them. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, logging } = options;
  const log = logging.log.child({ name: 'agent' });
  const dataDir = config.stateInMemory ? undefined : config.dataDir;
  if (dataDir !== undefined) ensureDataDir(dataDir);
  const store = new SqliteStore({ file: dataDir === undefined ? ':memory:' : join(dataDir, databaseFile) });
  checkDatacenter(store, config.datacenter);
  const nodeId = loadNodeId(dataDir, config.nodeId);
  const replica = new Replica({ store, origin: loadOrigin(store), nodeId });
  if (config.bootstrap || config.devMode) store.transact(() => replica.found(wallClockUs()));
  const loop = new DriveLoop({
    replica,
    store,
    nowUs: wallClockUs,
    onFatal: (error) =>
      options.onFatal(fatalDatabaseError(error) ?? `the state machine failed: ${String(error)}`),
  });
  const live = new LiveQueries({ view: store, memoBytesMax });
  loop.onCommit((touched) => live.touch(touched));

  const context: RouteContext = {
    view: store,
    gateway: gatewayFacts(config, nodeId, options.version),
    limits: {
      kvValueBytesMax: config.limits.kvValueBytesMax,
      txnBytesMax: config.limits.txnBytesMax,
      txnOpsMax: 128,
    },
    nowMs: Date.now,
    newId: randomUUID,
  };
  const dispatcher = new Dispatcher({
    routes: routeTable,
    context,
    live,
    propose: (command, done) => loop.propose(command, done),
    highestIndex: () => replica.highestIndex,
    freshness: () => ({ knownLeader: replica.zones.length > 0, lastContactMs: 0 }),
    random: Math.random,
    responseHeaders: config.http.responseHeaders,
    blockEndpoints: config.http.blockEndpoints,
    mayWrite: () => true,
    onDefect: (error, path) =>
      log.error({ err: error, path, stack: (error as Error).stack ?? '' }, 'defect in a route'),
  });
  const http = new HttpServer({
    dispatcher,
    tail: async () => {
      const { createExpressApp } = await import('../compat/http/express-app.ts');
      return createExpressApp(dispatcher);
    },
    connectionsPerClientMax: config.limits.httpConnsPerClientMax,
    headerBytesMax: config.http.headerBytesMax,
  });
  for (const listener of config.httpListeners) {
    const port = await http.listen(
      listener.kind === 'tcp'
        ? listener
        : { kind: 'unix', path: listener.path, mode: config.unixSockets.mode?.toString(8) },
    );
    const address = listener.kind === 'tcp' ? `${listener.host}:${port}` : `unix://${listener.path}`;
    log.info({ address }, 'HTTP API is listening');
  }
  if (replica.zones.length === 0) {
    log.warn(
      'this datacenter was not founded: writes are refused. Start the first gateway with -bootstrap (or -dev)',
    );
  }

  return {
    stop: async () => {
      await http.close(1000);
      loop.stop();
      store.close();
    },
    reload: async () => {
      log.info('reloaded');
    },
  };
}

function gatewayFacts(config: AgentConfig, nodeId: string, version: string): GatewayFacts {
  return {
    nodeName: config.nodeName,
    nodeId,
    datacenter: config.datacenter,
    address: config.advertiseAddr,
    nodeMeta: config.nodeMeta,
    taggedAddresses: config.taggedAddresses,
    version,
    serverPort: config.ports.server,
  };
}
