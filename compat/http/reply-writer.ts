import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { gzip } from 'node:zlib';
import type { Reply } from '../wire/http.ts';
import type { PassedReply } from './interceptor.ts';
import type { SharedAnswer } from '../watch/live-queries.ts';

/** Bodies below this are not worth compressing (Consul since 1.9: 1400 bytes). */
export const gzipBytesMin = 1400;

export function acceptsGzip(req: IncomingMessage): boolean {
  const accepted = req.headers['accept-encoding'];
  return accepted !== undefined && /(^|[\s,])gzip(\s*;\s*q=(?!0(\.0*)?\s*(,|$))|[\s,]|$)/.test(accepted);
}

/** Header names and values alternate: the form that `writeHead` takes without another copy. */
export type FlatHeaders = string[];

export function pushHeaders(into: FlatHeaders, headers: Readonly<Record<string, string>> | undefined): void {
  if (headers === undefined) return;
  for (const name of Object.keys(headers)) into.push(name, headers[name] as string);
}

/** Sends a finished reply. `headers` are those that the caller adds to the reply's own. */
export function writeReply(
  req: IncomingMessage,
  res: ServerResponse,
  reply: Reply,
  headers: FlatHeaders,
): void {
  if (reply.contentType !== undefined) headers.push('Content-Type', reply.contentType);
  pushHeaders(headers, reply.headers);
  if (reply.body.length >= gzipBytesMin && acceptsGzip(req))
    sendCompressed(res, reply.status, headers, reply.body);
  else send(res, reply.status, headers, reply.body, byteLength(reply.body));
}

/** Sends an answer that others may get too: its bytes and its compressed form are made once. */
export function writeShared(
  req: IncomingMessage,
  res: ServerResponse,
  shared: SharedAnswer,
  headers: FlatHeaders,
): void {
  const { answer } = shared;
  if (answer.contentType !== undefined) headers.push('Content-Type', answer.contentType);
  pushHeaders(headers, answer.headers);
  if (answer.body.length < gzipBytesMin) {
    send(res, answer.status, headers, answer.body, (shared.byteLength ??= byteLength(answer.body)));
    return;
  }
  if (acceptsGzip(req)) {
    if (shared.gzipped !== undefined) {
      headers.push('Content-Encoding', 'gzip');
      send(res, answer.status, headers, shared.gzipped, shared.gzipped.length);
      return;
    }
    sendCompressed(res, answer.status, headers, answer.body, (gzipped) => {
      shared.gzipped = gzipped;
    });
    return;
  }
  // A long body is encoded once and then sent as bytes; a short one goes out in one piece with its headers.
  const bytes = (shared.bytes ??= typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body);
  send(res, answer.status, headers, bytes, bytes.length);
}

/** Sends an answer of somebody else: its own status, headers and body, and none of ours. */
export function writePassed(res: ServerResponse, passed: PassedReply): void {
  const { status, headers, body } = passed;
  if (res.destroyed || res.headersSent) {
    if (body instanceof Readable) body.destroy();
    return;
  }
  res.sendDate = !headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'date');
  res.writeHead(status, [...headers]);
  if (body instanceof Uint8Array) {
    res.end(body);
    return;
  }
  // One that breaks off closes the connection, so that nobody takes a part for the whole.
  pipeline(body instanceof Readable ? body : Readable.from(body, { objectMode: false }), res, (error) => {
    if (error) res.destroy();
  });
}

function byteLength(body: string | Uint8Array): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length;
}

function sendCompressed(
  res: ServerResponse,
  status: number,
  headers: FlatHeaders,
  body: string | Uint8Array,
  keep?: (gzipped: Uint8Array) => void,
): void {
  gzip(body, { level: 1 }, (error, gzipped) => {
    if (error !== null) {
      send(res, status, headers, body, byteLength(body));
      return;
    }
    keep?.(gzipped);
    headers.push('Content-Encoding', 'gzip');
    send(res, status, headers, gzipped, gzipped.length);
  });
}

function send(
  res: ServerResponse,
  status: number,
  headers: FlatHeaders,
  body: string | Uint8Array,
  contentLength: number,
): void {
  if (res.destroyed || res.headersSent) return;
  headers.push('Content-Length', String(contentLength));
  res.writeHead(status, headers);
  res.end(body);
}
