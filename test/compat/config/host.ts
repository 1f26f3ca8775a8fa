import type { HostFacts, InterfaceAddress } from '../../../compat/config/ip-address.ts';

function on(name: string, address: string, prefixBits: number): InterfaceAddress {
  const family = address.includes(':') ? 'IPv6' : 'IPv4';
  return { interface: name, address, family, prefixBits, mac: '02:00:00:00:00:01', loopback: name === 'lo' };
}

/** A machine with a private, a public and a container network. */
export const host: HostFacts = {
  hostname: 'machine',
  interfaces: [
    on('lo', '127.0.0.1', 8),
    on('lo', '::1', 128),
    on('docker0', '172.17.0.1', 16),
    on('eth1', '8.8.4.4', 24),
    on('eth0', '10.1.2.3', 24),
    on('eth0', 'fd00::2', 64),
    on('eth0', 'fe80::1', 64),
  ],
  defaultInterface: 'eth0',
};
