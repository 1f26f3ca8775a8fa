import { struct, text, uint } from './schema.ts';

/** Where a gateway's gossip is reached: UDP and TCP on the same port. */
export interface Endpoint {
  /** IPv4 or IPv6 address, in its usual short form, without brackets. */
  readonly address: string;
  readonly port: number;
}

export const endpoint = struct<Endpoint>({ address: text(64), port: uint(65535) });

export function endpointText({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address;
}
