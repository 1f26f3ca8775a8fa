import type { StatusBody } from '../../../../bin/cli/migrate-live-text.ts';
import type { StepReport } from '../../../../migration/live/control/stepper.ts';
import { authorityOf, type Phase } from '../../../../src/state/migration.ts';
import { Rng } from '../../../sim/lib/rng.ts';
import { FleetClient } from '../../../support/fleet-client.ts';
import { type FleetGateway, FleetProcess } from '../../../support/fleet-process.ts';
import { SourceCluster, type SourceServer } from '../../../support/source-cluster.ts';
import { openTcpGate, type TcpGate } from '../../../support/tcp-gates.ts';
import { Ledger } from './ledger.ts';
import { LiveClients } from './live-clients.ts';

export interface SceneOptions {
  readonly seed: string;
  readonly log: (text: string) => void;
  readonly clients: number;
  readonly thinkMs: number;
  readonly patienceMs: number;
}

const base = '/v1/grapevine/migration';
const settleMsMax = 60_000;
const stepMsMax = 60_000;

/** Keys that clients work on: below a prefix that is moved alone, and elsewhere. */
export const prefixes = ['app/', 'rest/'] as const;

/** Three servers of a real Consul, three gateways before them, and clients at all six doors. */
export class Scene {
  readonly cluster: SourceCluster;
  readonly gates: readonly TcpGate[];
  readonly fleet: FleetProcess;
  readonly ledger = new Ledger();
  readonly clients: LiveClients;
  readonly rng: Rng;
  readonly problems: string[] = [];
  readonly log: (text: string) => void;
  /** The phase of each rule of keys, as steps were made; the longest prefix counts. */
  readonly phases = new Map<string, Phase>([['', 'passthrough']]);
  /** Prefixes at which nobody writes past the gateways now. */
  readonly #closed = new Set<string>();
  readonly #oracles: readonly { readonly name: string; readonly client: FleetClient }[];

  private constructor(
    options: SceneOptions,
    cluster: SourceCluster,
    gates: readonly TcpGate[],
    fleet: FleetProcess,
  ) {
    this.cluster = cluster;
    this.gates = gates;
    this.fleet = fleet;
    this.log = options.log;
    this.rng = new Rng(options.seed);
    this.#oracles = cluster.servers.map(({ name, agent }) => ({ name, client: new FleetClient(agent.url) }));
    this.clients = new LiveClients({
      doors: (prefix) => this.#doors(prefix),
      ...{ ledger: this.ledger, rng: this.rng.split('clients'), prefixes },
      ...{ count: options.clients, thinkMs: options.thinkMs, patienceMs: options.patienceMs },
    });
  }

