import type { RouteContext } from '../../../compat/routes/context.ts';
import type { Route } from '../../../compat/routes/route.ts';
import { failure, type ApiRequest, type RouteResult } from '../../../compat/wire/http.ts';
import type { Command } from '../../../src/state/command.ts';

/** As this gateway's own route answers. */
export function handle(request: ApiRequest, route: Route, context: RouteContext): RouteResult {
  const handler = route.methods[request.method];
  return handler === undefined
    ? failure(405, `method ${request.method} not allowed`)
    : handler(request, context);
}

/** The sessions that a write takes locks with. */
export function lockingSessions(command: Command): readonly string[] {
  if (command.kind === 'kv-put') return command.mode.kind === 'acquire' ? [command.mode.session] : [];
  if (command.kind !== 'txn') return [];
  return command.ops.flatMap((op) => (op.kind === 'kv' && op.verb === 'lock' ? [op.session] : []));
}
