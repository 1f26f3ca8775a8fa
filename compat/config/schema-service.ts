import {
  block,
  decimal,
  duration,
  flag,
  int,
  listOf,
  opaqueMap,
  opaqueMaps,
  port,
  text,
  textMap,
  texts,
} from './schema-kinds.ts';
import * as z from 'zod/mini';

/**
 * Services and checks as they stand in configuration files (names up to Consul 1.22). The files' names are
 * snake_case, unlike those of the HTTP API; their meaning is decoded where services are registered.
 */
const enterprise = { namespace: text(), partition: text() };

export const checkSchema = block(
  {
    id: text(),
    name: text(),
    notes: text(),
    service_id: text(),
    token: text(),
    status: text('"passing", "warning" or "critical"'),
    args: texts(),
    http: text(),
    header: z.record(z.string(), texts()),
    method: text(),
    body: text(),
    disable_redirects: flag(),
    output_max_size: int(),
    tcp: text(),
    tcp_use_tls: flag(),
    udp: text(),
    interval: duration(),
    docker_container_id: text(),
    shell: text(),
    grpc: text(),
    grpc_use_tls: flag(),
    h2ping: text(),
    h2ping_use_tls: flag(),
    os_service: text(),
    tls_server_name: text(),
    tls_skip_verify: flag(),
    alias_node: text(),
    alias_service: text(),
    timeout: duration(),
    ttl: duration(),
    success_before_passing: int(),
    failures_before_warning: int(),
    failures_before_critical: int(),
    deregister_critical_service_after: duration(),
    ...enterprise,
  },
  {
    serviceid: 'service_id',
    scriptargs: 'args',
    dockercontainerid: 'docker_container_id',
    tlsskipverify: 'tls_skip_verify',
    deregistercriticalserviceafter: 'deregister_critical_service_after',
  },
);

const proxySchema = block({
  destination_service_name: text(),
  destination_service_id: text(),
  local_service_address: text(),
  local_service_port: port(),
  local_service_socket_path: text(),
  mode: text(),
  transparent_proxy: block({ outbound_listener_port: port(), dialed_directly: flag() }),
  config: opaqueMap(),
  upstreams: opaqueMaps(),
  mesh_gateway: block({ mode: text() }),
  expose: block({
    checks: flag(),
    port: port(),
    paths: listOf(block({ listener_port: port(), path: text(), protocol: text(), local_path_port: port() })),
  }),
  access_logs: opaqueMap(),
  envoy_extensions: opaqueMaps(),
});

export const serviceSchema = block({
  kind: text(),
  id: text(),
  name: text(),
  tags: texts(),
  address: text(),
  tagged_addresses: z.record(z.string(), block({ address: text(), port: int() })),
  meta: textMap(),
  port: port(),
  ports: listOf(block({ name: text(), port: port(), default: flag() })),
  socket_path: text(),
  check: checkSchema,
  checks: listOf(checkSchema),
  token: text(),
  weights: block({ passing: int(), warning: int() }),
  enable_tag_override: flag(),
  proxy: proxySchema,
  connect: block({ native: flag(), sidecar_service: opaqueMap() }),
  locality: block({ region: text(), zone: text() }),
  ...enterprise,
});

/** Keys of gossip timing, alike for LAN and WAN. */
export const gossipTiming = {
  gossip_nodes: int(),
  gossip_interval: duration(),
  probe_interval: duration(),
  probe_timeout: duration(),
  suspicion_mult: int(),
  retransmit_mult: int(),
};

export const requestLimits = { mode: text(), read_rate: decimal(), write_rate: decimal() };
