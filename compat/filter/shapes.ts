import type { FieldShape, FilterShape } from './filter.ts';

/**
 * What `?filter=` may select, by endpoint: all fields that any Consul's documentation has in its "Filtering"
 * tables. 1.8.7's are a part of them; it refuses the newer ones, which no client can rely on. Indexes,
 * namespaces, check definitions and opaque proxy configuration are not selectable in Consul either.
 */

const string: FieldShape = { kind: 'string' };
const bool: FieldShape = { kind: 'bool' };
const strings: FieldShape = { kind: 'strings' };
const int: FieldShape = { kind: 'integer', min: -(2n ** 63n), max: 2n ** 63n - 1n };
const uint8: FieldShape = { kind: 'integer', min: 0n, max: 2n ** 8n - 1n };
const uint16: FieldShape = { kind: 'integer', min: 0n, max: 2n ** 16n - 1n };
const stringMap: FieldShape = { kind: 'map', values: string };

function struct(fields: FilterShape['fields']): FilterShape {
  return { kind: 'struct', fields };
}

function structs(items: FilterShape): FieldShape {
  return { kind: 'structs', items };
}

const serviceAddresses: FieldShape = { kind: 'map', values: struct({ Address: string, Port: int }) };
const weights = struct({ Passing: int, Warning: int });
const connect = struct({ Native: bool });
const meshGateway = struct({ Mode: string });

const proxy = struct({
  DestinationServiceName: string,
  DestinationServiceID: string,
  LocalServiceAddress: string,
  LocalServicePort: int,
  LocalServiceSocketPath: string,
  Mode: string,
  MutualTLSMode: string,
  MeshGateway: meshGateway,
  TransparentProxy: struct({ OutboundListenerPort: int, DialedDirectly: bool }),
  AccessLogs: struct({
    Enabled: bool,
    DisableListenerLogs: bool,
    Type: string,
    Path: string,
    JSONFormat: string,
    TextFormat: string,
  }),
  EnvoyExtensions: structs(
    struct({ Name: string, Required: bool, ConsulVersion: string, EnvoyVersion: string }),
  ),
  Expose: struct({
    Checks: bool,
    Paths: structs(
      struct({
        ListenerPort: int,
        Path: string,
        LocalPathPort: int,
        Protocol: string,
        ParsedFromCheck: bool,
      }),
    ),
  }),
  Upstreams: structs(
    struct({
      DestinationType: string,
      DestinationNamespace: string,
      DestinationPartition: string,
      DestinationPeer: string,
      DestinationName: string,
      Datacenter: string,
      LocalBindAddress: string,
      LocalBindPort: int,
      LocalBindSocketPath: string,
      LocalBindSocketMode: string,
      MeshGateway: meshGateway,
    }),
  ),
});

/** `/v1/catalog/nodes`. */
export const nodeShape = struct({
  ID: string,
  Node: string,
  Address: string,
  Datacenter: string,
  Partition: string,
  PeerName: string,
  TaggedAddresses: stringMap,
  Meta: stringMap,
});

/** `/v1/agent/services`, and the entries of `Services` in `/v1/catalog/node/` and `/v1/catalog/node-services/`. */
export const nodeServiceShape = struct({
  Kind: string,
  ID: string,
  Service: string,
  Tags: strings,
  Address: string,
  TaggedAddresses: serviceAddresses,
  Meta: stringMap,
  Port: int,
  SocketPath: string,
  Weights: weights,
  EnableTagOverride: bool,
  Proxy: proxy,
  Connect: connect,
  PeerName: string,
});

/**
 * `/v1/catalog/service/` and `/v1/catalog/connect/`. Since 1.14 also `/v1/catalog/services`, which filters
 * service instances in this form before it collects their names and tags.
 */
export const serviceNodeShape = struct({
  ID: string,
  Node: string,
  Address: string,
  Datacenter: string,
  TaggedAddresses: stringMap,
  NodeMeta: stringMap,
  ServiceKind: string,
  ServiceID: string,
  ServiceName: string,
  ServiceTags: strings,
  ServiceAddress: string,
  ServiceTaggedAddresses: serviceAddresses,
  ServiceMeta: stringMap,
  ServicePort: int,
  ServiceSocketPath: string,
  ServiceWeights: weights,
  ServiceEnableTagOverride: bool,
  ServiceProxy: proxy,
  ServiceConnect: connect,
  PeerName: string,
});

/** `/v1/health/node/`, `/v1/health/checks/`, `/v1/health/state/` and `/v1/agent/checks`. */
export const healthCheckShape = struct({
  Node: string,
  CheckID: string,
  Name: string,
  Status: string,
  Notes: string,
  Output: string,
  ServiceID: string,
  ServiceName: string,
  ServiceTags: strings,
  Type: string,
  Interval: string,
  Timeout: string,
  ExposedPort: int,
  PeerName: string,
});

/** `/v1/health/service/`, `/v1/health/connect/` and `/v1/health/ingress/`. */
export const checkServiceNodeShape = struct({
  Node: nodeShape,
  Service: nodeServiceShape,
  Checks: structs(healthCheckShape),
});

/** `/v1/agent/members`, since 1.17: Serf's member. Its address is bytes there and has no operator of use. */
export const memberShape = struct({
  Name: string,
  Addr: struct({}),
  Port: uint16,
  Tags: stringMap,
  Status: int,
  ProtocolMin: uint8,
  ProtocolMax: uint8,
  ProtocolCur: uint8,
  DelegateMin: uint8,
  DelegateMax: uint8,
  DelegateCur: uint8,
});
