import { Readable } from 'node:stream';
import type { PassedReply } from '../../../compat/http/interceptor.ts';
import { failure, type Reply, type RouteResult } from '../../../compat/wire/http.ts';
import type { ReadView } from '../../../src/state/store.ts';
import { ownReply } from '../proxy/replies.ts';

/** Of a gateway that is to pass a request on, and knows no source. */
export function noSource(what: string): Reply {
  return failure(
    500,
    `No cluster leader: ${what} is answered by the source Consul in this phase of the migration, and this gateway ` +
      `has none configured (migration.source)`,
  );
}

/** As an answer of this gateway's own; its connection's headers are left out. */
export async function replyOf(passed: PassedReply): Promise<Reply> {
  const headers: Record<string, string> = {};
  let contentType: string | undefined;
  for (let at = 0; at + 1 < passed.headers.length; at += 2) {
    const name = passed.headers[at] as string;
    const value = passed.headers[at + 1] as string;
    const lower = name.toLowerCase();
    if (lower === 'content-type') contentType = value;
    else if (!notCopied.has(lower)) headers[name] = value;
  }
  const body = passed.body instanceof Uint8Array ? passed.body : await bytesOf(passed.body);
  return { kind: 'reply', status: passed.status, body, contentType, headers };
}

const notCopied: ReadonlySet<string> = new Set(['content-length', 'date', 'vary']);

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of Readable.from(stream)) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** What a route of this gateway answers now, as something that is passed. */
export function ownReplyOf(result: RouteResult, view: ReadView): PassedReply {
  if (result.kind === 'reply') return ownReply(result);
  if (result.kind !== 'read') return ownReply(failure(500, `unexpected result ${result.kind}`));
  const { status, body, contentType, index, headers } = result.evaluate(view, new Set<string>());
  const consul = {
    'X-Consul-Index': index > 0 ? String(index) : '1',
    'X-Consul-Knownleader': 'true',
    'X-Consul-Lastcontact': '0',
  };
  return ownReply({ kind: 'reply', status, body, contentType, headers: { ...headers, ...consul } });
}
