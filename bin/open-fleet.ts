import { randomBytes } from 'node:crypto';
import { BlockList, isIPv6 } from 'node:net';
import type { AgentConfig } from '../compat/config/agent-config.ts';
import { serverTags } from '../compat/agent/server-tags.ts';
import { GossipServices } from '../compat/fleet/gossip-services.ts';
import { MachineFleet } from '../compat/fleet/machine-fleet.ts';
import { decideGossip } from '../compat/config/decide-gossip.ts';
import type { GatewayFacts } from '../compat/routes/context.ts';
import { registersPerDotMax, type OriginId } from '../src/crdt/dot.ts';
import { instant } from '../src/io/clock.ts';
import { openTransport, type GossipTransport, type Received } from '../src/io/gossip-transport.ts';
import { keyringFile, loadKeyring } from '../src/io/keyring-file.ts';
import type { Keyring } from '../src/io/keyring.ts';
import type { Log } from '../src/io/logging.ts';
import { loadMembers, memberKeeper, rememberLeaving } from '../src/io/members-meta.ts';
import { StartProblem } from '../src/kernel/start-problem.ts';
import { GatewayMachine } from '../src/node/gateway-machine.ts';
import type { MemberChange, Pool } from '../src/node/machine-port.ts';
import { decodeMessage, encodeMessage, type Message } from '../src/node/message.ts';
import type { Replica } from '../src/node/replica.ts';
import { DriveLoop, type Outward } from '../src/runtime/drive-loop.ts';
import type { Store } from '../src/state/store.ts';
import { lanProfile, wanProfile, type SwimProfile } from '../src/swim/profile.ts';
import type { MemberFacts } from '../src/swim/member.ts';
import { endpointText, type Endpoint } from '../src/wire/endpoint.ts';
import { MalformedError } from '../src/wire/schema.ts';

export interface FleetParts {
  readonly config: AgentConfig;
  readonly gateway: GatewayFacts;
  readonly store: Store;
  readonly replica: Replica;
  readonly log: Log;
  readonly onFatal: (error: unknown) => void;
  /** The others do not have this gateway: another one has its name or id. The process must stop. */
  readonly onRefused: (reason: string) => void;
  readonly onDefect: (error: unknown) => void;
}

/** What other gateways ask of this one's process; to be had once its other parts are there. */
export type Services = Pick<
  ConstructorParameters<typeof GossipServices>[0],
  'onEvent' | 'renewSession' | 'http' | 'migration'
>;

export interface Fleet {
  readonly machine: GatewayMachine;
  readonly loop: DriveLoop;
  readonly port: MachineFleet;
  readonly services: GossipServices;
  /** Undefined where a pool is off. */
  readonly transports: Readonly<Record<Pool, GossipTransport | undefined>>;
  serve(services: Services): void;
  close(): Promise<void>;
}

/** Protocol of gossip that this version speaks. */
const protocol = 1;

/**
 * Opens the gossip ports and makes the machine of this gateway and the loop that drives it.
 * @throws StartProblem when a port or the keyring cannot be had
 */
