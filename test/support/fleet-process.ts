import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentProcess, type CommandResult, runCommand, startAgent } from './agent-process.ts';
import { FleetClient } from './fleet-client.ts';
import { type FleetLinks, type FleetLinksPlan, openFleetLinks } from './fleet-links.ts';
import { gatewayCommand } from './gateway-process.ts';

/** How a gateway is started: what is different from all others. */
export interface GatewayPlan {
  readonly name: string;
  readonly region: string;
  /** Merged (objects deeply) over the configuration that the support code makes. */
  readonly config?: object;
}

export interface FleetPlan {
  /** In this order g1, g2, …; the first one founds the datacenter. */
  readonly regions: readonly string[];
  readonly datacenter?: string;
  /** Base64; made at random where it is not said. Null: gossip in plain text. */
  readonly encrypt?: string | null;
  /** Further configuration of all gateways. */
  readonly config?: object;
  /** Gossip goes over links that can be cut. */
  readonly links?: FleetLinksPlan;
  /** Their names begin so. */
  readonly namePrefix?: string;
}

const startMsMax = 60_000;
/** How long anything may take that a test waits for: long, since many tests may share few cores. */
const waitMsMax = 90_000;

/** Quicker than in production, slower than what a busy machine of two cores could not keep up with. */
const gossipOfTests = {
  probe_interval: '300ms',
  probe_timeout: '250ms',
  gossip_interval: '60ms',
};

/** Numbers of Serf, in `/v1/agent/members`. */
export const memberStatus = { alive: 1, leaving: 2, left: 3, failed: 4 } as const;

/** One gateway of a fleet; its process may come and go. */
export class FleetGateway extends FleetClient {
  readonly name: string;
  readonly region: string;
  readonly agent: AgentProcess;
  readonly wrapper: Wrapper;
  #paused = false;
  #down = false;

  constructor(plan: GatewayPlan, agent: AgentProcess, wrapper: Wrapper) {
    super(agent.url);
    this.name = plan.name;
    this.region = plan.region;
    this.agent = agent;
    this.wrapper = wrapper;
  }

  /** It was killed, and not started again. */
  get isDown(): boolean {
    return this.#down;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    this.#paused = false;
    this.#down = true;
    await this.agent.kill();
  }

  /** SIGTERM, and waits for the end; data and ports stay. */
  async terminate(): Promise<number> {
    process.kill(this.agent.pid, 'SIGTERM');
    return this.agent.exited();
  }

  /** Its process stands still, as on a machine that swaps or is suspended. */
  pause(): void {
    process.kill(this.agent.pid, 'SIGSTOP');
    this.#paused = true;
  }

  resume(): void {
    if (this.#paused) process.kill(this.agent.pid, 'SIGCONT');
    this.#paused = false;
  }

  /** Starts it (again), and waits until it serves. */
  async restart(options: RestartOptions = {}): Promise<void> {
    this.#paused = false;
    this.wrapper.fileKibMax = options.fileKibMax;
    this.wrapper.retryJoin = options.retryJoin ?? true;
    await this.agent.restart();
    this.#down = false;
  }

  /** Its data directory is lost; the process must be down. */
  async loseData(): Promise<void> {
    await rm(this.agent.dataDir, { recursive: true, force: true });
  }

  /** A copy of its data directory in a directory of its own, removed with the fleet; the process must be down. */
  async copyData(place: string): Promise<string> {
    const copy = await mkdtemp(join(place, `${this.name}-`));
    await cp(this.agent.dataDir, copy, { recursive: true });
    return copy;
  }

  async restoreData(copy: string): Promise<void> {
    await this.loseData();
    await cp(copy, this.agent.dataDir, { recursive: true });
  }

  /** Runs `grapevine` against it. */
  cli(...args: readonly string[]): Promise<CommandResult> {
    const [command, ...before] = gatewayCommand();
    return runCommand(command, [...before, ...args, `-http-addr=${this.agent.url}`]);
  }

  /** Names of the members with their status, as it sees them. */
  async members(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.json<{ Name: string; Status: number }[]>('/v1/agent/members');
    return new Map(rows.map(({ Name, Status }) => [Name, Status]));
  }

  async status(): Promise<FleetStatus> {
    return this.json<FleetStatus>('/v1/grapevine/status');
  }

  override close(): void {
    super.close();
    this.resume();
  }
}

/** What a gateway runs under; read at each start. */
interface Wrapper {
  fileKibMax: number | undefined;
  retryJoin: boolean;
}

export interface RestartOptions {
  /** No file of it grows beyond that many KiB. */
  readonly fileKibMax?: number;
  /** False: nobody tells it whom to join. */
  readonly retryJoin?: boolean;
}

export interface FleetStatus {
  readonly ClusterID: string;
  readonly Members: readonly { readonly Name: string; readonly ID: string; readonly Status: number }[];
  readonly Zones: readonly FleetZone[];
  readonly Origins: readonly FleetOrigin[];
  readonly Conflicts: number;
  readonly Quarantined: number;
  readonly Divergence: { readonly Found: number; readonly Repaired: number };
  readonly Totals: Readonly<Record<string, number>>;
}

export interface FleetZone {
  readonly Prefix: string;
  readonly ExternalNodes: boolean;
  readonly Owner: string;
  readonly Term: number;
  readonly Cause: string;
  readonly Reason: string;
  readonly Ready: boolean;
  readonly Problem: string;
}

export interface FleetOrigin {
  readonly Node: string;
  readonly Origin: string;
  readonly Active: boolean;
  readonly HeadKnown: number;
  readonly HeadSeen: number;
  readonly Contiguous: number;
  readonly Missing: number;
}

/** Some gateways in processes of their own. None outlives this process, however it ends. */
export class FleetProcess {
  readonly gateways: readonly FleetGateway[];
  readonly encrypt: string | null;
  readonly links: FleetLinks | undefined;
  /** For what a test needs on disk; removed at the end. */
  readonly place: string;
  readonly #plan: FleetPlan;
  readonly #gateways: FleetGateway[];

