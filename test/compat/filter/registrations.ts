/** What the comparison with a real Consul registers: rows that differ in every field that a filter may select. */

const passing = { Passing: 10, Warning: 2 };

export const nodes: readonly object[] = [
  {
    Node: 'n1',
    ID: '40e4a748-2192-161a-0510-9bf59fe950b5',
    Address: '10.0.0.1',
    TaggedAddresses: { lan: '10.0.0.1', wan: '198.18.0.1' },
    NodeMeta: { env: 'prod', 'a.b': 'dotted', rack: '7' },
    Service: {
      ID: 'web-1',
      Service: 'web',
      Tags: ['v1', 'primary'],
      Address: '10.0.0.11',
      TaggedAddresses: {
        lan: { Address: '10.0.0.11', Port: 80 },
        wan: { Address: '198.18.0.11', Port: 8080 },
      },
      Meta: { env: 'prod', 'a-b': 'é' },
      Port: 80,
      Weights: passing,
      EnableTagOverride: true,
    },
    Checks: [
      { Name: 'web alive', CheckID: 'web-alive', Status: 'passing', ServiceID: 'web-1', Output: 'HTTP 200' },
      { Name: 'disk', CheckID: 'disk', Status: 'warning', Notes: 'disk of n1', Output: '91 % full' },
    ],
  },
  {
    Node: 'n1',
    Address: '10.0.0.1',
    SkipNodeUpdate: true,
    Service: { ID: 'api-1', Service: 'api', Port: 8080, Meta: { env: '' }, Connect: { Native: true } },
    Check: { Name: 'api', CheckID: 'api', Status: 'critical', ServiceID: 'api-1' },
  },
  {
    Node: 'n2',
    Address: '10.0.0.2',
    NodeMeta: { env: 'qa' },
    Service: { Service: 'web', Tags: ['v2'], Port: 8080, Meta: { rack: '80' } },
    Check: { Name: 'web', CheckID: 'web', Status: 'passing', ServiceID: 'web', Type: 'ttl' },
  },
  {
    Node: 'n2',
    Address: '10.0.0.2',
    SkipNodeUpdate: true,
    Service: {
      Kind: 'connect-proxy',
      ID: 'web-proxy',
      Service: 'web-proxy',
      Port: 20000,
      Proxy: {
        DestinationServiceName: 'web',
        DestinationServiceID: 'web',
        LocalServiceAddress: '127.0.0.1',
        LocalServicePort: 80,
        MeshGateway: { Mode: 'local' },
        Expose: {
          Checks: true,
          Paths: [{ Path: '/health', LocalPathPort: 80, ListenerPort: 8080, Protocol: 'http' }],
        },
        Upstreams: [
          { DestinationName: 'api', LocalBindPort: 8080, Datacenter: 'dc1' },
          {
            DestinationName: 'db',
            DestinationType: 'service',
            LocalBindPort: 80,
            MeshGateway: { Mode: 'none' },
          },
        ],
      },
    },
  },
  {
    Node: 'n3',
    Address: '10.0.0.3',
    Service: { ID: 'web-3', Service: 'web', Weights: { Passing: 1, Warning: 0 } },
  },
  { Node: 'Ñ4', Address: 'host.example', NodeMeta: { 'with space': 'x y' } },
];

export const services: readonly object[] = [
  {
    ID: 'a1',
    Name: 'web',
    Tags: ['v1'],
    Port: 80,
    Address: '10.0.0.9',
    Meta: { env: 'prod' },
    Weights: passing,
  },
  {
    ID: 'a2',
    Name: 'api',
    Port: 8080,
    EnableTagOverride: true,
    TaggedAddresses: { lan: { Address: '10.0.0.9', Port: 1 } },
  },
  { ID: 'a3', Name: 'db', Tags: ['primary', 'v2'], Check: { TTL: '10h', Status: 'passing', CheckID: 'db' } },
];

export const checks: readonly object[] = [
  { Name: 'memory', TTL: '10h', Notes: 'memory of the agent' },
  { Name: 'web', ID: 'web-a1', TTL: '10h', ServiceID: 'a1', Status: 'warning' },
];
