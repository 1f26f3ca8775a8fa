import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RemoteAsk } from '../../../compat/dns/remote-catalog.ts';
import type { DnsServer } from '../../../compat/dns/server.ts';
import { FleetClient } from '../../support/fleet-client.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../support/real-consul.ts';
import { ask } from './ask.ts';
import { CatalogFixture, defaultDnsConfig, serve } from './fixture.ts';
import { scene } from './scene.ts';
import { shapeOf, show } from './shown.ts';

const services = [
  ...new Set(scene.flatMap(({ Service }) => (Service === undefined ? [] : [Service.Service]))),
];
const nodes = [...new Set(scene.map(({ Node }) => Node))];

describeRealConsul('names of a catalog that is elsewhere', () => {
  let consul: RealConsul;
  let elsewhere: DnsServer;
  let here: DnsServer;
  let asked = 0;
  beforeAll(async () => {
    consul = await startRealConsul();
    const client = new FleetClient(consul.url);
    const fixture = new CatalogFixture();
    for (const registration of scene) {
      fixture.register(registration);
      const answer = await client.put('/v1/catalog/register', JSON.stringify(registration));
      if (answer.status !== 200) throw new Error(answer.text);
    }
    const remote: RemoteAsk = async (path) => {
      asked += 1;
      const { status, text } = await client.get(path);
      return { status, body: text };
    };
    here = await serve(fixture, defaultDnsConfig);
    elsewhere = await serve(new CatalogFixture(), defaultDnsConfig, { remote: () => remote });
  }, 90_000);
  afterAll(async () => {
    await Promise.all([consul?.stop(), here?.close(), elsewhere?.close()]);
  });

  test.each([
    ...services.map((name) => `${name}.service.consul`),
    ...services.map((name) => `_${name}._tcp.service.consul`),
    ...nodes.map((name) => `${name}.node.consul`),
    'v1.web.service.consul',
    'nothing.service.consul',
    'nothing.node.consul',
  ])('are answered as if it were here: %s', async (name) => {
    for (const type of ['A', 'AAAA', 'SRV', 'ANY', 'TXT']) {
      const answers = await Promise.all(
        [here, elsewhere].map(async (server) =>
          shapeOf(show(await ask({ name, type, ednsBytes: 4096, port: server.ports[0] as number }))),
        ),
      );
      expect([type, answers[1]]).toEqual([type, answers[0]]);
    }
  });

  test('cost one question for a burst of them', async () => {
    const before = asked;
    const port = elsewhere.ports[0] as number;
    await Promise.all(
      Array.from({ length: 20 }, () => ask({ name: 'heavy.service.consul', type: 'A', port })),
    );
    expect(asked - before).toBeLessThanOrEqual(1);
  });
});

describe('where a catalog that is elsewhere does not answer', () => {
  test.each<[string, RemoteAsk]>([
    ['nothing', () => Promise.resolve(undefined)],
    ['an error', () => Promise.resolve({ status: 500, body: 'No cluster leader' })],
    ['no JSON', () => Promise.resolve({ status: 200, body: '<html>' })],
    ['a failure', () => Promise.reject(new Error('gone'))],
  ])('%s is no proof that a name does not exist', async (_, remote) => {
    const server = await serve(new CatalogFixture(), defaultDnsConfig, { remote: () => remote });
    const port = server.ports[0] as number;
    const { packet } = await ask({ name: 'web.service.consul', type: 'A', port });
    expect(packet.rcode).toBe('SERVFAIL');
    await server.close();
  });

  test('entries that make no sense are passed over', async () => {
    const entry = {
      Node: { Node: 'n', Address: '192.0.2.1' },
      Service: { ID: 'web', Service: 'web', Port: 80 },
      Checks: [],
    };
    const body = JSON.stringify([
      null,
      1,
      {},
      { Node: [], Service: {} },
      entry,
      { ...entry, Service: { Port: 'x' } },
    ]);
    const server = await serve(new CatalogFixture(), defaultDnsConfig, {
      remote: () => () => Promise.resolve({ status: 200, body }),
    });
    const { packet } = await ask({ name: 'web.service.consul', type: 'A', port: server.ports[0] as number });
    expect(packet.answers).toMatchObject([{ data: '192.0.2.1' }]);
    await server.close();
  });
});
