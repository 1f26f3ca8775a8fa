import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GoFields, parseJson, renderJson, type JsonValue } from '../../compat/wire/go-json.ts';
import type { MemoryTarget } from '../../migration/target/memory-target.ts';
import { batchBytesMax, recordsPerBatchMax, type MirrorRecord } from '../../migration/target/target.ts';
import type { MirrorKind } from '../../migration/mirror/registers.ts';

export type MirrorServer = {
  readonly url: string;
  readonly server: Server;
  readonly stop: () => Promise<void>;
};

/** The gateway's mirror endpoints over a target in memory: the contract, and nothing else. */
export async function startMirrorServer(target: MemoryTarget): Promise<MirrorServer> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const answer = await handle(target, request.method ?? '', request.url ?? '', Buffer.concat(chunks));
    const body = typeof answer.body === 'string' ? answer.body : renderJson(answer.body);
    response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, stop };
}

async function handle(
  target: MemoryTarget,
  method: string,
  path: string,
  body: Buffer,
): Promise<{ status: number; body: unknown }> {
  const url = new URL(path, 'http://gateway');
  const query = (name: string): string => url.searchParams.get(name) ?? '';
  switch (`${method} ${url.pathname}`) {
    case 'GET /v1/grapevine/mirror/state': {
      const state = await target.state(query('source'));
      const { source, timeline, cursors, gatewayNode, datacenter } = state;
      const shown = { Source: source, Timeline: timeline, Cursors: cursors, GatewayNode: gatewayNode };
      return { status: 200, body: { ...shown, Datacenter: datacenter } };
    }
    case 'GET /v1/grapevine/mirror/held': {
      const page = await target.held({
        source: query('source'),
        kind: query('kind') as MirrorKind,
        prefix: query('prefix'),
        after: query('after'),
        limit: Number(query('limit')),
      });
      const entries = page.entries.map((entry) => ({
        Key: entry.key,
        Term: entry.term,
        Timeline: entry.timeline,
        Stamp: entry.stamp,
        Deleted: entry.deleted,
        Digest: entry.digest,
      }));
      return { status: 200, body: { Entries: entries, More: page.more } };
    }
    case 'POST /v1/grapevine/mirror/apply':
      return apply(target, body);
    default:
      return { status: 404, body: '' };
  }
}

async function apply(target: MemoryTarget, body: Buffer): Promise<{ status: number; body: unknown }> {
  if (body.length > batchBytesMax) return { status: 413, body: 'too large' };
  const json = parseJson(body.toString('utf8'));
  if (!json.ok) return { status: 400, body: json.error };
  const fields = new GoFields(json.value, 'apply');
  const records = fields.array('Records').map(decodeRecord);
  if (records.length > recordsPerBatchMax) return { status: 400, body: 'too many records' };
  const outcome = await target.apply({
    source: fields.string('Source'),
    timeline: fields.int('Timeline'),
    records,
    cursors: fields.stringMap('Cursors'),
  });
  if (fields.problem !== undefined) return { status: 400, body: fields.problem };
  const { applied, unchanged, older } = outcome;
  return {
    status: 200,
    body: { Applied: applied, Unchanged: unchanged, Older: older, Refused: [], Conflicts: [] },
  };
}

function decodeRecord(json: JsonValue): MirrorRecord {
  const fields = new GoFields(json, 'record');
  const kind = fields.string('Kind') as MirrorKind;
  const [key, stamp] = [fields.string('Key'), fields.int('Stamp')];
  if (fields.bool('Deleted')) return { kind, key, stamp, deleted: true };
  const created = fields.int('Created');
  if (kind === 'kv') {
    const value = Buffer.from(fields.string('Value'), 'base64');
    return { kind, key, stamp, created, value, flags: fields.uint64('Flags') };
  }
  return { kind, key, stamp, created, value: fields.raw('Value') as Record<string, JsonValue> };
}
