import { lanProfile, wanProfile, type SwimProfile } from '../../src/swim/profile.ts';
import type { ZoneRule } from '../fleet/placement.ts';
import { fillAddressTemplate } from './address-template.ts';
import type { AgentConfig, GossipConfig, GossipTiming, JoinConfig } from './agent-config.ts';
import type { Fragment } from './config-schema.ts';
import { showValue } from './problems.ts';
import { regionBytesMax } from './resolve-identity.ts';
import type { Settings } from './settings.ts';

type Fleet = Pick<AgentConfig, 'join' | 'gossip' | 'zones' | 'leave' | 'rpcHoldMs'>;

const hourMs = 3_600_000;
const retryMsMin = 100;
/** Consul documents that it must not be less. */
const reconnectMsMin = 8 * hourMs;
/** Addresses under one key: more than any list that a person keeps. */
const joinAddressesMax = 256;
/** Rules for zones: each is looked at whenever membership changes. */
const zoneRulesMax = 256;
/** Zone prefixes are read by people, and told to every gateway. */
const zonePrefixBytesMax = 512;
/** The length of an AES-128, -192 or -256 key. */
const keyBytesAllowed: readonly number[] = [16, 24, 32];

/** How the gateway finds the others, speaks with them, and parts from them. */
export function resolveFleet(
  settings: Settings,
  { bindAddr, ports }: Pick<AgentConfig, 'bindAddr' | 'ports'>,
  server: boolean,
): Fleet {
  const { set } = settings;
  const { leave_drain_time: drain, rpc_hold_timeout: hold } = set.performance ?? {};
  refuseWithoutGossip(settings, ports);
  return {
    join: resolveJoin(settings),
    gossip: resolveGossip(settings, bindAddr),
    zones: resolveZones(settings),
    leave: {
      // Consul: servers stay members when stopped, clients leave.
      onTerminate: set.leave_on_terminate ?? !server,
      skipOnInterrupt: set.skip_leave_on_interrupt ?? server,
      drainMs: settings.durationMs('performance.leave_drain_time', drain, 5000),
    },
    rpcHoldMs: settings.durationMs('performance.rpc_hold_timeout', hold, 7000),
  };
}

/** Who is told to meet others must be able to. */
function refuseWithoutGossip(settings: Settings, ports: AgentConfig['ports']): void {
  const { set } = settings;
  const pools = [
    ['ports.serf_lan', ports.serfLan, ['start_join', 'retry_join']],
    ['ports.serf_wan', ports.serfWan, ['start_join_wan', 'retry_join_wan']],
  ] as const;
  for (const [port, value, keys] of pools) {
    const asking = keys.find((key) => (set[key] ?? []).length > 0);
    if (value === -1 && asking !== undefined) {
      settings.wrong(asking, `${asking} cannot be followed: ${port} turns this gossip off`);
    }
  }
  if (ports.serfLan === -1 && (set.bootstrap_expect ?? 0) > 1) {
    settings.wrong(
      'bootstrap_expect',
      'bootstrap_expect > 1 waits for others: ports.serf_lan turns gossip off',
    );
  }
}

function resolveJoin(settings: Settings): JoinConfig {
  const { set } = settings;
  const reconnect = (key: 'reconnect_timeout' | 'reconnect_timeout_wan'): number =>
    // As in Consul, 0 is the default.
    atLeastMs(settings, key, settings.durationMs(key, set[key], 0) || 72 * hourMs, reconnectMsMin, '8h');
  const interval = (key: 'retry_interval' | 'retry_interval_wan'): number =>
    atLeastMs(settings, key, settings.durationMs(key, set[key], 30_000), retryMsMin, '100ms');
  return {
    startJoin: joinAddresses(settings, 'start_join'),
    startJoinWan: joinAddresses(settings, 'start_join_wan'),
    retryJoin: joinAddresses(settings, 'retry_join'),
    retryJoinWan: joinAddresses(settings, 'retry_join_wan'),
    retryIntervalMs: interval('retry_interval'),
    retryIntervalWanMs: interval('retry_interval_wan'),
    // Consul takes a negative number for "without end" too.
    retryAttemptsMax: Math.max(0, set.retry_max ?? 0),
    retryAttemptsWanMax: Math.max(0, set.retry_max_wan ?? 0),
    rejoinAfterLeave: set.rejoin_after_leave ?? false,
    reconnectMsMax: reconnect('reconnect_timeout'),
    reconnectWanMsMax: reconnect('reconnect_timeout_wan'),
  };
}

