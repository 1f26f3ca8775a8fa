import { statSync } from 'node:fs';
import { join } from 'node:path';
import { intervalMs, type Metrics } from '../compat/agent/metrics.ts';
import type { HttpServer } from '../compat/http/server.ts';
import type { LiveQueries } from '../compat/watch/live-queries.ts';
import { databaseFile } from '../src/io/data-dir.ts';
import type { Replica } from '../src/node/replica.ts';
import type { DriveLoop } from '../src/runtime/drive-loop.ts';
import type { SessionTimers } from '../src/state/session-timers.ts';

export interface GatewayParts {
  readonly replica: Replica;
  readonly loop: DriveLoop;
  readonly live: LiveQueries;
  readonly timers: SessionTimers;
  readonly http: HttpServer;
  /** Where the database is; unset while state is in memory. */
  readonly dataDir: string | undefined;
}

/** Shows what the parts count themselves (docs/metrics.md), and ends the metrics' intervals until it is called off. */
export function startMetrics(metrics: Metrics, parts: GatewayParts): () => void {
  const { replica, loop, live, timers, http, dataDir } = parts;
  metrics.gauge('session_ttl.active', () => timers.size);
  metrics.gauge('grapevine.index', () => replica.highestIndex);
  metrics.gauge('grapevine.head_seq', () => replica.headSeq);
  metrics.gauge('grapevine.zones', () => replica.zones.length);
  metrics.follow('grapevine.commits', () => loop.stats.commits);
  metrics.follow('grapevine.commands', () => loop.stats.commands);
  metrics.gauge('grapevine.commands_per_commit', () => loop.stats.commands / Math.max(loop.stats.commits, 1));
  metrics.gauge('grapevine.queued_commands', () => loop.stats.queued);
  metrics.follow('grapevine.evaluations', () => live.stats.evaluations);
  metrics.gauge('grapevine.blocked_queries', () => live.stats.waiting);
  metrics.gauge('grapevine.kept_results', () => live.stats.entries);
  metrics.gauge('grapevine.kept_results_bytes', () => live.stats.memoBytes);
  metrics.gauge('grapevine.connections', () => http.connections);
  if (dataDir !== undefined) {
    const file = join(dataDir, databaseFile);
    metrics.gauge('grapevine.store_bytes', () => fileBytes(file) + fileBytes(`${file}-wal`));
  }
  const timer = setInterval(() => metrics.tick(), intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
