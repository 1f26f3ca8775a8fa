import type { BuiltAgent } from '../compat/agent/build-agent.ts';
import { countedRequests } from '../compat/agent/request-metrics.ts';
import type { AgentConfig, Listener } from '../compat/config/agent-config.ts';
import type { MachineFleet } from '../compat/fleet/machine-fleet.ts';
import { Dispatcher } from '../compat/http/dispatcher.ts';
import { HttpServer } from '../compat/http/server.ts';
import type { TlsOptions } from '../compat/http/tls.ts';
import { writeAccess } from '../compat/http/write-access.ts';
import type { Interceptor } from '../compat/http/interceptor.ts';
import type { RouteContext } from '../compat/routes/context.ts';
import { routeTable } from '../compat/routes/table.ts';
import type { LiveQueries } from '../compat/watch/live-queries.ts';
import { err, ok, type Result } from '../src/kernel/result.ts';
import type { Log, Logging } from '../src/io/logging.ts';
import type { Replica } from '../src/node/replica.ts';
import { openUi } from './open-ui.ts';
import { otherDatacenter } from './other-datacenter.ts';

export interface HttpParts {
  readonly config: AgentConfig;
  readonly context: RouteContext;
  readonly live: LiveQueries;
  readonly agent: BuiltAgent;
  readonly replica: Replica;
  readonly log: Log;
  readonly logging: Logging;
  readonly fleet: MachineFleet;
  readonly interceptor: Interceptor;
}

/** The HTTP API; it listens nowhere yet. */
export function openHttp(parts: HttpParts): HttpServer {
  const { config, context, live, agent, replica, log, logging, fleet, interceptor } = parts;
  const requests = logging.log.child({ name: 'agent.http' });
  const mayWrite = writeAccess(config.http.allowWriteHttpFrom);
  const onDefect = (error: unknown, path: string): void =>
    log.error({ err: error, path, stack: (error as Error).stack ?? '' }, 'defect in a route');
  const dispatcher = new Dispatcher({
    routes: routeTable,
    context,
    live,
    interceptor,
    propose: agent.propose,
    onRequest: countedRequests(agent.metrics, routeTable),
    highestIndex: () => replica.highestIndex,
    freshness: (scope) => fleet.freshness(scope),
    confirm: (scope) => fleet.confirm(scope),
    foreign: (datacenter) => otherDatacenter(fleet, datacenter),
    random: Math.random,
    responseHeaders: config.http.responseHeaders,
    blockEndpoints: config.http.blockEndpoints,
    mayWrite,
    pageHosts: config.migration.pageHosts,
    onDefect,
  });
  return new HttpServer({
    dispatcher,
    tail: async () => {
      const { createExpressApp } = await import('../compat/http/express-app.ts');
      const mounts = await openUi({ config, context, mayWrite, onDefect });
      return createExpressApp(dispatcher, mounts);
    },
    connectionsPerClientMax: config.limits.httpConnsPerClientMax,
    headerBytesMax: config.http.headerBytesMax,
    requestLog: {
      wanted: () => requests.isLevelEnabled('debug'),
      write: (facts) => requests.debug(facts, 'Request finished'),
    },
  });
}

export async function listen(http: HttpServer, config: AgentConfig, log: Log): Promise<void> {
  for (const listener of config.httpListeners) {
    log.info({ address: await open(http, listener, config) }, 'HTTP API is listening');
  }
  if (config.httpsListeners.length === 0) return;
  const tls = await tlsOf(config);
  for (const listener of config.httpsListeners) {
    log.info({ address: await open(http, listener, config, tls) }, 'HTTPS API is listening');
  }
}

/** Opens one listener and answers where it is. */
async function open(
  http: HttpServer,
  listener: Listener,
  { unixSockets }: AgentConfig,
  tls?: TlsOptions,
): Promise<string> {
  if (listener.kind === 'tcp') return `${listener.host}:${await http.listen(listener, tls)}`;
  await http.listen({ ...listener, ...unixSockets, mode: unixSockets.mode?.toString(8) }, tls);
  return `unix://${listener.path}`;
}

/** Certificates as they are on disk now, where HTTPS is served. */
export async function tlsOnReload(config: AgentConfig): Promise<Result<TlsOptions | undefined, string>> {
  if (config.httpsListeners.length === 0) return ok(undefined);
  try {
    return ok(await tlsOf(config));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

async function tlsOf(config: AgentConfig): Promise<TlsOptions> {
  const { readTls } = await import('../compat/http/tls.ts');
  return readTls(config.httpsTls, config.limits.httpsHandshakeMsMax);
}
