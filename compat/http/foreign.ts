import type { RequestListener } from 'node:http';
import { inject } from 'light-my-request';
import { z } from 'zod';
import { textType, type ApiRequest, type Reply } from '../wire/http.ts';

// Requests with `?dc=` of another datacenter: handed to one of its gateways as they came, and its answer is the
// client's. So whatever that gateway serves, its version and its indexes are those of its datacenter, as in Consul.

/** A request on its way: what routes may look at, and nothing of the connection. */
const requestForm = z.object({
  method: z.enum(['GET', 'PUT', 'POST', 'DELETE']),
  url: z
    .string()
    .max(64 * 1024)
    .startsWith('/v1/'),
  headers: z.record(z.string().max(128), z.string().max(64 * 1024)),
  /** Base64. */
  body: z.string(),
});

const replyForm = z.object({
  status: z.number().int().min(100).max(599),
  headers: z.record(z.string().max(128), z.string().max(64 * 1024)),
  body: z.string(),
});

/** Headers that mean the same in the other datacenter. */
const passedOn = ['x-consul-token', 'authorization', 'cache-control', 'content-type', 'accept'] as const;

/** Headers of an answer that belong to one connection, or that this gateway sets itself. */
const ownHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'content-type',
  'content-encoding',
  'date',
  'vary',
  'x-consul-default-acl-policy',
]);

export function packRequest(request: ApiRequest): Uint8Array {
  const headers: Record<string, string> = {};
  for (const name of passedOn) {
    const value = request.header(name);
    if (value !== undefined) headers[name] = value;
  }
  const { raw } = request.query;
  const url = encodeURI(request.path).replace(/[?#]/g, encodeURIComponent) + (raw === '' ? '' : `?${raw}`);
  const body = Buffer.from(request.body).toString('base64');
  return Buffer.from(JSON.stringify({ method: request.method, url, headers, body }));
}

/**
 * Serves a request of another datacenter as if it had come over HTTP.
 * @throws when it is malformed
 */
export async function serveForeign(raw: Uint8Array, listener: RequestListener): Promise<Uint8Array> {
  const { method, url, headers, body } = requestForm.parse(JSON.parse(Buffer.from(raw).toString('utf8')));
  const response = await inject(listener, {
    method,
    url,
    headers,
    ...(method === 'GET' ? {} : { payload: Buffer.from(body, 'base64') }),
  });
  const answered: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) answered[name] = Array.isArray(value) ? value.join(', ') : String(value);
  }
  const { statusCode: status, rawPayload } = response;
  return Buffer.from(JSON.stringify({ status, headers: answered, body: rawPayload.toString('base64') }));
}

/** @throws when it is malformed */
export function unpackReply(raw: Uint8Array): Reply {
  const { status, headers, body } = replyForm.parse(JSON.parse(Buffer.from(raw).toString('utf8')));
  const contentType = headers['content-type'];
  const passed = Object.entries(headers).filter(([name]) => !ownHeaders.has(name));
  return {
    kind: 'reply',
    status,
    body: Buffer.from(body, 'base64'),
    contentType: body === '' ? undefined : (contentType ?? textType),
    headers: Object.fromEntries(passed.map(([name, value]) => [canonical(name), value])),
  };
}

/** As Go writes header names: clients that compare them to the letter see what Consul sends. */
function canonical(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}
