import { type IncomingMessage, request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { createGunzip } from 'node:zlib';
import { startDeadline, type Deadline } from './deadline.ts';
import type { CheckDefinition } from './definition.ts';
import { goNetworkError } from './go-errors.ts';
import { checkTarget, type Hop, operation, redirectHop, sendsEmptyLength, shownUrl } from './http-hop.ts';
import { TailBuffer } from './output.ts';
import type { Probe, ProbeResult } from './probe.ts';
import { networkTimeoutMs } from './probe-tcp.ts';
import { sharedLookup } from './shared-lookup.ts';

const redirectsMax = 10;

/**
 * Makes one HTTP request per run on a connection of its own. 2xx passes, 429 warns, all else is critical;
 * the output shows status and the last bytes of the body. Redirects are followed as Go's client does.
 * The timeout (default 10 s) covers all of it; when it ends within the body, what has come counts.
 */
export function httpProbe(definition: CheckDefinition, outputBytesMax: number): Probe {
  const method = definition.method === '' ? 'GET' : definition.method;
  const target = checkTarget(method, definition.http, definition.header);
  if ('problem' in target) {
    const output = target.problem;
    return () => Promise.resolve({ status: 'critical', output });
  }
  return async (outer) => {
    const deadline = startDeadline(outer, networkTimeoutMs(definition));
    try {
      return await follow(
        definition,
        { method, url: target.url, header: target.header, body: definition.body },
        {
          outputBytesMax,
          deadline,
        },
      );
    } finally {
      deadline.dispose();
    }
  };
}

type Run = { readonly outputBytesMax: number; readonly deadline: Deadline };

async function follow(definition: CheckDefinition, first: Hop, run: Run): Promise<ProbeResult> {
  let hop = first;
  for (let redirects = 0; ; redirects += 1) {
    let response: IncomingMessage;
    try {
      response = await send(definition, hop, run.deadline.signal);
    } catch (error) {
      return critical(first.method, shownHref(hop, first, definition), errorText(error, hop, run));
    }
    const next = definition.disableRedirects ? undefined : redirectHop(hop, response);
    if (next === undefined) return conclude(definition, first.method, response, run);
    response.destroy();
    if ('problem' in next) return critical(first.method, shownHref(hop, first, definition), next.problem);
    if (redirects + 1 >= redirectsMax) {
      return critical(first.method, next.location, `stopped after ${redirectsMax} redirects`);
    }
    hop = next.hop;
  }
}

function send(definition: CheckDefinition, hop: Hop, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // No agent: nothing is kept alive between runs, as a kept connection hides a dead listener.
    const options: RequestOptions = {
      method: hop.method,
      headers: headersOf(hop),
      agent: false,
      lookup: sharedLookup,
      signal,
    };
    const request =
      hop.url.protocol === 'https:'
        ? requestHttps(hop.url, { ...options, ...tlsOptions(definition, hop.url) })
        : requestHttp(hop.url, options);
    request.once('response', resolve);
    // Stays on: after the response the socket may still fail, which the reader of the body sees.
    request.on('error', reject);
    request.end(hop.body === '' ? undefined : hop.body);
  });
}

function tlsOptions(
  definition: CheckDefinition,
  url: URL,
): { servername: string; rejectUnauthorized: boolean } {
  const host = url.hostname.replaceAll(/[[\]]/g, '');
  return {
    servername: definition.tlsServerName || (isIP(host) === 0 ? host : ''),
    rejectUnauthorized: !definition.tlsSkipVerify,
  };
}

/** Framing is ours: Go's client leaves these names of a registration out as well. */
const framingNames = new Set(['connection', 'content-length', 'trailer', 'transfer-encoding']);

function headersOf(hop: Hop): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const given = new Set<string>();
  for (const [name, values] of Object.entries(hop.header)) {
    const lower = name.toLowerCase();
    if (framingNames.has(lower) || values.length === 0) continue;
    given.add(lower);
    headers[name] = lower === 'host' ? (values[0] ?? '') : [...values];
  }
  if (!given.has('user-agent')) headers['User-Agent'] = 'Consul Health Check';
  if (!given.has('accept')) headers['Accept'] = 'text/plain, text/*, */*';
  if (!given.has('accept-encoding')) headers['Accept-Encoding'] = 'gzip';
  if (hop.body !== '' || sendsEmptyLength(hop.method)) {
    headers['Content-Length'] = String(Buffer.byteLength(hop.body));
  }
  headers['Connection'] = 'close';
  return headers;
}

async function conclude(
  definition: CheckDefinition,
  method: string,
  response: IncomingMessage,
  run: Run,
): Promise<ProbeResult> {
  const body = await readTail(response, definition, run);
  const code = response.statusCode ?? 0;
  const shown = `${code} ${response.statusMessage ?? ''}`;
  return {
    status: code >= 200 && code <= 299 ? 'passing' : code === 429 ? 'warning' : 'critical',
    output: `HTTP ${method} ${definition.http}: ${shown} Output: ${body}`,
  };
}

/** Reads to the end, whatever it is: an error or the timeout within the body does not decide the status. */
function readTail(response: IncomingMessage, definition: CheckDefinition, run: Run): Promise<string> {
  const tail = new TailBuffer(run.outputBytesMax);
  const asked = Object.keys(definition.header).every((name) => name.toLowerCase() !== 'accept-encoding');
  const zipped = asked && response.headers['content-encoding'] === 'gzip';
  const source = zipped ? response.pipe(createGunzip()) : response;
  return new Promise((resolve) => {
    const done = (): void => {
      run.deadline.signal.removeEventListener('abort', done);
      response.destroy();
      source.destroy();
      resolve(tail.text());
    };
    source.on('data', (chunk: Buffer) => tail.push(chunk));
    source.on('error', done);
    response.on('error', done);
    // A connection cut short ends a piped stream without a word.
    response.once('close', () => {
      if (!response.complete || !zipped) done();
    });
    source.once('end', done);
    if (run.deadline.signal.aborted) done();
    else run.deadline.signal.addEventListener('abort', done, { once: true });
  });
}

function critical(method: string, url: string, reason: string): ProbeResult {
  return { status: 'critical', output: `${operation(method)} "${url}": ${reason}` };
}

/** The first request is shown as it was registered, later ones as they were made; never with a password. */
function shownHref(hop: Hop, first: Hop, definition: CheckDefinition): string {
  return hop === first && first.url.password === '' ? definition.http : shownUrl(hop.url);
}

function errorText(error: unknown, hop: Hop, run: Run): string {
  if (run.deadline.timedOut()) {
    return 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
  }
  const port = hop.url.port === '' ? (hop.url.protocol === 'https:' ? '443' : '80') : hop.url.port;
  const text = goNetworkError(error, 'tcp', `${hop.url.hostname}:${port}`);
  return text.startsWith('tls: first record') ? 'http: server gave HTTP response to HTTPS client' : text;
}
