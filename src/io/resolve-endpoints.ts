import { lookup } from 'node:dns/promises';
import { isIP, SocketAddress } from 'node:net';
import { err, ok, type Result } from '../kernel/result.ts';
import { sameEndpoint, type Endpoint } from '../wire/endpoint.ts';

/** All addresses of a name, in the order in which to try them. Rejects, or answers none, when it has none. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

export interface ResolveOptions {
  /** For addresses that name no port. */
  readonly portDefault: number;
  readonly resolve: ResolveHost;
  /** For each name. */
  readonly waitMsMax: number;
}

export interface ResolvedEndpoints {
  /** Each once, in the order given. */
  readonly endpoints: readonly Endpoint[];
  /** Addresses that mean none, with Consul's line about each. */
  readonly problems: readonly { readonly address: string; readonly problem: string }[];
}

/** Endpoints of one call; a name may have any number of records. */
const endpointsMax = 256;
const hostLengthMax = 253;

/** The host's resolver: its hosts file too, and all A and AAAA records, as the host orders them. */
export const resolveHost: ResolveHost = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/**
 * The endpoints that addresses mean, as Consul's `join` takes them: `host`, `host:port`, IPv6 bare or in brackets. A
 * name stands for all its addresses. Names are looked up side by side, so that one that hangs does not hold up others.
 */
export async function resolveEndpoints(
  addresses: readonly string[],
  options: ResolveOptions,
): Promise<ResolvedEndpoints> {
  const each = await Promise.all(addresses.map((address) => resolveOne(address, options)));
  const endpoints: Endpoint[] = [];
  const problems: { address: string; problem: string }[] = [];
  for (const [at, resolved] of each.entries()) {
    const address = addresses[at] as string;
    if (!resolved.ok) {
      problems.push({ address, problem: resolved.error });
      continue;
    }
    for (const endpoint of resolved.value) {
      if (endpoints.length >= endpointsMax) break;
      if (!endpoints.some((known) => sameEndpoint(known, endpoint))) endpoints.push(endpoint);
    }
  }
  return { endpoints, problems };
}

type Hosts = Result<readonly Endpoint[], string>;

async function resolveOne(address: string, options: ResolveOptions): Promise<Hosts> {
  const failed = (why: string): Hosts => err(`Failed to resolve ${address}: ${why}`);
  const parsed = parseAddress(address);
  if (!parsed.ok) return failed(parsed.error);
  const { host, port = options.portDefault } = parsed.value;
  if (isIP(host) !== 0) return ok([{ address: shortForm(host), port }]);
  try {
    const found = await within(options.resolve(host), options.waitMsMax);
    if (found === undefined) return failed(`lookup ${host}: no answer within ${options.waitMsMax} ms`);
    const known = found.filter((each) => isIP(each) !== 0);
    if (known.length > 0) return ok(known.map((each) => ({ address: shortForm(each), port })));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EAI_AGAIN') return failed(`lookup ${host}: the name server does not answer`);
  }
  return failed(`lookup ${host}: no such host`);
}

interface Address {
  readonly host: string;
  /** undefined: not said. */
  readonly port: number | undefined;
}

function parseAddress(text: string): Result<Address, string> {
  if (/\bprovider=/.test(text)) return err('cloud auto-join is not built in: give addresses or DNS names');
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  const colon = text.lastIndexOf(':');
  let host = text;
  let portText: string | undefined;
  if (bracketed !== null) {
    host = bracketed[1] as string;
    portText = bracketed[2];
    if (isIP(host) !== 6) return err('no IPv6 address in brackets');
  } else if (colon >= 0 && isIP(text) !== 6) {
    host = text.slice(0, colon);
    portText = text.slice(colon + 1);
  }
  if (host === '') return err('no host');
  if (host.length > hostLengthMax) return err(`longer than ${hostLengthMax} characters`);
  if (isIP(host) === 0 && !/^[\w.-]+$/.test(host)) return err(`invalid host ${JSON.stringify(host)}`);
  if (portText === undefined) return ok({ host, port: undefined });
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  return port >= 1 && port <= 65535 ? ok({ host, port }) : err(`invalid port ${JSON.stringify(portText)}`);
}

/** The one spelling of an address, so that endpoints can be compared. */
function shortForm(address: string): string {
  if (isIP(address) !== 6 || address.includes('%')) return address;
  const short = new SocketAddress({ address, family: 'ipv6' }).address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(short);
  return mapped?.[1] ?? short;
}

/** undefined when it takes longer; then nobody listens to how it ends. */
async function within<T>(promise: Promise<T>, waitMsMax: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), waitMsMax);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => undefined);
  }
}
