import { describe, expect, test } from '@jest/globals';
import { admitCheckBody, admitService } from '../../../compat/agent/registration.ts';
import type { JsonValue } from '../../../compat/wire/go-json.ts';
import { getNode, nodeValue, serfHealth } from '../../../src/state/catalog.ts';
import { AgentFixture } from './agent-fixture.ts';

const policy = { remoteScripts: false };

async function register(fixture: AgentFixture, body: JsonValue, replaceChecks = false) {
  const admitted = admitService(body, 'api', policy);
  if (!admitted.ok) throw new Error(admitted.error.body);
  return await fixture.agent.registerService({ ...admitted.value, replaceChecks });
}

async function registerCheck(fixture: AgentFixture, body: JsonValue) {
  const admitted = admitCheckBody(body, 'api', policy);
  if (!admitted.ok) throw new Error(admitted.error.body);
  return await fixture.agent.registerCheck(admitted.value);
}

const done = { kind: 'done' };

describe('the own node', () => {
  test('is in the catalog after the start, alive, with its service `consul`', async () => {
    const { store, catalogServices } = await bound();
    const node = getNode(store, 'n1');
    expect(node && nodeValue(node)).toMatchObject({
      id: '42c8f297-c116-4fe6-0c17-c4038ba4e561',
      address: '10.1.1.1',
      taggedAddresses: { lan: '10.1.1.1', wan: '10.1.1.2' },
      meta: { 'consul-network-segment': '', rack: 'r1' },
    });
    expect(serfHealth(store, 'n1')).toMatchObject({
      status: 'passing',
      output: 'Agent alive and reachable',
    });
    expect(catalogServices().map(({ id, port }) => [id, port])).toEqual([['consul', 8300]]);
  });

  test('is taken over from an earlier life under another id', async () => {
    const first = await AgentFixture.start();
    const next = await first.restart({ gateway: { nodeId: '11111111-c116-4fe6-0c17-c4038ba4e561' } });
    const node = getNode(next.store, 'n1');
    expect(node && nodeValue(node).id).toBe('11111111-c116-4fe6-0c17-c4038ba4e561');
    expect(serfHealth(next.store, 'n1')?.status).toBe('passing');
  });

  test('is taken over from an agent of Consul that was copied and looks well yet', async () => {
    const first = await AgentFixture.start();
    const id = '22222222-c116-4fe6-0c17-c4038ba4e561';
    const check = {
      ...{ node: 'n1', checkId: 'serfHealth', name: 'Serf Health Status', status: 'passing', notes: '' },
      ...{ output: 'Agent alive and reachable', serviceId: '', serviceName: '', serviceTags: [] },
      ...{ type: '', definition: '' },
    } as const;
    await first.commit({ kind: 'member-health', node: 'n1', check: undefined });
    await first.commit({
      kind: 'catalog-register',
      node: { id, node: 'n1', address: '1.2.3.4', taggedAddresses: null, meta: null },
      skipNodeUpdate: false,
      checks: [check],
    });
    expect(getNode(first.store, 'n1')?.ix).toBe(id);
    const next = await first.restart();
    expect(getNode(next.store, 'n1')?.ix).toBe(next.gateway.nodeId);
    expect(serfHealth(next.store, 'n1')?.status).toBe('passing');
  });

  test('leaves its former name when it is renamed', async () => {
    const first = await AgentFixture.start();
    await register(first, { Name: 'web' });
    const next = await first.restart({ gateway: { nodeName: 'n2' } });
    expect(getNode(next.store, 'n1')).toBeUndefined();
    expect(serfHealth(next.store, 'n1')).toBeUndefined();
    expect(next.catalogServices('n2').map(({ id }) => id)).toEqual(['consul', 'web']);
  });
});

