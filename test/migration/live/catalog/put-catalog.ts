import { catalogRoutes } from '../../../../compat/routes/catalog.ts';
import type { LiveGateway } from '../../../support/live-gateway.ts';
import { apiRequest } from '../../../support/state.ts';

/** Serves a write of the catalog by the gateway's own route, so that those who follow its commits hear of it. */
export async function putCatalog(gateway: LiveGateway, path: string, body: object): Promise<unknown> {
  const route = catalogRoutes.find((each) => each.path === path);
  const result = route?.methods.PUT?.(apiRequest('PUT', path, body), gateway.state.context);
  if (result?.kind !== 'write') throw new Error(`${path}: ${JSON.stringify(result)}`);
  const outcome = await gateway.propose(result.command);
  if (outcome.kind === 'refused') throw new Error(outcome.message);
  return outcome;
}
