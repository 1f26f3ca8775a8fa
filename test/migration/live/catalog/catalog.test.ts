import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type CatalogExportPart, openCatalogExport } from '../../../../migration/live/catalog/export.ts';
import { type CatalogStrategy, openCatalogGate } from '../../../../migration/live/catalog/gate.ts';
import { SourceClient } from '../../../../migration/live/proxy/source-client.ts';
import { getNode, getService, serviceValue } from '../../../../src/state/catalog.ts';
import type { Phase } from '../../../../src/state/migration.ts';
import { putCatalog } from './put-catalog.ts';
import { FleetClient } from '../../../support/fleet-client.ts';
import {
  FakePhases,
  LiveGateway,
  partContext,
  ruleOf,
  sourceSettings,
} from '../../../support/live-gateway.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../../support/real-consul.ts';
import { apiRequest } from '../../../support/state.ts';

describeRealConsul('the catalog beside a real Consul', () => {
  let consul: RealConsul;
  let source: FleetClient;
  let gateway: LiveGateway;
  let phases: FakePhases;
  let client: SourceClient;
  let gate: CatalogStrategy;
  let exported: CatalogExportPart;
  beforeAll(async () => {
    consul = await startRealConsul();
    source = new FleetClient(consul.url);
  }, 90_000);
  afterAll(() => consul?.stop());
  beforeEach(() => {
    gateway = new LiveGateway();
    phases = new FakePhases(ruleOf('catalog', '', 'passthrough'));
    const settings = sourceSettings(consul.url);
    client = new SourceClient(gateway, settings);
    const context = partContext(gateway, phases, settings);
    gate = openCatalogGate(context, client);
    exported = openCatalogExport(context, client, { isDecidedHere: (row) => row.term > 0 });
  });
  afterEach(async () => {
    await exported.stop();
    client.close();
  });

  const phase = (name: Phase): void => phases.set(ruleOf('catalog', '', name));
  const register = (body: object): Promise<unknown> => putCatalog(gateway, '/v1/catalog/register', body);
  const isPassed = (method: 'GET' | 'PUT', path: string): boolean => {
    const passed = gate.intercept(
      apiRequest(method, path, method === 'PUT' ? { Node: 'n', Address: '192.0.2.1' } : undefined),
    );
    passed?.cancel();
    void passed?.reply.catch(() => {});
    return passed !== undefined;
  };
  const untilAtSource = (path: string, wanted: (text: string) => boolean) =>
    source.untilAnswer(path, ({ text }) => wanted(text), 20_000);

  test('is read at the source up to shadow, and here after that, but for what must be consistent', () => {
    const reads = ['/v1/catalog/nodes', '/v1/health/service/web', '/v1/coordinate/nodes'];
    for (const [name, passed] of [
      ...([
        ['passthrough', true],
        ['mirror', true],
        ['dual', true],
        ['shadow', true],
      ] as const),
      ...([
        ['local-reads', false],
        ['cutover', false],
        ['final', false],
      ] as const),
    ]) {
      phase(name);
      expect([name, ...reads.map((path) => isPassed('GET', path))]).toEqual([
        name,
        ...reads.map(() => passed),
      ]);
      expect([name, isPassed('PUT', '/v1/catalog/register')]).toEqual([
        name,
        passed || name === 'local-reads',
      ]);
    }
    phase('local-reads');
    expect(isPassed('GET', '/v1/catalog/nodes?consistent')).toBe(true);
    phases.set();
    expect(isPassed('GET', '/v1/catalog/nodes')).toBe(false);
  });

  test('what a client registers or takes out at the source through the gateway is here when it is answered', async () => {
    phase('local-reads');
    const body = { Node: 'printer', Address: '192.0.2.7', Service: { Service: 'print', Port: 631 } };
    const write = async (path: string, sent: object): Promise<number> =>
      (await gate.intercept(apiRequest('PUT', path, sent))!.reply).status;
    expect(await write('/v1/catalog/register', body)).toBe(200);
    const held = getService(gateway.view, 'printer', 'print');
    expect(held?.value && serviceValue(held).port).toBe(631);
    expect(await write('/v1/catalog/deregister', { Node: 'printer', ServiceID: 'print' })).toBe(200);
    expect(getService(gateway.view, 'printer', 'print')?.value ?? null).toBeNull();
    expect(getNode(gateway.view, 'printer')).toBeDefined();
    expect(await write('/v1/catalog/deregister', { Node: 'printer' })).toBe(200);
    expect(getNode(gateway.view, 'printer')).toBeUndefined();
  });

  test('services of a gateway are at the source under a node of their own, and go from there with their end', async () => {
    exported.start();
    const web = { Service: 'web-own', Port: 80, Tags: ['v1'] };
    const check = { Name: 'alive', CheckID: 'service:web-own', ServiceID: 'web-own', Status: 'warning' };
    await register({ Node: 'gateway', Address: '127.0.0.1', Service: web, Check: check });
    await untilAtSource('/v1/health/service/web-own', (text) => {
      const [found] = JSON.parse(text) as {
        Node: { Node: string };
        Checks: { CheckID: string; Status: string }[];
      }[];
      return (
        found?.Node.Node === 'grapevine-gateway' &&
        found.Checks.some(({ CheckID, Status }) => CheckID === 'service:web-own' && Status === 'warning')
      );
    });
    await register({ Node: 'gateway', Address: '127.0.0.1', Service: { Service: 'other-own' } });
    await untilAtSource('/v1/catalog/service/other-own', (text) => text !== '[]');
    await putCatalog(gateway, '/v1/catalog/deregister', { Node: 'gateway', ServiceID: 'web-own' });
    await untilAtSource('/v1/catalog/service/web-own', (text) => text === '[]');
    await putCatalog(gateway, '/v1/catalog/deregister', { Node: 'gateway', ServiceID: 'other-own' });
    const { text } = await untilAtSource(
      '/v1/catalog/nodes',
      (nodes) => !nodes.includes('grapevine-gateway'),
    );
    expect(text).toContain(consul.nodeName);
  });

  test('after the cutover what changes here changes at the source, so that there is a way back', async () => {
    phase('cutover');
    exported.start();
    await register({ Node: 'router', Address: '192.0.2.9', Service: { Service: 'route', Port: 1 } });
    await untilAtSource('/v1/catalog/service/route', (text) => text !== '[]');
    await putCatalog(gateway, '/v1/catalog/deregister', { Node: 'router' });
    const { text } = await untilAtSource('/v1/catalog/nodes', (nodes) => !nodes.includes('router'));
    expect(text).toContain(consul.nodeName);
  });

  test('what comes back as it was is told to the source again, and what goes again goes there too', async () => {
    phase('cutover');
    exported.start();
    const body = { Node: 'switch', Address: '192.0.2.10', Service: { Service: 'lan', Port: 1 } };
    const gone = { Node: 'Switch', ServiceID: 'lan' };
    for (let n = 0; n < 2; n += 1) {
      await register(body);
      expect(await exported.drained(20_000)).toBe(true);
      expect(await source.json('/v1/catalog/service/lan?consistent')).toHaveLength(1);
      await putCatalog(gateway, '/v1/catalog/deregister', n === 0 ? gone : { Node: 'switch' });
      expect(await exported.drained(20_000)).toBe(true);
      expect(await source.json('/v1/catalog/service/lan?consistent')).toEqual([]);
    }
    // With its node everything on it went, also what was told before.
    await register(body);
    expect(await exported.drained(20_000)).toBe(true);
    expect(await source.json('/v1/catalog/service/lan?consistent')).toHaveLength(1);
  });

  test('the source has what changed without a pause, too', async () => {
    phase('cutover');
    exported.start();
    let isDone = false;
    const busy = (async () => {
      for (let n = 0; !isDone; n += 1) {
        await register({ Node: 'busy', Address: `192.0.2.${n % 200}` });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    const { text } = await untilAtSource('/v1/catalog/nodes', (nodes) => nodes.includes('busy'));
    isDone = true;
    await busy;
    expect(text).toContain('192.0.2.');
  });
});
