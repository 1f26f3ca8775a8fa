import { inNetworks } from '../config/ip-address.ts';

/** Whether an address may use methods that write (`http_config.allow_write_http_from`; empty: all may). */
export function writeAccess(networks: readonly string[]): (remoteAddress: string) => boolean {
  if (networks.length === 0) return () => true;
  // An IPv4 client of a dual-stack listener shows as ::ffff:a.b.c.d.
  return (remoteAddress) => inNetworks(remoteAddress.replace(/^::ffff:/, ''), networks);
}