describe('a registration', () => {
  test('is durable and published by one command', async () => {
    const fixture = await AgentFixture.start();
    fixture.proposed.length = 0;
    expect(await register(fixture, { Name: 'web', Check: { TTL: '15s' } })).toEqual(done);
    expect(fixture.proposed.map(({ kind }) => kind)).toEqual(['local']);
    expect(fixture.catalogIds()).toEqual(['consul', 'web', 'service:web']);
    expect(fixture.catalogChecks()[0]).toMatchObject({
      status: 'critical',
      serviceName: 'web',
      type: 'ttl',
      definition: '',
    });
  });

  test('survives a restart, with the status its check had', async () => {
    const first = await AgentFixture.start();
    await register(first, { Name: 'web', Port: 80, Check: { TTL: '15s' } });
    await first.agent.updateCheck('service:web', 'passing', 'fine');
    const next = await first.restart();
    expect(next.agent.services().get('web')).toMatchObject({ port: 80 });
    expect(next.agent.checks().get('service:web')).toMatchObject({ status: 'passing', output: 'fine' });
    // The TTL starts anew, and ends as any other.
    await next.advance(15_000);
    expect(next.agent.checks().get('service:web')?.status).toBe('critical');
    expect(next.catalogChecks()[0]?.status).toBe('critical');
  });

  test('again keeps what the check shows, whatever Status says', async () => {
    const fixture = await AgentFixture.start();
    await registerCheck(fixture, { Name: 'c1', TTL: '60s' });
    await fixture.agent.updateCheck('c1', 'warning', 'oo');
    await registerCheck(fixture, { Name: 'c1', TTL: '60s', Status: 'passing' });
    expect(fixture.catalogChecks()[0]).toMatchObject({ status: 'warning', output: 'oo' });
  });

  test('keeps the other checks of the service unless they are to be replaced', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Checks: [{ TTL: '9s' }, { TTL: '9s' }] });
    await register(fixture, { Name: 'web', Check: { CheckID: 'only', TTL: '9s' } });
    expect(fixture.heldIds()).toEqual(['web', 'only', 'service:web:1', 'service:web:2']);
    await fixture.agent.setMaintenance('web', '');
    await register(fixture, { Name: 'web', Check: { CheckID: 'only', TTL: '9s' } }, true);
    expect(fixture.heldIds()).toEqual(['web', 'only']);
    expect(fixture.catalogIds()).toEqual(['consul', 'web', 'only']);
    const next = await fixture.restart();
    expect(next.heldIds()).toEqual(['web', 'only']);
  });

  test('under another spelling of an id replaces the service', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '9s' } });
    await register(fixture, { Name: 'Web' });
    expect(fixture.heldIds()).toEqual(['Web']);
    expect(fixture.catalogIds()).toEqual(['consul', 'Web']);
    expect((await fixture.restart()).heldIds()).toEqual(['Web']);
  });

  test('of ids that are the gateway’s own is refused', async () => {
    const fixture = await AgentFixture.start();
    expect(await register(fixture, { Name: 'consul' })).toMatchObject({ kind: 'refused', status: 400 });
    expect(await registerCheck(fixture, { Name: 'serfHealth', TTL: '9s' })).toMatchObject({ status: 400 });
    expect(await register(fixture, { Name: 'x', Check: { CheckID: 'serfHealth', TTL: '9s' } })).toMatchObject(
      { status: 400 },
    );
  });

  test('of a check needs its service', async () => {
    const fixture = await AgentFixture.start();
    expect(await registerCheck(fixture, { Name: 'c', TTL: '9s', ServiceID: 'nope' })).toEqual({
      kind: 'refused',
      status: 500,
      message: 'ServiceID "nope" does not exist',
    });
  });

  test('that nobody waits for, then its end, leaves nothing behind', async () => {
    const fixture = await AgentFixture.start();
    const admitted = admitService({ Name: 'web', Check: { TTL: '9s' } }, 'api', policy);
    if (!admitted.ok) throw new Error('refused');
    const registered = fixture.agent.registerService({ ...admitted.value, replaceChecks: false });
    const gone = fixture.agent.deregisterService('web');
    await Promise.all([registered, gone]);
    expect(fixture.catalogIds()).toEqual(['consul']);
    expect((await fixture.restart()).heldIds()).toEqual([]);
  });
});

