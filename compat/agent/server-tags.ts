import type { GatewayFacts } from '../routes/context.ts';
import { consulVersion } from './own-node.ts';

export interface ServerTagsOptions {
  readonly gateway: Pick<GatewayFacts, 'datacenter' | 'nodeId' | 'serverPort'>;
  /** It founded, or founds, its datacenter. */
  readonly bootstrap: boolean;
  /** Shown in the LAN pool only: where its WAN pool is joined. */
  readonly serfWanPort?: number;
}

/**
 * What a gateway says of itself in gossip, as a Consul server does. Consul's clients read `role`, `dc`, `id`, `port`,
 * `build` and `vsn` of them; the rest is there because a server shows it.
 */
export function serverTags(options: ServerTagsOptions): Readonly<Record<string, string>> {
  const { gateway, bootstrap, serfWanPort } = options;
  return {
    acls: '0',
    ...(bootstrap ? { bootstrap: '1' } : {}),
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
    ...(serfWanPort === undefined ? {} : { wan_join_port: String(serfWanPort) }),
  };
}
