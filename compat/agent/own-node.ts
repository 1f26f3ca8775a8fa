import type { CheckValue, NodeValue, ServiceValue } from '../../src/state/values.ts';
import type { GatewayFacts } from '../routes/context.ts';

/**
 * The version of Consul that this gateway says it is, where clients compare versions: members' `build` tag,
 * `Config.Version` of agent/self, the `version` meta of service `consul`. It is the last one that takes every KV key,
 * as this gateway does; Grapevine's own version stands in `Config.Revision` and in the `build` section of `info`.
 */
export const consulVersion = '1.21.4';

/** Id and name of the service under which every Consul server is found. */
export const serverServiceId = 'consul';

/** This gateway's node, as a Consul agent registers itself. */
export function ownNode(gateway: GatewayFacts): NodeValue {
  return {
    id: gateway.nodeId,
    node: gateway.nodeName,
    address: gateway.address,
    taggedAddresses: gateway.taggedAddresses,
    meta: nodeMeta(gateway),
  };
}

/** The configured metadata with what Consul adds to it. */
export function nodeMeta(gateway: GatewayFacts): Readonly<Record<string, string>> {
  return { ...gateway.nodeMeta, 'consul-network-segment': '' };
}

/** The service `consul` of this node: how clients find the servers. */
export function serverService(gateway: GatewayFacts): ServiceValue {
  return {
    node: gateway.nodeName,
    id: serverServiceId,
    service: serverServiceId,
    tags: [],
    address: '',
    taggedAddresses: null,
    port: gateway.serverPort,
    meta: {
      non_voter: 'false',
      raft_version: '3',
      serf_protocol_current: '2',
      serf_protocol_max: '5',
      serf_protocol_min: '1',
      version: consulVersion,
    },
    weights: { passing: 1, warning: 1 },
    enableTagOverride: false,
    extra: '',
  };
}

/** serfHealth of a gateway that runs. */
export function aliveHealth(node: string): CheckValue {
  return {
    node,
    checkId: 'serfHealth',
    name: 'Serf Health Status',
    status: 'passing',
    notes: '',
    output: 'Agent alive and reachable',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
}

/** serfHealth of a gateway that does not answer any more. */
export function deadHealth(node: string): CheckValue {
  return { ...aliveHealth(node), status: 'critical', output: 'Agent not live or unreachable' };
}