describe('a deregistration', () => {
  test('takes the checks of a service along, for good', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '9s' } });
    await registerCheck(fixture, { Name: 'more', TTL: '9s', ServiceID: 'web' });
    expect(await fixture.agent.deregisterService('web')).toEqual(done);
    expect(fixture.catalogIds()).toEqual(['consul']);
    expect((await fixture.restart()).heldIds()).toEqual([]);
  });

  test('of what is not there is refused with the hint that Consul gives', async () => {
    const { agent } = await AgentFixture.start();
    expect(await agent.deregisterService('x')).toEqual({
      kind: 'refused',
      status: 404,
      message: 'Unknown service ID "x". Ensure that the service ID is passed, not the service name.',
    });
    expect(await agent.deregisterCheck('x')).toEqual({
      kind: 'refused',
      status: 404,
      message: 'Unknown check ID "x". Ensure that the check ID is passed, not the check name.',
    });
  });
});

describe('the configuration', () => {
  const services = [{ name: 'cfg', port: 80, enable_tag_override: false, check: { ttl: '30s' } }];

  test('brings services and checks, which go when it no longer has them', async () => {
    const first = await AgentFixture.start({
      services,
      checkDefinitions: [{ name: 'c', ttl: '9s', service_id: 'cfg' }],
    });
    await register(first, { Name: 'api' });
    expect(first.heldIds()).toEqual(['api', 'cfg', 'c', 'service:cfg']);
    const next = await first.restart({ services: [{ name: 'other' }] });
    expect(next.heldIds()).toEqual(['api', 'other']);
    expect(next.catalogIds()).toEqual(['api', 'consul', 'other']);
  });

  test('wins over a registration of the same id, at the start and for good', async () => {
    const first = await AgentFixture.start();
    await register(first, { Name: 'cfg', Port: 1 });
    const next = await first.restart({ services });
    expect(next.agent.services().get('cfg')?.port).toBe(80);
    expect((await next.restart()).heldIds()).toEqual([]);
  });

  test('lets checks of its services go on where they stood', async () => {
    const first = await AgentFixture.start({ services });
    await first.agent.updateCheck('service:cfg', 'passing', 'up');
    const next = await first.restart({ services });
    expect(next.agent.checks().get('service:cfg')).toMatchObject({ status: 'passing', output: 'up' });
  });

  test('keeps a check that was registered on one of its services', async () => {
    const first = await AgentFixture.start({ services });
    await registerCheck(first, { Name: 'more', TTL: '9s', ServiceID: 'cfg' });
    const next = await first.restart({ services });
    expect(next.heldIds()).toEqual(['cfg', 'more', 'service:cfg']);
    const last = await next.restart();
    expect(last.heldIds()).toEqual([]);
    expect(last.catalogIds()).toEqual(['consul']);
  });

  test('is taken anew by a reload', async () => {
    const fixture = await AgentFixture.start({ services });
    await register(fixture, { Name: 'api' });
    expect(await fixture.reload({ services: [{ name: 'cfg', port: 81 }, { name: 'new' }] })).toEqual(done);
    expect(fixture.heldIds()).toEqual(['api', 'cfg', 'new']);
    expect(fixture.catalogServices().map(({ id, port }) => [id, port])).toEqual([
      ['api', 0],
      ['cfg', 81],
      ['consul', 8300],
      ['new', 0],
    ]);
    expect(fixture.catalogChecks()).toEqual([]);
  });

  test('brings new metadata of the node by a reload', async () => {
    const fixture = await AgentFixture.start();
    fixture.nodeMeta = { rack: 'r2' };
    expect(await fixture.reload({})).toEqual(done);
    const node = getNode(fixture.store, 'n1');
    expect(node && nodeValue(node).meta).toEqual({ rack: 'r2', 'consul-network-segment': '' });
  });

  test('drops outputs from a reload on', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '10m' } });
    await fixture.agent.updateCheck('service:web', 'passing', 'well');
    expect(fixture.catalogChecks()[0]?.output).toBe('well');
    await fixture.reload({ discardOutput: true });
    await fixture.agent.updateCheck('service:web', 'critical', 'ill');
    expect(fixture.catalogChecks()[0]).toMatchObject({ status: 'critical', output: '' });
  });

  test('does not let scripts run that could not at the start', async () => {
    const script = { checkDefinitions: [{ name: 's', args: ['true'], interval: '10s' }] };
    const fixture = await AgentFixture.start();
    expect(await fixture.reload({ ...script, enableScriptChecks: true })).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('Scripts are disabled'),
    });
    expect(fixture.agent.remoteScripts).toBe(false);
  });

  test('that is wrong changes nothing at a reload and stops a start', async () => {
    const fixture = await AgentFixture.start({ services });
    const wrong = { services: [{ name: 'x', check: { http: 'http://127.0.0.1/' } }] };
    expect(await fixture.reload(wrong)).toMatchObject({
      kind: 'refused',
      message:
        'Failed to register service "x": Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks',
    });
    expect(fixture.heldIds()).toEqual(['cfg', 'service:cfg']);
    await expect(AgentFixture.start(wrong)).rejects.toThrow('Failed to register service "x"');
    await expect(
      AgentFixture.start({ checkDefinitions: [{ name: 'c', ttl: '9s', service_id: 'nope' }] }),
    ).rejects.toThrow('Failed to register check "c": ServiceID "nope" does not exist');
  });
});

