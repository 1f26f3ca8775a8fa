import type {
  Confirmation,
  ConflictView,
  FleetCounters,
  FleetOutcome,
  FleetPort,
  Freshness,
  JoinResult,
  KeyringOrder,
  KeyringReport,
  MemberView,
  OriginView,
  QuarantineView,
  ReadScope,
  ReplayResult,
  ZoneView,
} from '../../compat/fleet/port.ts';
import { serverTags } from '../../compat/agent/server-tags.ts';
import type { OriginId } from '../../src/crdt/dot.ts';
import type { Coordinate } from '../../src/state/coordinates.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';

/** A node id from a short name. */
export function nodeIdOf(name: string): string {
  const hex = Buffer.from(name).toString('hex').padEnd(12, '0').slice(0, 12);
  return `00000000-0000-4000-8000-${hex}`;
}

export function originOf(name: string): OriginId {
  return Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32) as OriginId;
}

export function memberView(name: string, over: Partial<MemberView> = {}, region = 'eu'): MemberView {
  const octet = name.charCodeAt(name.length - 1) % 200;
  return {
    facts: {
      name,
      id: nodeIdOf(name),
      endpoint: { address: `10.0.0.${octet}`, port: 8301 },
      datacenter: 'dc1',
      region,
      origin: originOf(name),
      tags: serverTags({
        gateway: { datacenter: 'dc1', nodeId: nodeIdOf(name), serverPort: 8300 },
        bootstrap: false,
        serfWanPort: 8302,
      }),
      protocolMin: 1,
      protocolMax: 1,
    },
    state: 'alive',
    leaving: false,
    incarnation: 1,
    rttMs: undefined,
    sinceMs: 1_700_000_000_000,
    ...over,
  };
}

export function zoneView(prefix: string, owner: string, over: Partial<ZoneView> = {}): ZoneView {
  return {
    prefix,
    ownerId: nodeIdOf(owner),
    owner,
    region: 'eu',
    term: 1,
    sinceMs: 1_700_000_000_000,
    cause: 'founded',
    by: owner,
    reason: '',
    reachable: true,
    ready: true,
    problem: '',
    ...over,
  };
}

export function originView(node: string, over: Partial<OriginView> = {}): OriginView {
  return {
    origin: originOf(node),
    nodeId: nodeIdOf(node),
    node,
    region: 'eu',
    headKnown: 10,
    headSeen: 10,
    contiguous: 10,
    missing: 0,
    gaps: [],
    ageMs: 40,
    active: true,
    ...over,
  };
}

