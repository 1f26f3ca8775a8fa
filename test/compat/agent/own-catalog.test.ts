import { describe, expect, test } from '@jest/globals';
import { admitService } from '../../../compat/agent/registration.ts';
import type { JsonValue } from '../../../compat/wire/go-json.ts';
import { must } from '../../../src/kernel/assert.ts';
import { getNode, nodeValue, serfHealth } from '../../../src/state/catalog.ts';
import { coordinateOrigin, coordinateSet } from '../../../src/state/coordinates.ts';
import { AgentFixture } from './agent-fixture.ts';

async function register(fixture: AgentFixture, body: JsonValue) {
  const admitted = admitService(body, 'api', { remoteScripts: false });
  if (!admitted.ok) throw new Error(admitted.error.body);
  return await fixture.agent.registerService({ ...admitted.value, replaceChecks: false });
}

describe('the catalog of the own node', () => {
  test('is brought back every minute', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '10m' } });
    await fixture.commit({
      kind: 'catalog-register',
      node: { id: '', node: 'N1', address: '1.2.3.4', taggedAddresses: null, meta: null },
      skipNodeUpdate: false,
      service: { ...must(fixture.catalogServices()[0]), id: 'stranger', service: 'stranger' },
      checks: [{ ...must(fixture.catalogChecks()[0]), checkId: 'odd', serviceId: 'stranger' }],
    });
    await fixture.commit({ kind: 'catalog-deregister', node: 'n1', serviceId: 'web', checkId: '' });
    expect(fixture.catalogIds()).toEqual(['consul', 'stranger', 'odd']);
    await fixture.advance(60_000);
    expect(fixture.catalogIds()).toEqual(['consul', 'web', 'service:web']);
    const node = getNode(fixture.store, 'n1');
    expect(node && nodeValue(node)).toMatchObject({ node: 'n1', address: '10.1.1.1' });
  });

  test('stays away when the gateway leaves', async () => {
    let leaving = false;
    const fixture = await AgentFixture.start({ leaving: () => leaving });
    leaving = true;
    await fixture.commit({ kind: 'catalog-deregister', node: 'N1', serviceId: '', checkId: '' });
    await fixture.advance(60_000);
    expect(getNode(fixture.store, 'n1')).toBeUndefined();
  });

  test('comes back whole at once when somebody deregistered the node', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '10m' } });
    const { ports } = fixture;
    const startedMs = ports.nowMs();
    for (let round = 0; round < 2; round++) {
      await fixture.commit({ kind: 'catalog-deregister', node: 'N1', serviceId: '', checkId: '' });
      expect(getNode(fixture.store, 'n1')).toBeUndefined();
      await fixture.advance(0);
      expect(getNode(fixture.store, 'n1')).toBeDefined();
      expect(serfHealth(fixture.store, 'n1')?.status).toBe('passing');
      expect(fixture.catalogIds()).toEqual(['consul', 'web', 'service:web']);
      expect(coordinateSet(fixture.store, 'n1').size).toBe(1);
    }
    expect(ports.nowMs()).toBe(startedMs);
  });

  test('has a coordinate, which stays as somebody measured it, unless coordinates are off', async () => {
    const fixture = await AgentFixture.start();
    expect(coordinateSet(fixture.store, 'n1').get('')).toMatchObject(coordinateOrigin);
    const measured = { ...coordinateOrigin, height: 0.5 };
    await fixture.commit({
      kind: 'coordinate-update',
      coordinate: { node: 'n1', segment: '', ...measured },
    });
    await fixture.agent.sync();
    expect(coordinateSet(fixture.store, 'n1').get('')).toMatchObject(measured);
    const without = await AgentFixture.start({ coordinates: false });
    expect(coordinateSet(without.store, 'n1').size).toBe(0);
  });

  test('that is as it should be costs no command', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '10m' }, Tags: ['a'] });
    fixture.proposed.length = 0;
    await fixture.advance(300_000);
    expect(fixture.proposed).toEqual([]);
  });

  test('keeps tags that somebody changed where the service allows it', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'free', Tags: ['a'], EnableTagOverride: true, Check: { TTL: '10m' } });
    await register(fixture, { Name: 'fixed', Tags: ['a'] });
    const node = getNode(fixture.store, 'n1');
    for (const service of fixture.catalogServices()) {
      if (service.id === 'consul' || node === undefined) continue;
      await fixture.commit({
        kind: 'catalog-register',
        node: nodeValue(node),
        skipNodeUpdate: true,
        service: { ...service, tags: ['b'] },
        checks: [],
      });
    }
    await fixture.agent.sync();
    const tags = new Map(fixture.catalogServices().map(({ id, tags: own }) => [id, own]));
    expect(tags.get('free')).toEqual(['b']);
    expect(tags.get('fixed')).toEqual(['a']);
    expect(fixture.agent.services().get('free')?.tags).toEqual(['b']);
    expect(fixture.catalogChecks()[0]?.serviceTags).toEqual(['b']);
  });
});