describe('a check', () => {
  test('is published at once when its status changes, late when its output does', async () => {
    const fixture = await AgentFixture.start({ updateIntervalMs: 300_000 });
    fixture.answers.set('http://a/', { status: 'passing', output: 'at 1' });
    await registerCheck(fixture, { Name: 'c', HTTP: 'http://a/', Interval: '10s' });
    await fixture.advance(10_000);
    expect(fixture.catalogChecks()[0]).toMatchObject({ status: 'passing', output: 'at 1', type: 'http' });
    fixture.proposed.length = 0;
    fixture.answers.set('http://a/', { status: 'passing', output: 'at 2' });
    await fixture.advance(20_000);
    expect(fixture.agent.checks().get('c')?.output).toBe('at 2');
    expect(fixture.proposed).toEqual([]);
    expect(fixture.catalogChecks()[0]?.output).toBe('at 1');
    fixture.answers.set('http://a/', { status: 'warning', output: 'at 3' });
    await fixture.advance(10_000);
    expect(fixture.proposed).toHaveLength(1);
    expect(fixture.catalogChecks()[0]).toMatchObject({ status: 'warning', output: 'at 3' });
    fixture.answers.set('http://a/', { status: 'warning', output: 'at 4' });
    await fixture.advance(460_000);
    expect(fixture.catalogChecks()[0]?.output).toBe('at 4');
    expect(fixture.proposed).toHaveLength(2);
  });

  test('by TTL is durable before its beat is answered', async () => {
    const fixture = await AgentFixture.start();
    await registerCheck(fixture, { Name: 'c', TTL: '10s' });
    expect(await fixture.agent.updateCheck('c', 'passing', 'ok')).toEqual(done);
    expect(fixture.catalogChecks()[0]).toMatchObject({ status: 'passing', output: 'ok' });
    fixture.proposed.length = 0;
    expect(await fixture.agent.updateCheck('c', 'passing', 'ok')).toEqual(done);
    expect(fixture.proposed).toEqual([]);
    await fixture.advance(10_000);
    expect(fixture.catalogChecks()[0]).toMatchObject({
      status: 'critical',
      output: 'TTL expired (last output before timeout follows): ok',
    });
  });

  test('without a TTL takes no beat', async () => {
    const fixture = await AgentFixture.start();
    await registerCheck(fixture, { Name: 'c', HTTP: 'http://a/', Interval: '10s' });
    expect(await fixture.agent.updateCheck('c', 'passing', '')).toEqual({
      kind: 'refused',
      status: 500,
      message: 'CheckID "c" does not have associated TTL',
    });
    expect(await fixture.agent.updateCheck('x', 'passing', '')).toMatchObject({ status: 404 });
  });

  test('that is critical for too long takes its service away', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '10s', DeregisterCriticalServiceAfter: '1m' } });
    await fixture.advance(60_000);
    expect(fixture.heldIds()).toEqual(['web', 'service:web']);
    await fixture.advance(60_000);
    expect(fixture.heldIds()).toEqual([]);
    expect(fixture.catalogIds()).toEqual(['consul']);
  });

  test('that is an alias follows a service of this agent', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web', Check: { TTL: '10m' } });
    await register(fixture, { Name: 'side', Check: { AliasService: 'web' } });
    await fixture.advance(1);
    expect(fixture.agent.checks().get('service:side')?.status).toBe('critical');
    await fixture.agent.updateCheck('service:web', 'passing', '');
    await fixture.advance(1);
    expect(fixture.catalogChecks().find(({ checkId }) => checkId === 'service:side')).toMatchObject({
      status: 'passing',
      type: 'alias',
    });
    await fixture.agent.setMaintenance('web', '');
    await fixture.advance(1);
    expect(fixture.agent.checks().get('service:side')?.status).toBe('critical');
  });

  test('that is an alias follows another node in the catalog', async () => {
    const fixture = await AgentFixture.start();
    await registerCheck(fixture, { Name: 'al', AliasNode: 'other' });
    await fixture.advance(1);
    expect(fixture.agent.checks().get('al')?.status).toBe('critical');
    const node = { id: '', node: 'other', address: '10.9.9.9', taggedAddresses: null, meta: null };
    await fixture.commit({ kind: 'catalog-register', node, skipNodeUpdate: false, checks: [] });
    await fixture.advance(1);
    expect(fixture.catalogChecks().map(({ checkId, status }) => [checkId, status])).toEqual([
      ['al', 'passing'],
    ]);
  });
});