/** A fleet that is what tests say it is, and keeps what was asked of it. The first member is the gateway itself. */
export class FakeFleet implements FleetPort {
  clusterId = '0123456789abcdef';
  lan: MemberView[];
  wan: MemberView[] = [];
  zoneList: ZoneView[];
  originList: OriginView[] = [];
  fresh: (scope: ReadScope) => Freshness = () => ({ knownLeader: true, lastContactMs: 0 });
  confirmation: (scope: ReadScope) => Promise<Confirmation> = () => Promise.resolve({ kind: 'confirmed' });
  place: Coordinate | undefined;
  joined: (endpoint: Endpoint) => JoinResult = (endpoint) => ({ endpoint, ok: true });
  outcome: FleetOutcome = { kind: 'done' };
  keyrings: KeyringReport[] | undefined;
  conflictList: ConflictView[] = [];
  quarantineList: QuarantineView[] = [];
  replayed: ReplayResult[] = [];
  counted: FleetCounters = {
    totals: { packets_sent: 12 },
    queues: [{ name: 'events', length: 2, lengthMax: 100, dropped: 1 }],
    healthScore: 0,
    divergence: { found: 0, repaired: 0, lastMs: 0 },
    conflicts: 0,
    quarantined: 0,
  };
  /** What was asked for, in order. */
  readonly asked: string[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(...names: readonly string[]) {
    const members = names.length === 0 ? ['a'] : names;
    this.lan = members.map((name) => memberView(name));
    this.zoneList = [zoneView('', members[0] as string)];
  }

  self(pool: 'lan' | 'wan'): MemberView {
    return ((pool === 'wan' ? this.wan[0] : undefined) ?? this.lan[0]) as MemberView;
  }

  members(pool: 'lan' | 'wan'): readonly MemberView[] {
    return pool === 'lan' ? this.lan : this.wan;
  }

  /** Replaces what is known of a member, and tells it. */
  change(name: string, over: Partial<MemberView> | undefined): void {
    this.lan = this.lan.flatMap((member) => {
      if (member.facts.name !== name) return [member];
      return over === undefined ? [] : [{ ...member, ...over }];
    });
    for (const listener of this.#listeners) listener();
  }

  onMembersChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  zones(): readonly ZoneView[] {
    return this.zoneList;
  }

  readonly zone = {
    delegate: (prefix: string, gateway: string): Promise<FleetOutcome> =>
      this.#ask(`delegate ${prefix} ${gateway}`),
    takeover: (prefix: string, reason: string): Promise<FleetOutcome> =>
      this.#ask(`takeover ${prefix} ${reason}`),
    replay: (ids: readonly string[] | undefined): Promise<readonly ReplayResult[]> => {
      this.asked.push(`replay ${ids?.join(',') ?? 'all'}`);
      return Promise.resolve(this.replayed);
    },
    drop: (ids: readonly string[] | undefined): Promise<readonly ReplayResult[]> => {
      this.asked.push(`drop ${ids?.join(',') ?? 'replayed'}`);
      return Promise.resolve(this.replayed);
    },
  };

  #ask(order: string): Promise<FleetOutcome> {
    this.asked.push(order);
    return Promise.resolve(this.outcome);
  }

  ownsCatalog(): boolean {
    return this.zoneList.some(({ prefix, ownerId }) => prefix === '' && ownerId === this.lan[0]?.facts.id);
  }

  origins(): readonly OriginView[] {
    return this.originList;
  }

  writer(originRef: number): OriginView | undefined {
    return this.originList[originRef - 1];
  }

  freshness(scope: ReadScope): Freshness {
    return this.fresh(scope);
  }

  confirm(scope: ReadScope): Promise<Confirmation> {
    this.asked.push(`confirm ${JSON.stringify(scope)}`);
    return this.confirmation(scope);
  }

  coordinate(): Coordinate | undefined {
    return this.place;
  }

  join(endpoints: readonly Endpoint[], pool: 'lan' | 'wan'): Promise<readonly JoinResult[]> {
    this.asked.push(`join ${pool} ${endpoints.map(({ address, port }) => `${address}:${port}`).join(' ')}`);
    return Promise.resolve(endpoints.map((endpoint) => this.joined(endpoint)));
  }

  leave(): Promise<void> {
    this.asked.push('leave');
    return Promise.resolve();
  }

  forceLeave(name: string, prune: boolean): Promise<FleetOutcome> {
    return this.#ask(`force-leave ${name}${prune ? ' prune' : ''}`);
  }

  get keyring(): FleetPort['keyring'] {
    const { keyrings } = this;
    if (keyrings === undefined) return undefined;
    return {
      run: (order: KeyringOrder) => {
        this.asked.push(`keyring ${order.kind}${order.kind === 'list' ? '' : ` ${order.key}`}`);
        return Promise.resolve(keyrings);
      },
    };
  }

  conflicts(after: string, limit: number): readonly ConflictView[] {
    return this.conflictList.filter(({ id }) => id > after).slice(0, limit);
  }

  quarantine(after: string, limit: number): readonly QuarantineView[] {
    return this.quarantineList.filter(({ id }) => id > after).slice(0, limit);
  }

  counters(): FleetCounters {
    return this.counted;
  }
}