export async function openFleet(parts: FleetParts): Promise<Fleet> {
  const { config, gateway, store, replica, log } = parts;
  const keyring = openKeyring(config, log);
  let late: Services | undefined;
  const services = new GossipServices({
    nodeName: gateway.nodeName,
    keyring,
    onEvent: (event) => late?.onEvent(event),
    renewSession: (id) => late?.renewSession(id) ?? false,
    http: (body) => {
      const http = late?.http;
      return http === undefined ? Promise.reject(new Error('not ready yet')) : http(body);
    },
    migration: (body, from) => {
      const migration = late?.migration;
      return migration === undefined ? Promise.reject(new Error('not ready yet')) : migration(body, from);
    },
  });
  let counts = { malformed: 0 };
  let machine: GatewayMachine | undefined;
  let loop: DriveLoop | undefined;
  const open = (pool: Pool): Promise<GossipTransport | undefined> =>
    openPool(parts, pool, keyring, {
      cluster: () => (pool === 'lan' ? (machine?.cluster ?? '') : ''),
      onReceived: ({ from, cluster, messages: raw }) => {
        const messages: Message[] = [];
        for (const each of raw) {
          try {
            messages.push(decodeMessage(each));
          } catch (error) {
            if (!(error instanceof MalformedError)) throw error;
            counts = { malformed: counts.malformed + 1 };
          }
        }
        if (messages.length > 0) loop?.input({ kind: 'received', pool, from, cluster, messages });
      },
      onLost: (to, reason) => loop?.input({ kind: 'lost', pool, to, reason }),
    });
  const lan = await open('lan');
  const wan = await open('wan').catch(async (error: unknown) => {
    await lan?.close();
    throw error;
  });
  const transports = { lan, wan };
  const kept = loadMembers(store, config.join.rejoinAfterLeave);
  store.transact(() => rememberLeaving(store, false));
  machine = new GatewayMachine({
    ...{
      replica,
      cluster: store.getMeta('cluster') ?? '',
      incarnation: kept.incarnation,
      known: kept.members,
    },
    self: selfFacts(config, gateway, lan?.advertise),
    profile: profileOf(config, 'lan'),
    ...(wan === undefined
      ? {}
      : {
          wan: {
            name: `${gateway.nodeName}.${gateway.datacenter}`,
            endpoint: wan.advertise,
            profile: profileOf(config, 'wan'),
          },
        }),
    random: Math.random,
    now: instant(),
    holdMs: config.rpcHoldMs,
    newOrigin: () => randomBytes(16).toString('hex') as OriginId,
    persist: memberKeeper(store, kept),
    refuses: ({ datacenter }) =>
      datacenter === gateway.datacenter
        ? undefined
        : `it is of datacenter ${JSON.stringify(datacenter)}, this is ${JSON.stringify(gateway.datacenter)}: datacenters meet with "join -wan"`,
  });
  const running = machine;
  const encoded = encoder();
  const carryOut = (effect: Outward): void => {
    switch (effect.kind) {
      case 'send':
        transports[effect.pool]?.send(effect.to, effect.lane, encoded(effect.message), effect.bulk);
        return;
      case 'member':
        logMember(log, effect.pool, effect.change);
        if (effect.change.event !== 'suspect') port.membersChanged(effect.change.member.facts.id);
        return;
      case 'called': {
        const { pool, to, id } = effect;
        void services
          .answer(effect)
          .then((result) => loop?.input({ kind: 'call-answer', pool, to, id, result }));
        return;
      }
      case 'cluster':
        log.info({ cluster: effect.id }, 'this gateway now belongs to a cluster');
        return;
      case 'conflict':
        log.error(
          {
            member: effect.name,
            ours: endpointText(effect.ours.endpoint),
            theirs: endpointText(effect.theirs.endpoint),
          },
          'two gateways claim one name or id: stop one of them, or give it another node_name',
        );
        return;
      case 'refused':
        log.error({ pool: effect.pool, from: endpointText(effect.from), reason: effect.reason }, effect.text);
        // It said goodbye already: others know another one by its name or id, and it must not go on beside that one.
        if (effect.final && effect.pool === 'lan') parts.onRefused(effect.text);
        return;
      case 'notice':
        log[effect.level](effect.facts, effect.text);
        return;
    }
  };
  loop = new DriveLoop({
    machine: running,
    store,
    now: instant,
    onEffect: carryOut,
    onBatch: () => {
      lan?.flush();
      wan?.flush();
    },
    onFatal: parts.onFatal,
    onDefect: parts.onDefect,
  });
  const port: MachineFleet = new MachineFleet({
    ...{ machine: running, loop, services, encrypted: keyring !== undefined },
    coordinates: !config.gossip.disableCoordinates,
    transport: () => ({ ...transportCounts('lan', lan), ...transportCounts('wan', wan), ...counts }),
    now: instant,
  });
  return {
    ...{ machine: running, loop, port, services, transports },
    serve: (given) => {
      late = given;
    },
    close: async () => {
      await Promise.all([lan?.close(), wan?.close()]);
    },
  };
}

/** The same message often goes to several gateways, one after the other. */
function encoder(): (message: Message) => Uint8Array {
  let last: object | undefined;
  let bytes: Uint8Array = new Uint8Array();
  return (message) => {
    if (message.body === last) return bytes;
    bytes = encodeMessage(message);
    last = message.body;
    return bytes;
  };
}

function openKeyring(config: AgentConfig, log: Log): Keyring | undefined {
  const { gossip, dataDir, stateInMemory } = config;
  const inMemory = gossip.disableKeyringFile || stateInMemory || dataDir === undefined;
  const { keyring, warning } = loadKeyring({
    file: inMemory ? undefined : keyringFile(dataDir, 'lan'),
    encrypt: gossip.encryptKey,
    verifyIncoming: gossip.encryptVerifyIncoming,
    verifyOutgoing: gossip.encryptVerifyOutgoing,
  });
  if (warning !== undefined) log.warn(warning);
  return keyring;
}