/** Consul takes less, and so do we, but for what would harm. */
function atLeastMs(settings: Settings, key: string, valueMs: number, minMs: number, minText: string): number {
  if (valueMs >= minMs) return valueMs;
  settings.warn(`${key} is less than ${minText}: ${minText} is taken`);
  return minMs;
}

function joinAddresses(
  settings: Settings,
  key: 'start_join' | 'start_join_wan' | 'retry_join' | 'retry_join_wan',
): readonly string[] {
  const addresses = (settings.set[key] ?? []).flatMap((given) => {
    if (/\bprovider=/.test(given)) {
      settings.wrong(
        key,
        `${key}: cloud auto-join is not built in: ${showValue(given)}`,
        'host, host:port, or a DNS name: all of its addresses are tried, and it is resolved anew for every attempt',
      );
      return [];
    }
    const filled = fillAddressTemplate(given, settings.host);
    if (!filled.ok) {
      settings.wrong(key, `${key}: ${filled.error}`);
      return [];
    }
    const found = filled.value.split(/\s+/).filter((each) => each !== '');
    if (found.length === 0) settings.warn(`${key}: ${showValue(given)} names nobody`);
    return found;
  });
  if (addresses.length <= joinAddressesMax) return addresses;
  settings.wrong(
    key,
    `${key} names ${addresses.length} addresses`,
    `up to ${joinAddressesMax}; one that can be reached is enough`,
  );
  return [];
}

function resolveGossip(settings: Settings, bindAddr: string): GossipConfig {
  const { set } = settings;
  return {
    encryptKey: resolveEncryptKey(settings),
    encryptVerifyIncoming: set.encrypt_verify_incoming ?? true,
    encryptVerifyOutgoing: set.encrypt_verify_outgoing ?? true,
    disableKeyringFile: set.disable_keyring_file ?? settings.devMode,
    allowPlaintext: set.grapevine?.allow_plaintext_gossip ?? false,
    bindLan: settings.address('serf_lan', set.serf_lan) ?? bindAddr,
    bindWan: settings.address('serf_wan', set.serf_wan) ?? bindAddr,
    lanAllowedCidrs: settings.cidrs('serf_lan_allowed_cidrs', set.serf_lan_allowed_cidrs),
    wanAllowedCidrs: settings.cidrs('serf_wan_allowed_cidrs', set.serf_wan_allowed_cidrs),
    disableCoordinates: set.disable_coordinates ?? false,
    lan: resolveTiming(settings, 'gossip_lan', set.gossip_lan, lanProfile),
    wan: resolveTiming(settings, 'gossip_wan', set.gossip_wan, wanProfile),
  };
}

/** What dev mode of Consul 1.8.7 sets for both pools: failures show at once where one tries things out. */
const devTiming: Partial<GossipTiming> = {
  gossipIntervalMs: 100,
  probeIntervalMs: 100,
  probeTimeoutMs: 100,
  suspicionMult: 3,
};

