import type { OriginId } from '../../../src/crdt/dot.ts';
import { GatewayMachine } from '../../../src/node/gateway-machine.ts';
import type { MachineOptions, MemberChange, PersistMembers } from '../../../src/node/machine-port.ts';
import { Replica } from '../../../src/node/replica.ts';
import type { Command } from '../../../src/state/command.ts';
import type { CheckValue } from '../../../src/state/values.ts';
import type { Store } from '../../../src/state/store.ts';
import { isLive, type MemberFacts, type PersistedMember } from '../../../src/swim/member.ts';
import { lanProfile } from '../../../src/swim/profile.ts';
import type { SimGateway } from './gateway.ts';
import type { Mutation } from './mutation.ts';
import type { Rng } from './rng.ts';

export interface BootOptions {
  readonly region: string;
  readonly rng: Rng;
  /** Founds the cluster where there is none on the disk. */
  readonly founds: boolean;
  /** Members that it starts with; otherwise those on the disk. */
  readonly known?: readonly PersistedMember[];
  readonly mutation: Mutation;
}

const clusterId = '5eed5eed5eed5eed';
const holdMs = 7000;

/** What a gateway keeps of membership for its next start. */
interface Kept {
  readonly incarnation: number;
  readonly members: readonly PersistedMember[];
}

/** Starts a gateway's machine from what is on its disk, as its process does. */
export function bootMachine(gateway: SimGateway, options: BootOptions): GatewayMachine {
  const { mutation, rng } = options;
  const store = mutation.store?.(gateway.store) ?? gateway.store;
  // Where everybody is known from the start, all were of the cluster before.
  if (options.known !== undefined) store.transact(() => store.setMeta('cluster', clusterId));
  const kept = JSON.parse(store.getMeta('sim-members') ?? '{"incarnation":0,"members":[]}') as Kept;
  const replica = new Replica({
    store,
    origin: (store.getMeta('origin') ?? firstOrigin(gateway.nodeId)) as OriginId,
    nodeId: gateway.nodeId,
    nodeName: gateway.name,
  });
  if (options.founds) {
    store.transact(() => {
      replica.found(gateway.now.wallUs, clusterId);
      replica.flush();
    });
  }
  const machineOptions: MachineOptions = {
    replica,
    self: selfFacts(gateway, options.region),
    cluster: replica.cluster,
    incarnation: kept.incarnation,
    known: options.known?.filter(({ facts }) => facts.id !== gateway.nodeId) ?? kept.members,
    profile: lanProfile,
    random: () => rng.float(),
    now: gateway.now,
    holdMs,
    newOrigin: () => rng.hex(32) as OriginId,
    reactions,
    persist: options.known === undefined ? (members) => keep(store, members) : () => {},
  };
  const machine = new GatewayMachine(mutation.options?.(machineOptions) ?? machineOptions);
  mutation.machine?.(machine, gateway);
  return machine;
}

/** What a gateway writes of itself when it has started: its node, and that it lives. */
export function ownNode(gateway: SimGateway): readonly Command[] {
  return [
    {
      kind: 'catalog-register',
      node: {
        id: gateway.nodeId,
        node: gateway.name,
        address: gateway.endpoint.address,
        taggedAddresses: null,
        meta: null,
      },
      skipNodeUpdate: false,
      checks: [],
    },
    { kind: 'member-health', node: gateway.name, check: serfHealth(gateway.name, 'passing') },
  ];
}

/** All gateways, as each of them would know the others after a while. */
export function knownMembers(
  gateways: readonly SimGateway[],
  regionOf: (gateway: SimGateway) => string,
): readonly PersistedMember[] {
  return gateways.map((gateway) => ({
    facts: { ...selfFacts(gateway, regionOf(gateway)), origin: firstOrigin(gateway.nodeId) },
    state: 'alive',
    incarnation: 1,
    factsIncarnation: 1,
  }));
}

function selfFacts(gateway: SimGateway, region: string): Omit<MemberFacts, 'origin'> {
  return {
    name: gateway.name,
    id: gateway.nodeId,
    endpoint: gateway.endpoint,
    datacenter: 'dc1',
    region,
    tags: { role: 'consul', dc: 'dc1', port: '8300', vsn: '2' },
    protocolMin: 1,
    protocolMax: 1,
  };
}

/** Any will do, as long as no two gateways have the same. */
export function firstOrigin(nodeId: string): OriginId {
  return nodeId.replaceAll('-', '') as OriginId;
}

function keep(store: Store, { incarnation, put, remove }: PersistMembers): void {
  const kept = JSON.parse(store.getMeta('sim-members') ?? '{"members":[]}') as Kept;
  const gone = new Set([...remove, ...put.map(({ facts }) => facts.id)]);
  const members = [...kept.members.filter(({ facts }) => !gone.has(facts.id)), ...put];
  store.setMeta('sim-members', JSON.stringify({ incarnation, members } satisfies Kept));
}

/** serfHealth follows membership. */
function reactions({ event, member }: MemberChange): readonly Command[] {
  if (event === 'updated' || event === 'suspect') return [];
  const { name } = member.facts;
  const alive = event !== 'forgotten' && isLive(member);
  const check = event === 'forgotten' ? undefined : serfHealth(name, alive ? 'passing' : 'critical');
  return [{ kind: 'member-health', node: name, check }];
}

function serfHealth(node: string, status: string): CheckValue {
  return {
    node,
    checkId: 'serfHealth',
    name: 'Serf Health Status',
    status,
    notes: '',
    output: '',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
}
