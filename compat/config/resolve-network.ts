import type { AgentConfig, Listener, PortsConfig } from './agent-config.ts';
import { familyOf, inNetworks, isAnyAddress, isPublic, joinHostPort, networksOfRfc } from './ip-address.ts';
import { showValue } from './problems.ts';
import type { Settings } from './settings.ts';

type Network = Pick<
  AgentConfig,
  | 'bindAddr'
  | 'advertiseAddr'
  | 'advertiseAddrWan'
  | 'taggedAddresses'
  | 'translateWanAddrs'
  | 'clientAddrs'
  | 'ports'
  | 'httpListeners'
  | 'httpsListeners'
  | 'dnsListeners'
  | 'unixSockets'
>;

/** Where the gateway listens and what addresses it tells others. */
export function resolveNetwork(settings: Settings): Network {
  const { set } = settings;
  const ports = resolvePorts(settings);
  const bindAddr = resolveBind(settings);
  const advertiseAddr = resolveAdvertise(settings, bindAddr);
  const advertiseAddrWan = resolveAdvertiseWan(settings) ?? advertiseAddr;
  const clientAddrs = settings.addresses('client_addr', set.client_addr ?? '127.0.0.1', false);
  const network: Network = {
    bindAddr,
    advertiseAddr,
    advertiseAddrWan,
    taggedAddresses: tagged(settings, advertiseAddr, advertiseAddrWan),
    translateWanAddrs: set.translate_wan_addrs ?? false,
    clientAddrs,
    ports,
    httpListeners: listeners(settings, 'addresses.http', set.addresses?.http, ports.http, clientAddrs),
    httpsListeners: listeners(settings, 'addresses.https', set.addresses?.https, ports.https, clientAddrs),
    dnsListeners: dnsListeners(settings, ports.dns, clientAddrs),
    unixSockets: resolveUnixSockets(settings),
  };
  refuseSharedAddresses(settings, network);
  return network;
}

function resolvePorts(settings: Settings): PortsConfig {
  const ports = settings.set.ports ?? {};
  return {
    dns: settings.port('ports.dns', ports.dns, 8600),
    http: settings.port('ports.http', ports.http, 8500),
    https: settings.port('ports.https', ports.https, -1),
    grpc: settings.port('ports.grpc', ports.grpc, settings.devMode ? 8502 : -1),
    grpcTls: settings.port('ports.grpc_tls', ports.grpc_tls, -1),
    serfLan: settings.port('ports.serf_lan', ports.serf_lan, 8301),
    serfWan: settings.port('ports.serf_wan', ports.serf_wan, 8302),
    server: settings.port('ports.server', ports.server, 8300),
  };
}

function resolveBind(settings: Settings): string {
  const fallback = settings.devMode ? '127.0.0.1' : '0.0.0.0';
  const bind = settings.set.bind_addr;
  if (bind === undefined) return fallback;
  if (bind.trim() === '') {
    settings.wrong('bind_addr', 'bind_addr cannot be empty');
    return fallback;
  }
  const found = settings.addresses('bind_addr', bind, false);
  if (found.length > 1) {
    settings.wrong(
      'bind_addr',
      "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
    );
  }
  return found[0] ?? fallback;
}

function resolveAdvertise(settings: Settings, bindAddr: string): string {
  const { set } = settings;
  const [key, value] =
    set.advertise_addr !== undefined || set.advertise_addr_ipv4 === undefined
      ? (['advertise_addr', set.advertise_addr] as const)
      : (['advertise_addr_ipv4', set.advertise_addr_ipv4] as const);
  if (value !== undefined && value.trim() !== '') {
    const address = settings.address(key, value);
    if (address !== undefined) refuseAny(settings, key, address);
    return address ?? bindAddr;
  }
  if (!isAnyAddress(bindAddr)) return bindAddr;
  return bindAddr === '0.0.0.0'
    ? onlyAddress(settings, 'private IPv4')
    : onlyAddress(settings, 'public IPv6');
}

/** With no address named, the machine must have exactly one that could be meant. */
function onlyAddress(settings: Settings, what: 'private IPv4' | 'public IPv6'): string {
  const candidates = settings.host.interfaces.filter(({ address, family, loopback }) => {
    if (loopback || inNetworks(address, ['169.254.0.0/16', 'fe80::/10'])) return false;
    if (what === 'public IPv6') return family === 'IPv6' && isPublic(address);
    return family === 'IPv4' && inNetworks(address, networksOfRfc['6890'] ?? []);
  });
  const [first] = candidates;
  if (candidates.length === 1 && first !== undefined) return first.address;
  const listed = candidates.map((each) => `${each.address} on ${each.interface}`).join(', ');
  settings.wrong(
    'advertise_addr',
    candidates.length === 0
      ? `No ${what} address found: say with -advertise=ADDRESS (or advertise_addr) where other gateways reach ` +
          'this one, or with -bind=127.0.0.1 that none does'
      : `Multiple ${what} addresses found. Please configure one with 'bind' and/or 'advertise'. Found: ${listed}`,
  );
  return '127.0.0.1';
}