  static async start(options: SceneOptions): Promise<Scene> {
    const cluster = await SourceCluster.start(3);
    const gates = await Promise.all(cluster.servers.map(({ agent }) => openTcpGate(agent.httpPort)));
    try {
      const fleet = await FleetProcess.start({
        regions: ['eu', 'eu', 'us'],
        config: {
          migration: {
            source: gates.map(({ port }) => `http://127.0.0.1:${port}`),
            limits: { lag: '30s', requests_per_second: 400 },
          },
        },
      });
      const scene = new Scene(options, cluster, gates, fleet);
      await scene.until('first rules are written', async () => (await scene.status()).rules.length >= 2);
      return scene;
    } catch (error) {
      await Promise.all([cluster.stop(), ...gates.map((gate) => gate.close())]);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.clients.stop();
    for (const { client } of this.#oracles) client.close();
    await this.fleet.close();
    for (const server of this.cluster.servers) signal(server, 'SIGCONT');
    await this.cluster.stop();
    await Promise.all(this.gates.map((gate) => gate.close()));
  }

  get living(): readonly FleetGateway[] {
    return this.fleet.gateways.filter(({ isDown }) => !isDown);
  }

  phaseOf(key: string): Phase {
    const [, phase] = [...this.phases]
      .filter(([prefix]) => key.startsWith(prefix))
      .toSorted(([a], [b]) => b.length - a.length)[0] as [string, Phase];
    return phase;
  }

  /** Reads anew in which phases the rules are: after a step of which nobody knows whether it was made. */
  async refresh(): Promise<void> {
    for (const { kind, prefix, phase } of (await this.status()).rules) {
      if (kind === 'kv' && !prefix.startsWith('_gw/')) this.phases.set(prefix, phase as Phase);
    }
    for (const each of prefixes) {
      if (authorityOf(this.phaseOf(each)) === 'source') this.#closed.delete(each);
    }
  }

  async status(): Promise<StatusBody> {
    const [first] = this.living;
    if (first === undefined) throw new Error('no gateway lives');
    return first.json<StatusBody>(`${base}/status`);
  }

  async runner(): Promise<FleetGateway> {
    const { runner } = await this.status();
    if (runner === null) throw new Error('there is no runner');
    return this.fleet.gateway(runner);
  }

  /** The gateway that steps of a prefix are made by. */
  async owner(): Promise<FleetGateway> {
    const { Zones } = await (this.living[0] as FleetGateway).status();
    return this.fleet.gateway(Zones.find(({ Prefix }) => Prefix === '')?.Owner ?? 'g1');
  }

  async until(what: string, look: () => Promise<boolean>, msMax = settleMsMax): Promise<void> {
    await this.fleet.until(what, look, msMax);
  }

  /** `grapevine migrate …` at a gateway, as an operator. */
  async migrate(...args: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
    const gateway = this.rng.pick(this.living);
    const { code, stdout, stderr } = await gateway.cli('migrate', ...args);
    return { code, text: `${stdout}${stderr}` };
  }

  /** Tells direct clients to keep away where this fleet is about to decide, as an operator must. */
  async #closeDirectDoors(prefix: string, to: Phase): Promise<void> {
    if (authorityOf(to) === 'source') return;
    for (const each of prefixes) {
      if (each.startsWith(prefix) || prefix.startsWith(each)) this.#closed.add(each);
    }
    const direct = new Set(this.cluster.servers.map(({ name }) => name));
    await this.clients.untilIdle((door) => direct.has(door));
  }

  /** One step by the command line; gates that a short test cannot satisfy are passed over, no others. */
  async step(prefix: string, phase: Phase): Promise<string> {
    try {
      return await this.#step(prefix, phase);
    } finally {
      await this.refresh();
    }
  }

  async #step(prefix: string, phase: Phase): Promise<string> {
    const before = this.phaseOf(prefix);
    await this.#closeDirectDoors(prefix, phase);
    const cannotBe = /^(report|rollback-rehearsed)/;
    await this.until(`gates of ${prefix} -> ${phase}`, async () => {
      const body = { prefix, phase, dryRun: true };
      const report = await (this.living[0] as FleetGateway).json<StepReport>(`${base}/step`, body);
      const open = report.gates.filter(
        ({ state, name }) => state !== 'green' && !this.#isShort(name, cannotBe),
      );
      if (open.length > 0) throw new Error(open.map(({ name, detail }) => `${name}: ${detail}`).join('; '));
      return true;
    });
    const override = phase === 'cutover' ? ['-override', '-reason', 'a test is short'] : [];
    let last = '';
    await this.until(
      `${prefix} -> ${phase}`,
      async () => {
        const { code, text } = await this.migrate('phase', prefix, phase, ...override);
        last = text;
        if (code === 0 || text.includes(`is in phase ${phase}`)) return true;
        throw new Error(text);
      },
      stepMsMax,
    );
    const held = /writes were held for \d+ ms/.exec(last)?.[0] ?? '';
    this.log(`step ${JSON.stringify(prefix)} ${before} -> ${phase} ${held}`);
    return last;
  }

