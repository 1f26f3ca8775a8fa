import { readFileSync, readdirSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import { failure, json, type Reply } from '../wire/http.ts';
import { pageHostProblem } from './browser-orders.ts';
import { writeReply } from './reply-writer.ts';

export interface UiOptions {
  /** Where the pages are, with a slash at both ends. */
  readonly base: string;
  /** Files of the pages. */
  readonly directory: string;
  readonly nodeName: string;
  readonly mayWrite: (remoteAddress: string) => boolean;
  readonly pageHosts: readonly string[];
  readonly blockEndpoints: readonly string[];
  readonly responseHeaders: Readonly<Record<string, string>>;
  /** The present report: HTML, or why there is none. */
  readonly report: () => Promise<{ readonly status: number; readonly body: string }>;
  readonly onDefect: (error: unknown, path: string) => void;
}

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** A page has its own script, style and gateway, and nothing else; no other page shows it in a frame. */
const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** The report names what it may use by its hashes, in the page itself: of both policies the stricter one counts. */
const reportHeaders = {
  ...pageHeaders,
  'Content-Security-Policy': "frame-ancestors 'none'",
  'Cache-Control': 'no-store',
};

interface File {
  readonly body: Buffer;
  readonly type: string;
}

/** The pages of the gateway: static files, the report, and what whoever asks may do. */
export function createUi(options: UiOptions): RequestHandler {
  const { base } = options;
  let files: ReadonlyMap<string, File> | undefined;
  return (req, res, next) => {
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    if (`${path}/` !== base && !path.startsWith(base)) return next();
    const name = path.slice(base.length);
    files ??= readFiles(options.directory);
    const file = files.get(name === 'migration' ? 'migration.html' : name);
    const isFront = name === '' && base !== '/';
    // A page that is not there is none of the API's either; below `/` all else is.
    if (!isFront && file === undefined && name !== 'report' && name !== 'rights.json') return next();
    if (options.blockEndpoints.some((prefix) => path.startsWith(prefix))) {
      return send(req, res, failure(403, 'Endpoint is blocked by agent configuration'));
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      const refusal = failure(405, `method ${req.method ?? ''} not allowed`);
      return send(req, res, { ...refusal, headers: { Allow: 'GET, HEAD' } });
    }
    if (isFront) return send(req, res, { ...failure(302, ''), headers: { Location: `${base}migration` } });
    if (name === 'report') return sendReport(req, res);
    if (file === undefined) return send(req, res, rights(req));
    return send(req, res, {
      kind: 'reply',
      status: 200,
      body: file.body,
      contentType: file.type,
      headers: { ...pageHeaders, Vary: 'Accept-Encoding', 'Cache-Control': 'no-cache' },
    });
  };

  function send(req: IncomingMessage, res: ServerResponse, reply: Reply): void {
    const own = new Set(Object.keys(reply.headers ?? {}).map((name) => name.toLowerCase()));
    const headers = Object.entries(options.responseHeaders)
      .filter(([name]) => !own.has(name.toLowerCase()))
      .flat();
    writeReply(req, res, reply, headers);
  }

  function sendReport(req: IncomingMessage, res: ServerResponse): void {
    options.report().then(
      ({ status, body }) => {
        const contentType = status === 200 ? types['html'] : 'text/plain; charset=utf-8';
        send(req, res, { kind: 'reply', status, body, contentType, headers: reportHeaders });
      },
      (error: unknown) => {
        options.onDefect(error, req.url ?? '');
        send(req, res, failure(500, 'internal error: see the log of this gateway'));
      },
    );
  }

  /** What the page says before somebody tries. */
  function rights(req: IncomingMessage): Reply {
    const address = req.socket.remoteAddress ?? '';
    const why = options.mayWrite(address)
      ? pageHostProblem(req.headers.host, options.pageHosts)
      : `${address.replace(/^::ffff:/, '')} may not write here (http_config.allow_write_http_from)`;
    const body = { node: options.nodeName, write: why === undefined, why: why ?? null };
    return { ...json(body), headers: { ...pageHeaders, 'Cache-Control': 'no-store' } };
  }
}

/** Names are looked up, never joined to a path. */
function readFiles(directory: string): ReadonlyMap<string, File> {
  const files = new Map<string, File>();
  for (const name of readdirSync(directory)) {
    const type = types[name.split('.').at(-1) ?? ''];
    if (type === undefined) continue;
    files.set(name, { body: readFileSync(join(directory, name)), type });
  }
  return files;
}
