import type { ApiRequest, Method, RouteResult } from '../wire/http.ts';
import type { EnterpriseParameters } from '../wire/read-options.ts';
import type { RouteContext } from './context.ts';

export type Handler = (request: ApiRequest, context: RouteContext) => RouteResult;

/**
 * How an endpoint compares with Consul's; docs/compatibility.md is made from this.
 * - `same`: as Consul; - `differs`: works, with the difference that `note` names;
 * - `refused`: never (design, section 10); - `later`: not built yet. Both answer with a clear line.
 */
export type RouteState = 'same' | 'differs' | 'refused' | 'later';

export interface Route {
  /** Exact (`/v1/txn`), or a prefix when it ends in a slash (`/v1/kv/`). */
  readonly path: string;
  readonly methods: Readonly<Partial<Record<Method, Handler>>>;
  /**
   * Which of Consul's common parameters are checked before the handler runs:
   * `read`: dc, ns, partition, stale, consistent, cached, max_stale, index, wait; `dc`: dc, ns, partition; `none`.
   */
  readonly common: 'read' | 'dc' | 'none';
  /** Of those, what becomes of ns and partition, which are Enterprise's; refused by default. */
  readonly enterprise?: EnterpriseParameters;
  /** `?cached` may be answered from Consul's agent cache, so that the answer says whether it was kept (X-Cache). */
  readonly cached?: boolean;
  /** Carries load: answered without Express. */
  readonly hot?: boolean;
  /** Largest body in bytes; a default applies. */
  readonly bodyBytesMax?: (context: RouteContext) => number;
  /** The key of Consul's configuration that sets it: the refusal of a larger one names it. */
  readonly bodySetting?: 'kv_max_value_size' | 'txn_max_req_len';
  /** The body is handed over as it comes, however long it is. */
  readonly streamsBody?: boolean;
  /** What is not read is an order to the fleet: not taken from pages of another origin (compat/http/browser-orders.ts). */
  readonly orders?: boolean;
  readonly state: RouteState;
  readonly note?: string;
}
