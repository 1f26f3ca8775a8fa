import { randomBytes } from 'node:crypto';
import { openLinks, type Links } from '../test/support/link-relay.ts';
import { askJson, until } from './demo-client.ts';
import { freePort, grapevine, startAgent, type Agent } from './demo-processes.ts';

// Three gateways in three regions: processes on loopback, with as much delay between them as between real regions.

export const regions = ['eu', 'us', 'ap'] as const;
export type Region = (typeof regions)[number];

/** With less of everything, and near regions: for tests. */
export const isShort = process.env['GRAPEVINE_DEMO_SHORT'] === '1';

/** One way, as between Frankfurt, Virginia and Tokyo. */
const delaysMs: Readonly<Record<string, number>> = { 'eu us': 40, 'us ap': 75, 'eu ap': 100 };

export interface Fleet {
  readonly gateways: Readonly<Record<Region, Agent>>;
  /** Undefined on systems without loopback addresses to spare: then there are no delays, and nothing to cut. */
  readonly links: Links | undefined;
  /** One way. */
  readonly delayMs: (from: Region, to: Region) => number;
}

export const gatewayName = (region: Region): string => `gateway-${region}`;

/** `config` is given to every gateway, in place of zones by region. */
export async function startFleet(config?: Readonly<Record<string, unknown>>): Promise<Fleet> {
  const serfLan = await freePort();
  const net = `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;
  const address = (region: Region): string => `${net}.${regions.indexOf(region) + 1}`;
  const advertised = (region: Region): string => `${net}.${regions.indexOf(region) + 101}`;
  const delayMs = (from: string, to: string): number =>
    (delaysMs[`${from} ${to}`] ?? delaysMs[`${to} ${from}`] ?? 0) / (isShort ? 10 : 1);
  const links = await openLinks({
    nodes: regions.map((region) => ({
      name: region,
      address: address(region),
      advertiseAddress: advertised(region),
      ports: [serfLan],
    })),
    delayMs,
  }).catch(() => undefined);
  const ownPorts = await Promise.all(regions.map(freePort));
  const port = (region: Region): number =>
    links === undefined ? (ownPorts[regions.indexOf(region)] ?? 0) : serfLan;
  const endpoint = (region: Region): string =>
    `${links === undefined ? '127.0.0.1' : advertised(region)}:${port(region)}`;
  const encrypt = randomBytes(32).toString('base64');
  const zones = regions.map((each) => ({ prefix: `${each}/`, region: each }));
  const start = (region: Region): Promise<Agent> =>
    startAgent({
      name: gatewayName(region),
      program: grapevine,
      config: {
        encrypt,
        ...(region === 'eu' ? { bootstrap: true } : {}),
        ...(links === undefined
          ? {}
          : { bind_addr: address(region), advertise_addr: advertised(region), client_addr: '127.0.0.1' }),
        retry_join: regions.filter((other) => other !== region).map(endpoint),
        retry_interval: '1s',
        ports: { serf_lan: port(region), serf_wan: -1 },
        grapevine: { region, ...(config === undefined ? { zones } : {}) },
        ...config,
      },
      ready: async (url) => (await fetch(`${url}/v1/agent/self`)).ok,
    });
  const [eu, us, ap] = await Promise.all([start('eu'), start('us'), start('ap')]);
  const gateways = { eu, us, ap };
  const settled = await until(
    async () =>
      (await Promise.all(regions.map((r) => isSettled(gateways[r], config === undefined)))).every(Boolean),
    30_000,
  );
  if (settled === undefined) throw new Error('the three gateways did not become one datacenter within 30 s');
  return { gateways, links, delayMs: links === undefined ? () => 0 : delayMs };
}

/** It sees all three, and each zone at its owner. */
async function isSettled({ url }: Agent, byRegion: boolean): Promise<boolean> {
  const members = await askJson<readonly { readonly Status: number }[]>(`${url}/v1/agent/members`);
  // Consul's number for a member that is alive.
  if (members.filter(({ Status }) => Status === 1).length !== regions.length) return false;
  if (!byRegion) return true;
  return (await Promise.all(regions.map((region) => isOwner(url, `${region}/`, gatewayName(region))))).every(
    Boolean,
  );
}

/** Whether a gateway sees another one as the owner of a zone who takes its writes. */
export async function isOwner(url: string, prefix: string, owner: string): Promise<boolean> {
  const zones = await askJson<
    readonly { readonly Prefix: string; readonly Owner: string; readonly Ready: boolean }[]
  >(`${url}/v1/grapevine/zones`);
  return zones.some((zone) => zone.Prefix === prefix && zone.Owner === owner && zone.Ready);
}
