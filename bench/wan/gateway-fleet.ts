import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gatewayCommand } from '../../test/support/gateway-process.ts';
import { type Fleet, type Ground, logsOf, prefixOf, startServer, untilAll } from './fleet.ts';
import { ports, type Region, regions } from './network.ts';

const names = { A: 'gateway-a', B: 'gateway-b', C: 'gateway-c' } as const;

/** Three gateways: A founds the datacenter, the others join it, and each gets the zone of its region. */
export async function startGatewayFleet(ground: Ground): Promise<Fleet> {
  const { network, clients, keeper } = ground;
  const [command, ...before] = gatewayCommand();
  const configFile = join(keeper.place, 'grapevine.json');
  writeFileSync(
    configFile,
    JSON.stringify({
      datacenter: 'dc1',
      encrypt: randomBytes(32).toString('base64'),
      limits: { http_max_conns_per_client: 15_000 },
      ports: {
        http: ports.grapevine.http,
        server: ports.grapevine.server,
        serf_lan: ports.grapevine.serfLan,
        serf_wan: -1,
        dns: -1,
        grpc: -1,
      },
    }),
    // It holds a key.
    { mode: 0o600 },
  );
  const server = (region: Region) => ({ host: network.bindAddress(region), port: ports.grapevine.http });
  const start = (region: Region) =>
    startServer(ground, region, names[region], command, (dataDir) => [
      ...before,
      'agent',
      '-server',
      ...(region === 'A' ? ['-bootstrap'] : []),
      `-config-file=${configFile}`,
      `-node=${names[region]}`,
      `-region=${region.toLowerCase()}`,
      `-data-dir=${dataDir}`,
      `-bind=${network.bindAddress(region)}`,
      `-advertise=${network.advertiseAddress(region)}`,
      `-client=${network.bindAddress(region)}`,
      ...regions
        .filter((other) => other !== region)
        .map((other) => `-retry-join=${network.advertiseAddress(other)}:${ports.grapevine.serfLan}`),
      '-log-level=warn',
    ]);
  const servers = { A: start('A'), B: start('B'), C: start('C') };
  const ask = async (region: Region, path: string, body?: string): Promise<string> => {
    const answer = await clients[region].order('ask', {
      server: server(region),
      path,
      ...(body === undefined ? {} : { body }),
    });
    if (answer.status !== 200) throw new Error(`${names[region]}: ${path}: ${answer.status} ${answer.body}`);
    return answer.body;
  };
  // Consul's number for a member that is alive.
  const alive = 1;
  await untilAll(servers, 'one of three', 60_000, async (region) => {
    const members = JSON.parse(await ask(region, '/v1/agent/members')) as { readonly Status: number }[];
    return members.filter(({ Status }) => Status === alive).length === regions.length;
  });
  for (const region of regions) {
    const delegation = JSON.stringify({ Prefix: prefixOf(region), Gateway: names[region] });
    if (region !== 'A') await ask('A', '/v1/grapevine/zones/delegate', delegation);
  }
  await untilAll(servers, 'the owner of its zone', 60_000, async (region) => {
    if (region === 'A') return true;
    const zones = JSON.parse(await ask(region, '/v1/grapevine/zones')) as readonly {
      readonly Prefix: string;
      readonly Owner: string;
      readonly Ready: boolean;
    }[];
    return zones.some(
      ({ Prefix, Owner, Ready }) => Prefix === prefixOf(region) && Owner === names[region] && Ready,
    );
  });
  return {
    name: 'Grapevine',
    server,
    logs: () => logsOf(servers),
    describe: () =>
      Promise.resolve('each gateway owns the keys of its region; A founded the datacenter and owns the rest'),
  };
}
