import type { IncomingMessage, ServerResponse } from 'node:http';
import { failure, textType, type Reply } from '../wire/http.ts';
import { escapeHtml, escapePath } from './paths.ts';
import { writeReply } from './reply-writer.ts';

/** Whatever the method: what probes of the port look at. */
export const frontPage: Reply = { kind: 'reply', status: 200, body: 'Consul Agent', contentType: textType };
const noEndpoint = failure(404, 'Invalid URL path: not a recognized HTTP API endpoint\n');
const noApi = failure(
  404,
  "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n",
);

/** The answer to what is no endpoint. */
export function notFoundPage(url: string): Reply {
  return url.split('?', 1)[0]?.includes('/v1/') === true ? noEndpoint : noApi;
}

/** Sends the client to a (decoded) path, with its query. */
export function redirect(req: IncomingMessage, res: ServerResponse, path: string, rawQuery: string): void {
  const location = rawQuery === '' ? escapePath(path) : `${escapePath(path)}?${rawQuery}`;
  const isRead = req.method === 'GET' || req.method === 'HEAD';
  const reply: Reply = {
    kind: 'reply',
    status: 301,
    body: req.method === 'GET' ? `<a href="${escapeHtml(location)}">Moved Permanently</a>.\n\n` : '',
    contentType: isRead ? 'text/html; charset=utf-8' : undefined,
    headers: { Location: location },
  };
  writeReply(req, res, reply, []);
}
