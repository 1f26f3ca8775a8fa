import type { Readable } from 'node:stream';
import type { PassedReply } from '../../../compat/http/interceptor.ts';
import { failure, type Reply } from '../../../compat/wire/http.ts';

/** Those of a connection, which is not the client's. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Consul's words for a server that its agent cannot reach: clients retry a 500. */
export function unreachable(why: string): Reply {
  return failure(500, `rpc error making call: the source Consul did not answer: ${why}`);
}

/** An answer of this gateway's own where one of the source was asked for. */
export function ownReply(reply: Reply): PassedReply {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  const headers = ['Vary', 'Accept-Encoding'];
  if (reply.contentType !== undefined) headers.push('Content-Type', reply.contentType);
  for (const [name, value] of Object.entries(reply.headers ?? {})) headers.push(name, value);
  headers.push('Content-Length', String(body.length));
  return { status: reply.status, headers, body };
}

/** Headers of the source for the client: without those of our connection to it. */
export function passedHeaders(raw: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] as string;
    if (!hopByHop.has(name.toLowerCase())) kept.push(name, raw[at + 1] as string);
  }
  return kept;
}

/** A body in one piece, unless it is longer than that: then as it comes. */
export async function beginning(
  stream: Readable,
  bytesMax: number,
): Promise<Buffer | AsyncIterable<Uint8Array>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const rest = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  while (bytes <= bytesMax) {
    // oxlint-disable-next-line no-await-in-loop -- one chunk comes after the other
    const next = await rest.next();
    if (next.done === true) return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    chunks.push(next.value);
    bytes += next.value.length;
  }
  return (async function* () {
    yield* chunks;
    yield* { [Symbol.asyncIterator]: () => rest };
  })();
}

/** Rejects when it is longer than that. */
export async function wholeBody(stream: Readable, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}
