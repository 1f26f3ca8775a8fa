import type { GatewayFacts } from './context.ts';

/** `ip:port` of a gateway, as a Consul server shows its Raft address. */
export function serverAddress({ address, serverPort }: GatewayFacts): string {
  return address.includes(':') ? `[${address}]:${serverPort}` : `${address}:${serverPort}`;
}
