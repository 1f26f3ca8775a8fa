import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { consulBinary } from '../../test/support/real-consul.ts';
import { type Fleet, type Ground, logsOf, startServer, untilAll } from './fleet.ts';
import { ports, type Region, regions } from './network.ts';

const names = { A: 'consul-a', B: 'consul-b', C: 'consul-c' } as const;

/** Three Consul servers that elect their leader, with the timing that Consul has by default. */
export async function startConsulFleet(ground: Ground): Promise<Fleet> {
  const { network, clients, keeper } = ground;
  const binary = consulBinary();
  const configFile = join(keeper.place, 'consul.json');
  writeFileSync(
    configFile,
    JSON.stringify({
      disable_update_check: true,
      encrypt: randomBytes(32).toString('base64'),
      limits: { http_max_conns_per_client: 15_000 },
      ports: {
        http: ports.consul.http,
        server: ports.consul.server,
        serf_lan: ports.consul.serfLan,
        serf_wan: -1,
        dns: -1,
        grpc: -1,
      },
    }),
    // It holds a key.
    { mode: 0o600 },
  );
  const server = (region: Region) => ({ host: network.bindAddress(region), port: ports.consul.http });
  const start = (region: Region) =>
    startServer(ground, region, names[region], binary, (dataDir) => [
      'agent',
      '-server',
      `-bootstrap-expect=${regions.length}`,
      `-config-file=${configFile}`,
      `-node=${names[region]}`,
      `-data-dir=${dataDir}`,
      `-bind=${network.bindAddress(region)}`,
      `-advertise=${network.advertiseAddress(region)}`,
      `-client=${network.bindAddress(region)}`,
      ...regions
        .filter((other) => other !== region)
        .map((other) => `-retry-join=${network.advertiseAddress(other)}:${ports.consul.serfLan}`),
      '-log-level=warn',
    ]);
  const servers = { A: start('A'), B: start('B'), C: start('C') };
  const ask = async (region: Region, path: string): Promise<string> => {
    const { status, body } = await clients[region].order('ask', { server: server(region), path });
    if (status !== 200) throw new Error(`${names[region]}: ${path}: ${status} ${body}`);
    return body;
  };
  await untilAll(servers, 'one of three with a leader', 60_000, async (region) => {
    const leader = JSON.parse(await ask(region, '/v1/status/leader')) as string;
    const peers = JSON.parse(await ask(region, '/v1/status/peers')) as string[];
    return leader !== '' && peers.length === regions.length;
  });
  return {
    name: 'Consul',
    server,
    logs: () => logsOf(servers),
    describe: async () => {
      const leader = JSON.parse(await ask('A', '/v1/status/leader')) as string;
      const region = regions.find((name) => leader.startsWith(`${network.advertiseAddress(name)}:`));
      return `Consul's leader is in ${region ?? 'no region'}`;
    },
  };
}
