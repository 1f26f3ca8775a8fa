import type { Passed, PassedReply } from '../../../compat/http/interceptor.ts';
import type { ApiRequest } from '../../../compat/wire/http.ts';
import { GoFields } from '../../../compat/wire/go-json.ts';
import { decodeJsonBody } from '../../../compat/wire/json-body.ts';
import { authorityOf, isDual, readerOf } from '../../../src/state/migration.ts';
import type { PartContext } from '../ports.ts';
import type { SourceClient } from '../proxy/source-client.ts';
import { upstreamRequest } from '../proxy/upstream-request.ts';
import { readSourceNode, recordsOf, removalsOf } from './relay-node.ts';

/** What routes ask about nodes, services and checks while they move. */
export interface CatalogStrategy {
  /** Of `/v1/catalog/*`, `/v1/health/*` and `/v1/coordinate/*`. Undefined: this gateway answers by its own routes. */
  intercept(request: ApiRequest): Passed | undefined;
}

const writes = /^\/v1\/catalog\/(register|deregister)$/;

/** An answer does not wait longer than this for what it did to be here, too: the copying brings it anyway. */
const relayMsMax = 250;

/** One rule is about all of the catalog: who answers a request follows from its phase alone. */
export function openCatalogGate(context: PartContext, client: SourceClient): CatalogStrategy {
  const { phases } = context;
  const pass = (request: ApiRequest, signal: AbortSignal): Promise<PassedReply> =>
    client.pass(upstreamRequest(request, client.highWater), signal);
  return {
    intercept: (request) => {
      const phase = phases.catalog?.phase;
      if (phase === undefined) return undefined;
      const isWrite = request.method === 'PUT' && writes.test(request.path);
      const gone = new AbortController();
      const cancel = (): void => gone.abort();
      if (!isWrite) {
        const asksSource = phase === 'local-reads' && request.query.has('consistent');
        if (readerOf(phase) === 'here' && !asksSource) return undefined;
        return { kind: 'passed', reply: pass(request, gone.signal), cancel };
      }
      if (authorityOf(phase) === 'here') return undefined;
      const write = async (): Promise<PassedReply> => {
        const reply = await pass(request, gone.signal);
        if (reply.status === 200 && isDual(phase)) await inTime(context, relay(context, client, request));
        return reply;
      };
      return { kind: 'passed', reply: write(), cancel };
    },
  };
}

/** Brings here what the source holds of a node that a client just changed there. */
async function relay(context: PartContext, client: SourceClient, request: ApiRequest): Promise<void> {
  const { gateway, phases, settings } = context;
  const parsed = decodeJsonBody(request.body);
  if (!parsed.ok || phases.source === undefined) return;
  const fields = new GoFields(parsed.value, 'Request');
  const node = fields.string('Node');
  const gatewayNodes = new Set(gateway.gateways().map(({ nodeName }) => nodeName.toLowerCase()));
  if (node === '' || gatewayNodes.has(node.toLowerCase())) return;
  const found = await readSourceNode(client, settings.source?.token ?? '', node);
  if (found === undefined) return;
  const removed = { node, serviceId: fields.string('ServiceID'), checkId: fields.string('CheckID') };
  const records = [
    ...recordsOf(node, found, { gatewayNodes }),
    ...(request.path.endsWith('/deregister') ? removalsOf(gateway.view, removed, found) : []),
  ];
  if (records.length === 0) return;
  const { id: source, timeline } = phases.source;
  await gateway.propose({ kind: 'mirror-apply', source, timeline, records, cursors: {} });
}

/** The source has it: whatever happens here is no trouble of the client's. */
async function inTime(context: PartContext, work: Promise<void>): Promise<void> {
  const { gateway } = context;
  const over = new AbortController();
  const safe = work.catch((error: unknown) =>
    gateway.log.warn(
      { why: String(error) },
      'a change of the catalog was not relayed: the copying will bring it',
    ),
  );
  await Promise.race([safe, gateway.clock.sleep(relayMsMax, over.signal)]);
  over.abort();
}