  private constructor(plan: FleetPlan, encrypt: string | null, links: FleetLinks | undefined, place: string) {
    this.#plan = plan;
    this.#gateways = this.gateways = [];
    this.encrypt = encrypt;
    this.links = links;
    this.place = place;
  }

  /** Starts all, and waits until all see all. */
  static async start(plan: FleetPlan): Promise<FleetProcess> {
    const places = plan.regions.map((region, i) => ({ name: `${plan.namePrefix ?? 'g'}${i + 1}`, region }));
    const links = plan.links === undefined ? undefined : await openFleetLinks(places, plan.links);
    const encrypt = plan.encrypt === undefined ? newKey() : plan.encrypt;
    const place = await mkdtemp(join(tmpdir(), 'grapevine-test-fleet-'));
    const fleet = new FleetProcess(plan, encrypt, links, place);
    try {
      const [founder, ...others] = places;
      if (founder !== undefined) await fleet.add({ ...founder, config: { bootstrap: true } });
      await Promise.all(others.map((each) => fleet.add(each)));
      fleet.#gateways.sort((a, b) => (a.name < b.name ? -1 : 1));
      await fleet.untilTogether();
      return fleet;
    } catch (error) {
      await fleet.close();
      throw error;
    }
  }

  gateway(name: string): FleetGateway {
    const gateway = this.gateways.find((each) => each.name === name);
    if (gateway === undefined) throw new Error(`no gateway is called ${name}`);
    return gateway;
  }

  /** Where a gateway is reached by the others. */
  endpoint(name: string, pool: 'lan' | 'wan' = 'lan'): string {
    const { ports } = this.gateway(name).agent;
    const { links } = this;
    if (links === undefined) return `127.0.0.1:${pool === 'lan' ? ports.serfLan : ports.serfWan}`;
    return `${links.advertiseAddress(name)}:${pool === 'lan' ? links.serfLanPort : links.serfWanPort}`;
  }

