import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { readSourceNode, recordsOf } from '../../../../migration/live/catalog/relay-node.ts';
import { kvRecord } from '../../../../migration/live/dual/kv-record.ts';
import { SourceClient } from '../../../../migration/live/proxy/source-client.ts';
import { openShadow, type Shadow } from '../../../../migration/live/shadow/shadow.ts';
import { sumCells, type CellSum } from '../../../../migration/evidence/sums.ts';
import type { MirrorRecord } from '../../../../src/state/mirror.ts';
import {
  FakePhases,
  LiveGateway,
  partContext,
  ruleOf,
  sourceSettings,
} from '../../../support/live-gateway.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../../support/real-consul.ts';
import { apiRequest } from '../../../support/state.ts';
import { untilSettled } from '../../../support/until-settled.ts';
import type { Observed } from '../../../../migration/live/ports.ts';
import { MigratingDoor } from '../dual/door.ts';
import { putCatalog } from '../catalog/put-catalog.ts';
import { rigRoutes } from './rig.ts';

interface ShownKey {
  readonly Key: string;
  readonly Value: string | null;
  readonly Flags: number;
  readonly Session?: string;
  readonly LockIndex: number;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

const kvPaths = [
  ...['/v1/kv/app/a', '/v1/kv/app/a?raw', '/v1/kv/app/empty', '/v1/kv/app/empty?raw', '/v1/kv/app/bytes?raw'],
  ...[
    '/v1/kv/app/none',
    '/v1/kv/app/none?raw',
    '/v1/kv/app/held',
    '/v1/kv/app/sp%20ace%2Fx',
    '/v1/kv/app/a?pretty',
  ],
  ...['/v1/kv/app/?recurse', '/v1/kv/?recurse', '/v1/kv/nothing/?recurse', '/v1/kv/app?recurse'],
  ...['/v1/kv/?keys', '/v1/kv/app/?keys', '/v1/kv/app/?keys&separator=/', '/v1/kv/nothing/?keys'],
  ...['/v1/kv/app/a?stale', '/v1/kv/app/a?consistent', '/v1/kv/app/gone'],
];
const catalogPaths = [
  ...['/v1/catalog/nodes', '/v1/catalog/services', '/v1/catalog/service/web', '/v1/catalog/service/none'],
  ...[
    '/v1/catalog/service/web?tag=blue',
    '/v1/catalog/node/n1',
    '/v1/catalog/node/nobody',
    '/v1/catalog/node-services/n1',
  ],
  ...[
    '/v1/health/service/web',
    '/v1/health/service/web?passing',
    '/v1/health/service/db',
    '/v1/health/node/n1',
  ],
  ...['/v1/health/node/nobody', '/v1/health/checks/web', '/v1/health/state/any', '/v1/health/state/critical'],
  ...['/v1/health/state/passing', '/v1/catalog/nodes?node-meta=rack:r1'],
  ...['/v1/health/service/web?near=n1', '/v1/catalog/nodes?filter=Node==n1', '/v1/catalog/service/consul'],
];

describeRealConsul('shadow reads beside a real Consul', () => {
  let consul: RealConsul;
  let gateway: LiveGateway;
  let client: SourceClient;
  let shadow: Shadow;
  let phases: FakePhases;

  const ask = async (method: string, path: string, body?: object | string): Promise<string> => {
    const text = typeof body === 'object' ? JSON.stringify(body) : body;
    const response = await fetch(`${consul.url}${path}`, {
      method,
      ...(text === undefined ? {} : { body: text }),
    });
    const answer = await response.text();
    if (response.status >= 400 && response.status !== 404) throw new Error(`${path}: ${answer}`);
    return answer;
  };

  const apply = (records: readonly MirrorRecord[]): Promise<unknown> =>
    gateway.propose({ kind: 'mirror-apply', source: 'dc1:test', timeline: 0, cursors: {}, records });

  /** What the copying does. */
  const mirror = async (): Promise<void> => {
    const keys = JSON.parse((await ask('GET', '/v1/kv/?recurse')) || '[]') as readonly ShownKey[];
    await apply(
      keys
        .filter(({ Key }) => !Key.startsWith('_gw/'))
        .map((shown) =>
          kvRecord({
            key: shown.Key,
            value: Buffer.from(shown.Value ?? '', 'base64'),
            flags: BigInt(shown.Flags),
            session: shown.Session ?? '',
            lockIndex: shown.LockIndex,
            createIndex: shown.CreateIndex,
            modifyIndex: shown.ModifyIndex,
          }),
        ),
    );
    const nodes = JSON.parse(await ask('GET', '/v1/catalog/nodes')) as readonly { readonly Node: string }[];
    for (const { Node } of nodes.filter((each) => each.Node !== 'grapevine-gateway')) {
      const found = await readSourceNode(client, '', Node);
      if (found !== undefined) await apply(recordsOf(Node, found, { gatewayNodes: new Set(['gateway']) }));
    }
  };

  /** What a client asks, answered by the side that the phase says. */
  const read = async (path: string): Promise<void> => {
    const request = apiRequest('GET', path);
    const rest = request.path.startsWith('/v1/kv/') ? request.path.slice('/v1/kv/'.length) : '';
    if (phases.rules[0]?.phase === 'shadow') {
      const response = await fetch(`${consul.url}${path}`);
      const body = await response.text();
      const index = Number(response.headers.get('x-consul-index') ?? 0);
      const contentType = response.headers.get('content-type');
      shadow.observed({
        ...{
          request: { ...request, rest },
          answeredBy: 'source',
          status: response.status,
          index,
          body,
          tookMs: 1,
        },
        ...(contentType === null ? {} : { contentType }),
      });
    } else {
      const { status, index = 0, body } = gateway.state.request(rigRoutes, 'GET', path);
      shadow.observed({ request: { ...request, rest }, answeredBy: 'here', status, index, body, tookMs: 1 });
    }
  };

  const counted = (): CellSum => sumCells(shadow.ownEvidence().cells);
  const settled = async (): Promise<CellSum> => {
    await shadow.idle();
    for (let turn = 0; turn < 400 && counted().counts.open > 0; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return counted();
  };
  const shownDifferences = (): unknown =>
    shadow.ownEvidence().samples.map(({ endpoint, outcome, kind, key, source, here }) => ({
      ...{ endpoint, outcome, kind, key: key.key, source: source?.text, here: here?.text },
    }));

  beforeAll(async () => {
    consul = await startRealConsul();
    await untilSettled(consul);
    gateway = new LiveGateway();
    client = new SourceClient(gateway, sourceSettings(consul.url));
    const session = JSON.parse(await ask('PUT', '/v1/session/create', { NodeChecks: [] })) as {
      readonly ID: string;
    };
    await ask('PUT', '/v1/kv/app/a?flags=42', 'value');
    await ask('PUT', '/v1/kv/app/empty', '');
    await ask('PUT', '/v1/kv/app/bytes', '\u0000\uffff<&>\u2028');
    await ask('PUT', '/v1/kv/app/sp%20ace%2Fx', 'odd');
    await ask('PUT', '/v1/kv/app/deep/er/key', 'x');
    await ask('PUT', `/v1/kv/app/held?acquire=${session.ID}`, 'mine');
    await ask('PUT', '/v1/kv/app/gone', 'x');
    await ask('DELETE', '/v1/kv/app/gone');
    await ask('PUT', '/v1/kv/zebra', 'x');
    await ask('PUT', '/v1/kv/_gw/term/app', '1');
    for (const [node, status] of [
      ['n1', 'passing'],
      ['n2', 'critical'],
      ['n3', 'warning'],
    ] as const) {
      await ask('PUT', '/v1/catalog/register', {
        ...{ Node: node, Address: `10.0.0.${node.slice(1)}`, NodeMeta: { rack: 'r1', empty: '' } },
        Service: { ID: `web-${node}`, Service: 'web', Tags: ['blue', 'a'], Port: 80, Meta: { v: '1' } },
        Checks: [
          { Node: node, CheckID: 'serfHealth', Name: 'alive', Status: 'passing', Output: 'alive' },
          {
            Node: node,
            CheckID: `c-${node}`,
            Name: 'web',
            Status: status,
            ServiceID: `web-${node}`,
            Output: 'x',
          },
        ],
      });
    }
    await ask('PUT', '/v1/catalog/register', { Node: 'n1', Address: '10.0.0.1', Service: { Service: 'db' } });
    await ask('PUT', '/v1/catalog/register', {
      ...{ Node: 'n2', Address: '10.0.0.2' },
      Service: {
        ID: 'web-proxy',
        Service: 'web-proxy',
        Kind: 'connect-proxy',
        Port: 1,
        Proxy: { DestinationServiceName: 'web' },
      },
    });
    // This gateway's own node, which nobody copies.
    await putCatalog(gateway, '/v1/catalog/register', {
      Node: 'gateway',
      Address: '127.0.0.1',
      Service: { Service: 'own' },
    });
    // Which others see at the source under another name.
    await ask('PUT', '/v1/catalog/register', {
      ...{ Node: 'grapevine-gateway', Address: '127.0.0.1', NodeMeta: { 'grapevine-origin': 'gateway' } },
      Service: { Service: 'own' },
    });
    await mirror();
  }, 90_000);

  beforeEach(() => {
    phases = new FakePhases();
    const context = { ...partContext(gateway, phases, sourceSettings(consul.url)), client };
    shadow = openShadow(context, {
      ...{ routes: rigRoutes, routeContext: () => gateway.state.context, store: undefined, reveal: true },
      ...{ recheckDelaysMs: [20, 60], noisePercent: 100 },
    });
    shadow.start();
  });

  afterEach(() => shadow.stop());

  afterAll(async () => {
    client?.close();
    await consul?.stop();
  });

  test.each(['shadow', 'local-reads'] as const)(
    'of a mirrored state every compared endpoint answers the same in phase %s',
    async (phase) => {
      phases.set(ruleOf('kv', '', phase), ruleOf('catalog', '', phase));
      await new Promise((resolve) => setTimeout(resolve, 50));
      for (const path of [...kvPaths, ...catalogPaths]) await read(path);
      const { counts, noise } = await settled();
      expect(shownDifferences()).toEqual([]);
      expect(counts).toMatchObject({
        ...{ compared: kvPaths.length + catalogPaths.length, indeterminate: 0, transient: 0, persistent: 0 },
        ...{ dropped: 0, sourceErrors: 0, hereErrors: 0 },
      });
      // What the rules pass over: this gateway's own node, the source's servers, fences.
      expect(counts.ignored).toBeGreaterThan(0);
      expect(noise).toMatchObject({ compared: counts.compared, differed: 0 });
    },
  );

  test('what is changed behind the mirror is found wherever it shows, and is gone when it was copied', async () => {
    phases.set(ruleOf('kv', '', 'local-reads'), ruleOf('catalog', '', 'local-reads'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await ask('PUT', '/v1/kv/app/a?flags=42', 'changed');
    await ask('PUT', '/v1/kv/app/new', 'x');
    await ask('PUT', '/v1/catalog/register', {
      ...{ Node: 'n3', Address: '10.0.0.3', SkipNodeUpdate: true },
      Check: { Node: 'n3', CheckID: 'c-n3', Name: 'web', Status: 'critical', ServiceID: 'web-n3' },
    });
    const met = [
      ...['/v1/kv/app/a', '/v1/kv/app/a?raw', '/v1/kv/app/?recurse', '/v1/kv/app/?keys', '/v1/kv/app/new'],
      ...['/v1/health/service/web', '/v1/health/node/n3', '/v1/health/state/critical'],
    ];
    for (const path of [...met, '/v1/kv/zebra', '/v1/catalog/nodes']) await read(path);
    const first = await settled();
    const found = shadow.ownEvidence().cells.map(({ endpoint, kinds, counts }) => [
      endpoint,
      counts.persistent,
      Object.entries(kinds)
        .flatMap(([kind, { persistent }]) => (persistent > 0 ? [kind] : []))
        .join(),
    ]);
    expect(Object.fromEntries(found.map(([endpoint, ...rest]) => [endpoint, rest]))).toMatchObject({
      'kv-get': [2, expect.stringMatching(/missing.*value|value.*missing/)],
      'kv-raw': [1, 'value'],
      'kv-recurse': [1, 'missing'],
      'kv-keys': [1, 'missing'],
      'health-service': [1, 'status'],
      'health-node': [1, 'status'],
      'health-state': [1, 'missing'],
      'catalog-nodes': [0, ''],
    });
    expect(first.counts.persistent).toBe(met.length);
    await mirror();
    for (const path of met) await read(path);
    const again = await settled();
    expect(again.counts.persistent).toBe(met.length);
    expect(again.counts.compared - first.counts.compared).toBe(met.length);
  });

  test('a verification of everything finds what differs and nothing else', async () => {
    phases.set(ruleOf('kv', '', 'shadow'), ruleOf('catalog', '', 'shadow'));
    await mirror();
    for (const kind of ['kv', 'catalog'] as const) {
      const clean = await shadow.verify(kind, '');
      expect(clean).toMatchObject({
        of: kind,
        failure: '',
        persistent: 0,
        transient: 0,
        indeterminate: 0,
        unchecked: 0,
      });
      expect(clean.kinds).toEqual({});
      expect(clean.ignored).toMatchObject(kind === 'kv' ? { 'gateway-keys': 1 } : { 'target-own-node': 2 });
      expect(clean.compared).toBeGreaterThan(5);
      expect(clean.throughIndex).toBeGreaterThan(1);
    }
    await ask('PUT', '/v1/kv/app/behind', 'x');
    await ask('DELETE', '/v1/kv/zebra');
    await ask('PUT', '/v1/catalog/register', { Node: 'n9', Address: '10.0.0.9' });
    expect(await shadow.verify('kv', '')).toMatchObject({ persistent: 2, kinds: { missing: 1, extra: 1 } });
    expect(await shadow.verify('kv', 'app/')).toMatchObject({ persistent: 1, kinds: { missing: 1 } });
    expect((await shadow.verify('catalog', '')).persistent).toBeGreaterThan(0);
    expect(shadow.ownEvidence().sweeps).toHaveLength(5);
  });

  test('hear of what clients are answered: keys, the catalog and reads that wait, with the index and type of Consul', async () => {
    const rules = new FakePhases(ruleOf('kv', '', 'shadow'), ruleOf('catalog', '', 'shadow'));
    const migrating = await new MigratingDoor(consul.url, rules).open();
    const asked = (path: string): ReturnType<typeof migrating.door.request> => migrating.door.request(path);
    const heard = async (count: number): Promise<readonly Observed[]> => {
      while (migrating.observed.length < count) await new Promise((resolve) => setTimeout(resolve, 2));
      return migrating.observed.splice(0);
    };
    const index = Number((await asked('/v1/kv/app/bytes')).headers['x-consul-index']);
    await asked('/v1/catalog/nodes');
    await asked('/v1/health/service/web');
    const waiting = asked(`/v1/kv/app/bytes?index=${index}&wait=10s`);
    const nodes = asked('/v1/health/service/db?index=1&wait=10s');
    expect(await heard(4)).toHaveLength(4);
    await nodes;
    await ask('PUT', '/v1/kv/app/bytes', 'other');
    await waiting;
    const [last] = await heard(1);
    expect(last).toMatchObject({ answeredBy: 'source', status: 200, contentType: 'application/json' });
    expect(last?.index).toBeGreaterThan(index);
    expect(Buffer.from(last?.body ?? '').toString()).toContain(Buffer.from('other').toString('base64'));
    rules.set(ruleOf('kv', '', 'local-reads'), ruleOf('catalog', '', 'local-reads'));
    await asked('/v1/kv/app/bytes');
    await asked('/v1/catalog/nodes');
    expect((await heard(2)).map(({ answeredBy }) => answeredBy)).toEqual(['here', 'here']);
    rules.set(ruleOf('kv', '', 'dual'), ruleOf('catalog', '', 'mirror'));
    await asked('/v1/kv/app/bytes');
    await asked('/v1/catalog/nodes');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(migrating.observed).toEqual([]);
    await migrating.close();
  });
});