interface PoolPorts {
  readonly cluster: () => string;
  readonly onReceived: (received: Received) => void;
  readonly onLost: (to: Endpoint, reason: string) => void;
}

async function openPool(
  { config, log }: FleetParts,
  pool: Pool,
  keyring: Keyring | undefined,
  ports: PoolPorts,
): Promise<GossipTransport | undefined> {
  const { gossip } = config;
  const decision = decideGossip(config, pool, keyring !== undefined);
  if (decision.kind === 'refused') throw new StartProblem(decision.message);
  if (decision.kind === 'alone') {
    if (decision.warning !== undefined) log.warn(decision.warning);
    return undefined;
  }
  const port = pool === 'lan' ? config.ports.serfLan : config.ports.serfWan;
  const transport = await openTransport({
    bind: { address: decision.bind, port },
    advertise: { address: pool === 'lan' ? config.advertiseAddr : config.advertiseAddrWan, port },
    pool,
    keyring,
    frameBytesMax: frameBytesOf(config),
    cluster: ports.cluster,
    onReceived: ports.onReceived,
    onLost: (to, _messages, reason) => ports.onLost(to, reason),
    log: log.child({ name: `agent.gossip.${pool}` }),
    allowPlaintext: gossip.allowPlaintext,
    allowed: addressFilter(pool === 'lan' ? gossip.lanAllowedCidrs : gossip.wanAllowedCidrs),
  });
  log.info(
    { pool, address: endpointText(transport.local), encrypted: keyring !== undefined },
    'gossip is listening',
  );
  return transport;
}

/** Above the largest entry of the log: as many values as it holds, each as large as it may be. */
function frameBytesOf({ limits }: AgentConfig): number {
  const largest = registersPerDotMax * (limits.kvValueBytesMax + 1024);
  return Math.min(Math.max(largest, 72 * 1024 * 1024), 250 * 1024 * 1024);
}

/** Networks that members may have addresses in; none named: all. */
function addressFilter(cidrs: readonly string[]): (address: string) => boolean {
  if (cidrs.length === 0) return () => true;
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [network = '', bits = ''] = cidr.split('/');
    list.addSubnet(network, Number(bits), isIPv6(network) ? 'ipv6' : 'ipv4');
  }
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function profileOf({ gossip, join }: AgentConfig, pool: Pool): SwimProfile {
  return pool === 'lan'
    ? { ...lanProfile, ...gossip.lan, reconnectTimeoutMs: join.reconnectMsMax }
    : { ...wanProfile, ...gossip.wan, reconnectTimeoutMs: join.reconnectWanMsMax };
}

function selfFacts(
  config: AgentConfig,
  gateway: GatewayFacts,
  advertise: Endpoint | undefined,
): Omit<MemberFacts, 'origin'> {
  const bootstrap = config.bootstrap || config.devMode;
  const wanPort = config.ports.serfWan < 0 ? {} : { serfWanPort: config.ports.serfWan };
  return {
    name: gateway.nodeName,
    id: gateway.nodeId,
    endpoint: advertise ?? { address: config.advertiseAddr, port: 0 },
    datacenter: gateway.datacenter,
    region: config.region,
    tags: serverTags({ gateway, bootstrap, ...wanPort }),
    protocolMin: protocol,
    protocolMax: protocol,
  };
}

function logMember(log: Log, pool: Pool, { event, member, previous }: MemberChange): void {
  const { name, endpoint, region } = member.facts;
  const facts = { pool, member: name, address: endpointText(endpoint), region };
  const was = previous === undefined ? {} : { was: previous.state };
  if (event === 'failed' || event === 'suspect') log.warn({ ...facts, ...was }, `member ${event}`);
  else log.info({ ...facts, ...was }, `member ${event}`);
}

function transportCounts(
  pool: Pool,
  transport: GossipTransport | undefined,
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  if (transport === undefined) return counts;
  // Those by reason (drops, losses, errors of the socket) are summed up here; the log names the reasons.
  for (const [name, value] of Object.entries(transport.stats()) as [
    string,
    number | Record<string, number>,
  ][]) {
    const total =
      typeof value === 'number' ? value : Object.values(value).reduce((sum, count) => sum + count, 0);
    counts[`${pool}_${name.replace(/[A-Z]/g, (at) => `_${at.toLowerCase()}`)}`] = total;
  }
  return counts;
}