describe('maintenance mode', () => {
  test('is a critical check with a reason, kept by the first who sets it, and survives a restart', async () => {
    const fixture = await AgentFixture.start();
    await register(fixture, { Name: 'web' });
    await fixture.agent.setMaintenance('web', 'first');
    await fixture.agent.setMaintenance('web', 'second');
    await fixture.agent.setMaintenance(undefined, '');
    const next = await fixture.restart();
    expect(next.catalogChecks().map(({ checkId, notes, type }) => [checkId, notes, type])).toEqual([
      [
        '_node_maintenance',
        'Maintenance mode is enabled for this node, but no reason was provided. This is a default message.',
        'maintenance',
      ],
      ['_service_maintenance:web', 'first', 'maintenance'],
    ]);
    await next.agent.clearMaintenance('web');
    await next.agent.clearMaintenance(undefined);
    expect(await next.agent.clearMaintenance(undefined)).toEqual(done);
    expect(next.catalogChecks()).toEqual([]);
    expect((await next.restart()).heldIds()).toEqual(['web']);
  });

  test('of an unknown service is refused', async () => {
    const { agent } = await AgentFixture.start();
    expect(await agent.setMaintenance('nope', '')).toMatchObject({ kind: 'refused', status: 404 });
  });
});

async function bound() {
  const fixture = await AgentFixture.start();
  return { store: fixture.store, catalogServices: () => fixture.catalogServices() };
}
