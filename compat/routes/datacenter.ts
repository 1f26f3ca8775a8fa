import { failure, type ApiRequest } from '../wire/http.ts';
import type { RouteContext } from './context.ts';

/** The answer to what concerns another datacenter than this gateway's. */
export const noPath = failure(500, 'No path to datacenter');

/** Whether `?dc=` names another datacenter. Names of datacenters are in lower case, and compared as they are given. */
export function isForeign({ query }: ApiRequest, { gateway }: RouteContext): boolean {
  if (query.raw === '') return false;
  const dc = query.get('dc');
  return dc !== '' && dc !== gateway.datacenter;
}
