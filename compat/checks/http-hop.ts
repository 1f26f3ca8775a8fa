import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { CheckHeader } from './definition.ts';

/** One request of a chain of redirects. */
export type Hop = {
  readonly method: string;
  readonly url: URL;
  readonly header: CheckHeader;
  readonly body: string;
};

/** What of a response decides where to go next. */
export type RedirectResponse = {
  readonly statusCode?: number | undefined;
  readonly headers: { readonly location?: string | undefined };
};

/** Judges method, URL and headers of a check before its first run; the problem is Go's text. */
export function checkTarget(
  method: string,
  url: string,
  header: CheckHeader,
): { readonly url: URL; readonly header: CheckHeader } | { readonly problem: string } {
  const fail = (reason: string): { readonly problem: string } => ({
    problem: `${operation(method)} "${url}": ${reason}`,
  });
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method))
    return { problem: `net/http: invalid method "${method}"` };
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
  const host = /^[^/]*\/\/([^/?#]*)/.exec(url)?.[1];
  const strange = host === undefined ? null : /[\s<>"]/.exec(host);
  if (strange !== null) return { problem: `parse "${url}": invalid character "${strange[0]}" in host name` };
  if (scheme !== 'http' && scheme !== 'https') return fail(`unsupported protocol scheme "${scheme}"`);
  if (host === undefined || host === '') return fail('http: no Host in request URL');
  if (!URL.canParse(url)) return { problem: `parse "${url}": invalid URL` };
  const badHeader = headerProblem(header);
  return badHeader === undefined ? { url: new URL(url), header } : fail(badHeader);
}

function headerProblem(header: CheckHeader): string | undefined {
  for (const [name, values] of Object.entries(header)) {
    if (throws(() => validateHeaderName(name))) {
      return `net/http: invalid header field name ${JSON.stringify(name)}`;
    }
    const bad = values.find((value) => throws(() => validateHeaderValue(name, value)));
    if (bad !== undefined)
      return `net/http: invalid header field value ${JSON.stringify(bad)} for key ${name}`;
  }
  return undefined;
}

function throws(call: () => void): boolean {
  try {
    call();
    return false;
  } catch {
    return true;
  }
}

/** How Go names a request in an error: `Get`, `Post`. */
export function operation(method: string): string {
  return `${method.slice(0, 1)}${method.slice(1).toLowerCase()}`;
}

/** Methods that say `Content-Length: 0` when they carry no body. */
export function sendsEmptyLength(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

/**
 * The next request after a response, as Go's client makes it: 301, 302 and 303 turn all but HEAD into a GET
 * without body, 307 and 308 repeat. Undefined when the response is the last one.
 */
export function redirectHop(
  hop: Hop,
  response: RedirectResponse,
): { readonly hop: Hop; readonly location: string } | { readonly problem: string } | undefined {
  const code = response.statusCode ?? 0;
  const repeats = code === 307 || code === 308;
  if (!repeats && code !== 301 && code !== 302 && code !== 303) return undefined;
  const { location } = response.headers;
  if (location === undefined || location === '') {
    return repeats ? undefined : { problem: `${code} response missing Location header` };
  }
  if (!URL.canParse(location, hop.url.href)) {
    return { problem: `failed to parse Location header "${location}": invalid URL` };
  }
  const url = new URL(location, hop.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return { problem: `unsupported protocol scheme "${url.protocol.slice(0, -1)}"` };
  }
  const header = headerForHop(hop, url, !URL.canParse(location));
  if (repeats) return { hop: { ...hop, url, header }, location };
  const method = hop.method === 'HEAD' ? 'HEAD' : 'GET';
  return { hop: { method, url, header, body: '' }, location };
}

const secretNames = new Set(['authorization', 'www-authenticate', 'cookie', 'cookie2']);

/** Secrets stay with the host they were meant for; a Host of one's own holds for relative redirects only. */
function headerForHop(hop: Hop, url: URL, relative: boolean): CheckHeader {
  const sameSite = url.hostname === hop.url.hostname || url.hostname.endsWith(`.${hop.url.hostname}`);
  const kept = Object.entries(hop.header).filter(([name]) => {
    const lower = name.toLowerCase();
    if (lower === 'referer') return false;
    if (lower === 'host') return relative;
    return sameSite || !secretNames.has(lower);
  });
  const referer = new URL(hop.url);
  referer.username = '';
  referer.password = '';
  const leaks = hop.url.protocol === 'https:' && url.protocol === 'http:';
  return { ...Object.fromEntries(kept), ...(!leaks && { Referer: [referer.href] }) };
}

/** A URL as it may be shown: without its password. */
export function shownUrl(url: URL): string {
  if (url.password === '') return url.href;
  const shown = new URL(url);
  shown.password = '***';
  return shown.href;
}
