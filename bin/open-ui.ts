import { join } from 'node:path';
import type { RequestHandler } from 'express';
import type { AgentConfig } from '../compat/config/agent-config.ts';
import { createUi, type UiOptions } from '../compat/http/ui.ts';
import type { RouteContext } from '../compat/routes/context.ts';
import { packageDirectory } from './cli/package-version.ts';

export interface UiParts extends Pick<UiOptions, 'mayWrite' | 'onDefect'> {
  readonly config: AgentConfig;
  readonly context: RouteContext;
}

/** The pages, where there is something to be shown: a source is configured, or the UI is asked for. */
export async function openUi(parts: UiParts): Promise<readonly RequestHandler[]> {
  const { config, context, mayWrite, onDefect } = parts;
  const { ui, migration, http } = config;
  const directory = packageDirectory();
  if (directory === undefined || (!ui.enabled && migration.sources.length === 0)) return [];
  return [
    createUi({
      ...{ mayWrite, onDefect },
      base: ui.contentPath,
      directory: join(directory, 'ui'),
      nodeName: context.gateway.nodeName,
      pageHosts: migration.pageHosts,
      blockEndpoints: http.blockEndpoints,
      responseHeaders: http.responseHeaders,
      report: () => report(context),
    }),
  ];
}

/** The present report as the report's own page. */
async function report({
  migration,
}: RouteContext): Promise<{ readonly status: number; readonly body: string }> {
  if (migration === undefined) return { status: 404, body: 'no migration runs in this gateway' };
  const { status, body } = await migration.ask('report', {});
  if (status !== 200) return { status, body: typeof body === 'string' ? body : JSON.stringify(body) };
  const [{ parseReport }, { reportHtml }] = await Promise.all([
    import('../migration/report/read.ts'),
    import('../migration/report/html/report-html.ts'),
  ]);
  const read = parseReport(typeof body === 'string' ? body : JSON.stringify(body));
  return read.ok ? { status: 200, body: reportHtml(read.value) } : { status: 500, body: read.error };
}