function resolveAdvertiseWan(settings: Settings): string | undefined {
  const { set } = settings;
  const key = set.advertise_addr_wan === undefined ? 'advertise_addr_wan_ipv4' : 'advertise_addr_wan';
  const address = settings.address(key, set.advertise_addr_wan ?? set.advertise_addr_wan_ipv4);
  if (address !== undefined) refuseAny(settings, key, address);
  return address;
}

function refuseAny(settings: Settings, key: string, address: string): void {
  if (!isAnyAddress(address)) return;
  const what = key.includes('wan') ? 'Advertise WAN address' : 'Advertise address';
  settings.wrong(key, `${what} cannot be 0.0.0.0, :: or [::]`);
}

function byFamily(prefix: string, address: string): Record<string, string> {
  return { [prefix]: address, [`${prefix}_${familyOf(address) === 'IPv6' ? 'ipv6' : 'ipv4'}`]: address };
}

function tagged(settings: Settings, lan: string, wan: string): Readonly<Record<string, string>> {
  const { set } = settings;
  const named = (name: string, key: string, value: string | undefined): Record<string, string> => {
    const address = settings.address(key, value);
    return address === undefined ? {} : { [name]: address };
  };
  return {
    ...set.tagged_addresses,
    ...byFamily('lan', lan),
    ...byFamily('wan', wan),
    ...named('lan_ipv4', 'advertise_addr_ipv4', set.advertise_addr_ipv4),
    ...named('lan_ipv6', 'advertise_addr_ipv6', set.advertise_addr_ipv6),
    ...named('wan_ipv4', 'advertise_addr_wan_ipv4', set.advertise_addr_wan_ipv4),
    ...named('wan_ipv6', 'advertise_addr_wan_ipv6', set.advertise_addr_wan_ipv6),
  };
}

function listeners(
  settings: Settings,
  key: string,
  value: string | undefined,
  port: number,
  clientAddrs: readonly string[],
): readonly Listener[] {
  const hosts = value === undefined ? clientAddrs : settings.addresses(key, value, true);
  if (port === -1) {
    // A socket has no port to be turned off by; Consul too serves nothing here.
    return [];
  }
  return hosts.map((host) =>
    host.startsWith('unix://')
      ? { kind: 'unix', path: host.slice('unix://'.length) }
      : { kind: 'tcp', host, port },
  );
}

function dnsListeners(settings: Settings, port: number, clientAddrs: readonly string[]): readonly Listener[] {
  const value = settings.set.addresses?.dns;
  if (value?.includes('unix://') === true) {
    settings.wrong('addresses.dns', 'DNS address cannot be a unix socket');
    return [];
  }
  const hosts = value === undefined ? clientAddrs : settings.addresses('addresses.dns', value, false);
  return port === -1 ? [] : hosts.map((host) => ({ kind: 'tcp', host, port }));
}

function resolveUnixSockets(settings: Settings): AgentConfig['unixSockets'] {
  const { user, group, mode } = settings.set.unix_sockets ?? {};
  if (mode !== undefined && !/^0?[0-7]{3,4}$/.test(mode)) {
    settings.wrong(
      'unix_sockets.mode',
      `unix_sockets.mode: invalid mode: ${showValue(mode)}`,
      'an octal mode in quotes such as "0660"',
    );
  }
  return { user, group, mode: mode === undefined ? undefined : Number.parseInt(mode, 8) };
}

/** Two servers cannot listen on one address; Consul's texts. */
function refuseSharedAddresses(settings: Settings, network: Network): void {
  const taken = new Map<string, string>();
  const take = (what: string, key: string, address: string): void => {
    const holder = taken.get(address);
    if (holder !== undefined) {
      settings.wrong(key, `${what} address ${address} already configured for ${holder}`);
    }
    taken.set(address, what);
  };
  for (const each of network.dnsListeners) take('DNS', 'ports.dns', show(each));
  for (const each of network.httpListeners) take('HTTP', 'ports.http', show(each));
  for (const each of network.httpsListeners) take('HTTPS', 'ports.https', show(each));
  const { ports, advertiseAddr, advertiseAddrWan } = network;
  if (ports.server > 0) take('RPC Advertise', 'ports.server', joinHostPort(advertiseAddr, ports.server));
  if (ports.serfLan > 0) {
    take('Serf Advertise LAN', 'ports.serf_lan', joinHostPort(advertiseAddr, ports.serfLan));
  }
  if (ports.serfWan > 0) {
    take('Serf Advertise WAN', 'ports.serf_wan', joinHostPort(advertiseAddrWan, ports.serfWan));
  }
}

function show(listener: Listener): string {
  return listener.kind === 'unix' ? `unix://${listener.path}` : joinHostPort(listener.host, listener.port);
}