  /** Starts one more, and waits until it serves; by default it joins the first one. */
  async add(plan: GatewayPlan): Promise<FleetGateway> {
    const wrapper: Wrapper = { fileKibMax: undefined, retryJoin: true };
    const joins = this.#gateways.slice(0, 1).map(({ name }) => `-retry-join=${this.endpoint(name)}`);
    const agent = await startAgent(
      {
        command: 'bash',
        namePrefix: 'fleet',
        startMsMax,
        ...('migration' in { ...this.#plan.config, ...plan.config } ? { isServing: knowsItsPhases } : {}),
        args: (configFile) => [
          '-c',
          // As the same process, so that signals to it are signals to the gateway.
          wrapper.fileKibMax === undefined ? 'exec "$@"' : `ulimit -f ${wrapper.fileKibMax}; exec "$@"`,
          'gateway',
          ...gatewayCommand(),
          'agent',
          `-config-file=${configFile}`,
          ...(wrapper.retryJoin ? joins : []),
        ],
        config: ({ ports, dataDir, nodeName }) => ({
          node_name: nodeName,
          data_dir: dataDir,
          server: true,
          datacenter: this.#plan.datacenter ?? 'dc1',
          client_addr: '127.0.0.1',
          ...this.#addresses(plan.name, ports.serfLan, ports.serfWan),
          ports: { http: ports.http, dns: ports.dns, grpc: -1, server: ports.server, ...this.#ports(ports) },
          ...(this.encrypt === null ? {} : { encrypt: this.encrypt }),
          retry_interval: '1s',
          limits: { http_max_conns_per_client: 15_000 },
          gossip_lan: gossipOfTests,
          gossip_wan: gossipOfTests,
          grapevine: { region: plan.region },
        }),
      },
      { config: { node_name: plan.name, ...this.#plan.config, ...plan.config } },
    );
    const gateway = new FleetGateway(plan, agent, wrapper);
    this.#gateways.push(gateway);
    return gateway;
  }

  /** Ends one and forgets it. */
  async remove(gateway: FleetGateway): Promise<void> {
    gateway.close();
    await gateway.kill();
    await gateway.agent.stop();
    this.#gateways.splice(this.#gateways.indexOf(gateway), 1);
  }

  /** Waits until something is so; rejects with what there is instead, when that takes too long. */
  async until(what: string, look: () => Promise<boolean>, msMax = waitMsMax): Promise<void> {
    const endMs = Date.now() + msMax;
    let last: unknown = 'it is not so';
    while (Date.now() < endMs) {
      try {
        if (await look()) return;
        last = 'it is not so';
      } catch (error) {
        last = error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${what}: not within ${msMax / 1000} s: ${String(last)}\n${await this.report()}`);
  }

  /** Waits until each of these gateways (all) sees each of them alive and nobody else so, and has its node. */
  async untilTogether(some: readonly FleetGateway[] = this.gateways): Promise<void> {
    const names = some.map(({ name }) => name).toSorted();
    await Promise.all(
      some.map(async (gateway) => {
        await this.until(`${gateway.name} sees ${names.join(', ')}`, async () => {
          const members = [...(await gateway.members())];
          const alive = members.flatMap(([name, status]) => (status === memberStatus.alive ? [name] : []));
          return alive.toSorted().join() === names.join();
        });
        // While it is moved to, the source's nodes are shown.
        if ('migration' in { ...this.#plan.config }) return;
        await gateway.untilAnswer('/v1/catalog/nodes', ({ text }) => {
          const nodes = (JSON.parse(text) as { Node: string }[]).map(({ Node }) => Node);
          return names.every((name) => nodes.includes(name));
        });
      }),
    );
  }

  /** Gives a zone to a gateway, and waits until all know it as the one that serves. */
  async delegate(prefix: string, to: string, through = this.gateways[0]): Promise<void> {
    await through?.json('/v1/grapevine/zones/delegate', { Prefix: prefix, Gateway: to });
    await this.untilOwner(prefix, to);
  }

  async untilOwner(prefix: string, owner: string, some = this.gateways): Promise<void> {
    await this.until(`${owner} owns ${JSON.stringify(prefix)}`, async () => {
      const zones = await Promise.all(
        some.map((gateway) => gateway.json<FleetZone[]>('/v1/grapevine/zones')),
      );
      return zones.every((each) =>
        each.some(
          (zone) => zone.Prefix === prefix && !zone.ExternalNodes && zone.Owner === owner && zone.Ready,
        ),
      );
    });
  }

  /** What each of them says of itself, and the end of what it printed, for a failure's report. */
  async report(): Promise<string> {
    const parts = this.gateways.map(async (gateway) => {
      const status = await gateway
        .cli('status')
        .then(({ stdout, stderr }) => `${stdout}${stderr}`)
        .catch((error: unknown) => String(error));
      return `--- ${gateway.name}:\n${status}\n${gateway.agent.output().split('\n').slice(-25).join('\n')}`;
    });
    return (await Promise.all(parts)).join('\n');
  }

  /** Ends all, and removes all that they had. */
  async close(): Promise<void> {
    for (const gateway of this.gateways) gateway.close();
    await Promise.all(
      this.gateways.map(async (gateway) => {
        await gateway.kill();
        await gateway.agent.stop();
      }),
    );
    await this.links?.close();
    await rm(this.place, { recursive: true, force: true });
  }

  #addresses(name: string, _serfLan: number, _serfWan: number): object {
    const { links } = this;
    if (links === undefined) return { bind_addr: '127.0.0.1' };
    return { bind_addr: links.bindAddress(name), advertise_addr: links.advertiseAddress(name) };
  }

  #ports(own: { readonly serfLan: number; readonly serfWan: number }): object {
    const { links } = this;
    return links === undefined
      ? { serf_lan: own.serfLan, serf_wan: own.serfWan }
      : { serf_lan: links.serfLanPort, serf_wan: links.serfWanPort };
  }
}

/** A new key for gossip. */
export function newKey(): string {
  return randomBytes(32).toString('base64');
}

/** Of a gateway that is moved to: what it says of nodes may be the source's. */
async function knowsItsPhases(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(`${url}/v1/kv/_gw/absent`, { signal });
  await response.arrayBuffer();
  return response.status === 404;
}
