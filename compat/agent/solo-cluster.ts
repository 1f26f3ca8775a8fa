import type { GatewayFacts } from '../routes/context.ts';
import { consulVersion } from './own-node.ts';
import type { AgentOutcome, ClusterPort, MemberInfo } from './port.ts';

export interface SoloClusterOptions {
  readonly gateway: GatewayFacts;
  readonly serfLanPort: number;
  readonly serfWanPort: number;
}

const done: AgentOutcome = { kind: 'done' };
const aliveStatus = 1;

/** The membership of a gateway that is a cluster of one. It shows itself as a Consul server shows itself. */
export function soloCluster(options: SoloClusterOptions): ClusterPort {
  const { gateway, serfLanPort, serfWanPort } = options;
  const tags = {
    acls: '0',
    bootstrap: '1',
    build: `${consulVersion}:grapevine`,
    dc: gateway.datacenter,
    ft_fs: '1',
    id: gateway.nodeId,
    port: String(gateway.serverPort),
    raft_vsn: '3',
    role: 'consul',
    segment: '',
    vsn: '2',
    vsn_max: '3',
    vsn_min: '2',
  };
  const lan: MemberInfo = {
    name: gateway.nodeName,
    address: gateway.address,
    port: serfLanPort,
    tags: { ...tags, wan_join_port: String(serfWanPort) },
    status: aliveStatus,
  };
  const wan: MemberInfo = {
    name: `${gateway.nodeName}.${gateway.datacenter}`,
    address: gateway.address,
    port: serfWanPort,
    tags,
    status: aliveStatus,
  };
  const isSelf = (address: string, port: number): boolean => {
    const host = gateway.address.includes(':') ? `[${gateway.address}]` : gateway.address;
    return address === gateway.address || address === `${host}:${port}`;
  };
  return {
    self: () => lan,
    members: (ofWan) => [ofWan ? wan : lan],
    join: (address, ofWan) => {
      if (isSelf(address, ofWan ? serfWanPort : serfLanPort)) return Promise.resolve(done);
      const why = 'this gateway is a cluster of one, it cannot join others yet';
      return Promise.resolve({
        kind: 'refused',
        status: 500,
        message: `1 error occurred:\n\t* Failed to join ${address}: ${why}\n\n`,
      });
    },
    forceLeave: (node) => {
      if (node === lan.name || node === wan.name) return Promise.resolve(done);
      return Promise.resolve({
        kind: 'refused',
        status: 500,
        message: `agent: No node found with name '${node}'`,
      });
    },
  };
}
