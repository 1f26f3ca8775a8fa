import { renderLogJson, renderLogText, type LogLevel } from '../../src/kernel/log-line.ts';
import { failure, json, type ApiRequest, type RouteResult } from '../wire/http.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

/** GET /v1/agent/metrics?format=prometheus */
function metrics({ query }: ApiRequest, { agent }: RouteContext): RouteResult {
  if (query.get('format') !== 'prometheus') return json(agent.metrics.snapshot(), query.has('pretty'));
  const rendered = agent.metrics.prometheus();
  if (rendered === undefined) {
    return failure(415, 'Prometheus is not enabled since its retention time is not positive');
  }
  return {
    kind: 'later',
    reply: rendered.then(({ contentType, body }) => ({ kind: 'reply', status: 200, body, contentType })),
  };
}

const levels: Readonly<Record<string, LogLevel>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERR: 'error',
  ERROR: 'error',
};

/** GET /v1/agent/monitor?loglevel=…&logjson: the log from now on, until the client goes away. */
function monitor({ query }: ApiRequest, { agent }: RouteContext): RouteResult {
  const asked = query.get('loglevel');
  const level = asked === '' ? 'info' : levels[asked.toUpperCase()];
  if (level === undefined) return failure(400, `Unknown log level: ${asked}`);
  const render = query.has('logjson') ? renderLogJson : renderLogText;
  return {
    kind: 'stream',
    contentType: 'text/plain; charset=utf-8',
    start: (sink) => agent.logs.subscribe(level, (line) => sink(`${render(line)}\n`)),
  };
}

function metricsStream(): RouteResult {
  return failure(501, 'The stream of metrics is not built yet; read /v1/agent/metrics every ten seconds');
}

export const agentObserveRoutes: readonly Route[] = [
  {
    path: '/v1/agent/metrics',
    methods: { GET: metrics },
    common: 'none',
    state: 'differs',
    note: "In Consul's two forms, JSON and Prometheus; the metrics are this gateway's own.",
  },
  {
    path: '/v1/agent/metrics/stream',
    methods: { GET: metricsStream },
    common: 'none',
    state: 'later',
    note: 'Not built yet: 501; read /v1/agent/metrics every ten seconds instead.',
  },
  { path: '/v1/agent/monitor', methods: { GET: monitor }, common: 'none', state: 'same' },
];
