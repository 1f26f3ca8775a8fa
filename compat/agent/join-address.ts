import { isIP } from 'node:net';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseGoUint } from '../wire/go-numbers.ts';

/** Addresses of a host, in the order in which to try them. Rejects or answers none when there is no such host. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/**
 * The endpoints that an address of a cluster means (`host`, `host:port`, IPv6 in brackets or bare), as Consul's
 * `join` takes it; the error is Consul's line about one that means none.
 */
export async function joinEndpoints(
  address: string,
  portDefault: number,
  resolve: ResolveHost,
): Promise<Result<readonly Endpoint[], string>> {
  const { host, port: portText } = splitAddress(address);
  const failed = (why: string): Result<readonly Endpoint[], string> =>
    err(`Failed to resolve ${address}: ${why}`);
  let port = portDefault;
  if (portText !== undefined) {
    const parsed = parseGoUint(portText, 16);
    if (!parsed.ok) return failed(parsed.error);
    port = Number(parsed.value);
  }
  if (isIP(host) !== 0) return ok([{ address: host, port }]);
  try {
    const found = host === '' ? [] : await resolve(host);
    if (found.length > 0) return ok(found.map((each) => ({ address: each, port })));
  } catch {
    // Why a name has no address is the resolver's affair: for a join it is not there.
  }
  return failed(`lookup ${host}: no such host`);
}

function splitAddress(address: string): { readonly host: string; readonly port: string | undefined } {
  if (isIP(address) === 6) return { host: address, port: undefined };
  const bracketed = /^\[(.*)\](?::(.*))?$/.exec(address);
  if (bracketed !== null) return { host: bracketed[1] ?? '', port: bracketed[2] };
  const cut = address.lastIndexOf(':');
  return cut < 0
    ? { host: address, port: undefined }
    : { host: address.slice(0, cut), port: address.slice(cut + 1) };
}
