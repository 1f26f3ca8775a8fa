import { isIP } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';

// Orders that change much (Route.orders) may come from programs and from this gateway's own pages, and from no other
// page that a browser shows: not across origins, and not from one that was given the gateway's address (DNS rebinding).

const foreign = 'Orders are not taken from pages of another origin';

/**
 * Why an order is not taken; undefined: it is. `pageHosts` are names under which this gateway's pages are opened, beside
 * addresses and names that nobody outside can own.
 */
export function orderProblem(headers: IncomingHttpHeaders, pageHosts: readonly string[]): string | undefined {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return foreign;
  if (origin !== undefined) {
    const from = hostOf(origin);
    if (from === undefined) return foreign;
    // Behind a proxy that calls this gateway by another name, the operator has said that name.
    if (!isNamed(from, pageHosts)) {
      if (!/^https?:/i.test(origin) || !sameHost(from, hostOf(`http://${headers.host ?? ''}`)))
        return foreign;
      const problem = pageHostProblem(headers.host, pageHosts);
      if (problem !== undefined) return problem;
    }
  }
  const isBrowser = origin !== undefined || site !== undefined;
  // No form can send it, and no script across origins without asking first.
  if (isBrowser && !/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    return 'Orders from a browser are JSON: Content-Type application/json';
  }
  return undefined;
}

/**
 * Why a page that was opened at this host (a Host header) may not order; undefined: it may. Anybody can let a public name
 * point here, and a page under it would be of the gateway's own origin as the browser sees it.
 */
export function pageHostProblem(host: string | undefined, pageHosts: readonly string[]): string | undefined {
  const found = hostOf(`http://${host ?? ''}`);
  if (found === undefined) return foreign;
  const { hostname } = found;
  if (isNamed(found, pageHosts) || isIP(hostname.replaceAll(/^\[|\]$/g, '')) !== 0) return undefined;
  if (!hostname.includes('.') || /\.(localhost|consul|internal|local|test|home\.arpa)$/.test(hostname)) {
    return undefined;
  }
  return `Orders are not taken from a page at ${hostname}: open it at an address, or name that host in migration.page_hosts`;
}

function isNamed({ host, hostname }: URL, pageHosts: readonly string[]): boolean {
  return pageHosts.some((name) => [host, hostname].includes(name.toLowerCase()));
}

function sameHost(a: URL, b: URL | undefined): boolean {
  return a.hostname === b?.hostname && portOf(a) === portOf(b);
}

/** A Host header leaves the port out where it is that of its scheme, which it does not tell. */
function portOf({ port }: URL): string {
  return port === '80' || port === '443' ? '' : port;
}

function hostOf(origin: string): URL | undefined {
  const url = URL.parse(origin);
  return url === null || url.hostname === '' || url.username !== '' ? undefined : url;
}