function resolveTiming(
  settings: Settings,
  block: string,
  set: Fragment['gossip_lan'] = {},
  profile: SwimProfile,
): GossipTiming {
  const defaults: GossipTiming = settings.devMode ? { ...profile, ...devTiming } : profile;
  const count = (key: 'gossip_nodes' | 'suspicion_mult' | 'retransmit_mult', byDefault: number): number =>
    settings.within(`${block}.${key}`, set[key], { min: 1, max: 64, byDefault });
  const time = (key: 'gossip_interval' | 'probe_interval' | 'probe_timeout', byDefaultMs: number): number => {
    const valueMs = settings.durationMs(`${block}.${key}`, set[key], byDefaultMs);
    if (valueMs >= 10 && valueMs <= 60_000) return valueMs;
    settings.wrong(`${block}.${key}`, `${block}.${key} cannot be ${showValue(set[key])}`, '10ms to 1m');
    return byDefaultMs;
  };
  const probeIntervalMs = time('probe_interval', defaults.probeIntervalMs);
  const probeTimeoutMs = time('probe_timeout', Math.min(defaults.probeTimeoutMs, probeIntervalMs));
  if (probeTimeoutMs > probeIntervalMs) {
    settings.warn(`${block}.probe_timeout is longer than ${block}.probe_interval: the interval is taken`);
  }
  return {
    gossipNodes: count('gossip_nodes', defaults.gossipNodes),
    gossipIntervalMs: time('gossip_interval', defaults.gossipIntervalMs),
    probeIntervalMs,
    probeTimeoutMs: Math.min(probeTimeoutMs, probeIntervalMs),
    suspicionMult: count('suspicion_mult', defaults.suspicionMult),
    retransmitMult: count('retransmit_mult', defaults.retransmitMult),
  };
}

function resolveZones(settings: Settings): readonly ZoneRule[] {
  const key = 'grapevine.zones';
  const given = settings.set.grapevine?.zones ?? [];
  if (given.length > zoneRulesMax) {
    settings.wrong(key, `${key} holds ${given.length} rules`, `up to ${zoneRulesMax}`);
    return [];
  }
  const seen = new Set<string>();
  return given.flatMap((rule, at) => {
    const { prefix = '', region = '', gateway = '' } = rule;
    const problem = zoneProblem(rule) ?? (seen.has(prefix) ? 'its prefix has a rule already' : undefined);
    seen.add(prefix);
    if (problem !== undefined) {
      settings.wrong(key, `${key}[${at}] (prefix ${showValue(prefix)}): ${problem}`);
      return [];
    }
    return [region === '' ? { prefix, gateway } : { prefix, region }];
  });
}

type ZoneFragment = NonNullable<NonNullable<Fragment['grapevine']>['zones']>[number];

function zoneProblem({ prefix = '', region = '', gateway = '' }: ZoneFragment): string | undefined {
  if (prefix === '') return 'the root zone belongs to the gateway that founded the datacenter: name a prefix';
  if (Buffer.byteLength(prefix) > zonePrefixBytesMax) return `longer than ${zonePrefixBytesMax} bytes`;
  if (/\p{Cc}/u.test(prefix)) return 'its prefix holds a control character';
  if (region === '' && gateway === '') return 'where to? name a region or a gateway';
  if (region !== '' && gateway !== '') return 'both a region and a gateway: name one of them';
  if (Buffer.byteLength(region) > regionBytesMax) return `a region has at most ${regionBytesMax} bytes`;
  return undefined;
}

/** The key itself is never shown: messages end up in logs. */
function resolveEncryptKey(settings: Settings): string | undefined {
  const key = settings.set.encrypt;
  if (key === undefined || key === '') return undefined;
  const allowed = '16, 24 or 32 bytes in base64, as `grapevine keygen` prints';
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(key)) {
    settings.wrong('encrypt', 'encrypt has invalid key: illegal base64 data', allowed);
    return undefined;
  }
  const bytes = Buffer.from(key, 'base64').length;
  if (!keyBytesAllowed.includes(bytes)) {
    settings.wrong(
      'encrypt',
      `encrypt has invalid key: key size must be 16, 24 or 32 bytes, and this one has ${bytes}`,
      allowed,
    );
  }
  return key;
}