  #isShort(name: string, cannotBe: RegExp): boolean {
    return cannotBe.test(name) || !this.#ownGates.has(name);
  }

  readonly #ownGates = new Set([
    ...[
      'gateways-act-on-this-step',
      'source-reachable',
      'mirror-complete',
      'mirror-lag',
      'mass-delete-breaker',
    ],
    ...['copying-runs', 'repair-queue-empty', 'no-held-locks', 'indexes-grow', 'way-back'],
    'no-writes-past-the-gateways',
  ]);

  /** Lets clients work until so many more things were done by them. */
  async work(things: number): Promise<void> {
    const done = (): number => [...this.clients.counts.values()].reduce((sum, count) => sum + count, 0);
    const goal = done() + things;
    await this.until(`clients have done ${things} things more`, () => Promise.resolve(done() >= goal));
  }

  /** Stops the clients, waits until nothing is under way, and judges what every door shows; then they go on. */
  async settle(what: string): Promise<void> {
    await this.clients.pause();
    let problems: readonly string[] = [];
    const look = async (): Promise<boolean> => {
      problems = [...(await this.#open()), ...(await this.judge())];
      return problems.length === 0;
    };
    await this.until('what clients were told is so', look, settleMsMax).catch((error: unknown) => {
      if (problems.length === 0) problems = [String(error)];
    });
    const found = [...problems, ...this.ledger.problems.splice(0)];
    this.log(
      `${found.length === 0 ? 'so far well' : 'FOUND'}: ${what}; ${this.ledger.size} keys; ${this.clients.summary}`,
    );
    for (const problem of found) this.log(`    ${problem}`);
    this.problems.push(...found.map((problem) => `${what}: ${problem}`));
    this.clients.resume();
  }

  /** What is under way yet. */
  async #open(): Promise<readonly string[]> {
    const { gateways } = await this.status();
    return gateways.flatMap(({ name, status }) =>
      (status?.rules ?? []).flatMap((rule) => [
        ...((rule.open ?? 0) > 0 ? [`${name}: ${rule.open} writes of ${rule.prefix} under way`] : []),
        ...((rule.repairs?.keys ?? 0) > 0
          ? [`${name}: ${rule.repairs?.keys} keys of ${rule.prefix} to repair`]
          : []),
        ...((rule.reverse?.pending ?? 0) > 0 && rule.phase === 'cutover'
          ? [`${name}: ${rule.reverse?.pending} keys of ${rule.prefix} to copy back`]
          : []),
        ...((rule.reverse?.quarantined ?? 0) > 0
          ? [`${name}: ${rule.reverse?.quarantined} keys of ${rule.prefix} in quarantine`]
          : []),
      ]),
    );
  }

  /** What every gateway and every server of Consul shows, against the ledger and against each other. */
  async judge(): Promise<readonly string[]> {
    const doors = [
      ...this.living.map((gateway) => ({
        name: gateway.name,
        client: gateway as FleetClient,
        query: 'recurse',
      })),
      ...this.cluster.servers
        .filter((server) => isUp(server))
        .map(({ name, client }) => ({ name, client, query: 'recurse&stale' })),
    ];
    const isFinal = (prefix: string): boolean => this.phaseOf(prefix) === 'final';
    const isSource = new Set(this.cluster.servers.map(({ name }) => name));
    const readings = await Promise.all(
      doors.map(async ({ name, client, query }) => {
        const parts = await Promise.all(prefixes.map((prefix) => client.keys(prefix, query)));
        return {
          name,
          found: new Map(parts.flatMap((part) => [...part].map(([key, { value }]) => [key, value] as const))),
        };
      }),
    );
    const wrong = readings.flatMap(({ name, found }) =>
      this.ledger
        .judge(name, found)
        .filter(
          (text) =>
            !(isSource.has(name) && prefixes.some((each) => isFinal(each) && text.includes(` ${each}`))),
        ),
    );
    const [first, ...others] = readings.filter(({ name }) => !isSource.has(name) || !prefixes.some(isFinal));
    for (const other of others) {
      const keys = new Set([...(first?.found.keys() ?? []), ...other.found.keys()]);
      for (const key of keys) {
        const [a, b] = [first?.found.get(key), other.found.get(key)];
        if (a !== b) wrong.push(`${key} is ${a} at ${first?.name}, ${b} at ${other.name}`);
      }
    }
    return wrong.slice(0, 20);
  }

  /** Compares this fleet's copy with the source where reads are not answered from it. */
  async verify(prefix: string): Promise<void> {
    let text = '';
    await this.clients.pause();
    await this.until(`the copy of ${prefix} is equal`, async () => {
      const answer = await this.migrate('verify', prefix);
      ({ text } = answer);
      return answer.code === 0;
    }).catch(() => {
      this.problems.push(`copy of ${prefix} differs: ${text}`);
      this.log(`FOUND: copy of ${prefix} differs: ${text}`);
    });
    this.clients.resume();
  }

  #doors(prefix: string): readonly { readonly name: string; readonly client: FleetClient }[] {
    const gateways = this.fleet.gateways.map((gateway) => ({ name: gateway.name, client: gateway }));
    const isOpen = authorityOf(this.phaseOf(prefix)) === 'source' && !this.#closed.has(prefix);
    return isOpen ? [...gateways, ...this.#oracles] : gateways;
  }
}

/** Whether its process runs. */
export function isUp({ agent }: SourceServer): boolean {
  try {
    process.kill(agent.pid, 0);
    return agent.pid > 0;
  } catch {
    return false;
  }
}

export function signal({ agent }: SourceServer, name: NodeJS.Signals): void {
  try {
    if (agent.pid > 0) process.kill(agent.pid, name);
  } catch {
    // It is gone.
  }
}
