import { describe, expect, test } from '@jest/globals';
import { getNode, getNodeById, getService, nodeValue, serfHealth } from '../../src/state/catalog.ts';
import type { CatalogRegister } from '../../src/state/catalog.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { CheckValue, NodeValue, ServiceValue } from '../../src/state/values.ts';
import { StateFixture } from '../support/state.ts';

const idA = 'aaaaaaaa-2192-161a-0510-9bf59fe950b5';
const idB = 'bbbbbbbb-2192-161a-0510-9bf59fe950b5';

const nodeOf = (node: string, more: Partial<NodeValue> = {}): NodeValue => ({
  id: '',
  node,
  address: '10.0.0.1',
  taggedAddresses: null,
  meta: null,
  ...more,
});

const serviceOf = (node: string, id: string, more: Partial<ServiceValue> = {}): ServiceValue => ({
  node,
  id,
  service: id,
  tags: [],
  address: '',
  taggedAddresses: null,
  port: 0,
  meta: null,
  weights: { passing: 1, warning: 1 },
  enableTagOverride: false,
  extra: '',
  ...more,
});

const checkOf = (node: string, checkId: string, more: Partial<CheckValue> = {}): CheckValue => ({
  node,
  checkId,
  name: checkId,
  status: 'passing',
  notes: '',
  output: '',
  serviceId: '',
  serviceName: '',
  serviceTags: [],
  type: '',
  definition: '',
  ...more,
});

const register = (node: NodeValue, more: Partial<CatalogRegister> = {}): CatalogRegister => ({
  kind: 'catalog-register',
  node,
  skipNodeUpdate: false,
  checks: [],
  ...more,
});

const alive = (node: string): CatalogRegister =>
  register(nodeOf(node), { checks: [checkOf(node, 'serfHealth')] });

describe('registering', () => {
  test('a registration with a refused part leaves nothing of itself', () => {
    const fixture = new StateFixture();
    const step = fixture.step(
      register(nodeOf('n'), {
        service: serviceOf('n', 'web'),
        checks: [checkOf('n', 'c', { serviceId: 'nope' })],
      }),
    );
    expect(step.outcome).toEqual({
      kind: 'refused',
      status: 500,
      message: 'failed inserting check: Missing service registration on node "n"',
    });
    expect(getNode(fixture.store, 'n')).toBeUndefined();
    expect(getService(fixture.store, 'n', 'web')).toBeUndefined();
    expect(step.touched.size).toBe(0);
  });

  test('registering the same again touches nothing and keeps the indexes', () => {
    const fixture = new StateFixture();
    const command = register(nodeOf('n'), {
      service: serviceOf('n', 'web'),
      checks: [checkOf('n', 'c', { serviceId: 'web' })],
    });
    fixture.step(command);
    const before = getService(fixture.store, 'n', 'web');
    expect(fixture.step(command).touched.size).toBe(0);
    expect(getService(fixture.store, 'n', 'web')).toEqual(before);
  });

  test('a known node is left alone with SkipNodeUpdate, an unknown one is made', () => {
    const fixture = new StateFixture();
    fixture.step(register(nodeOf('n')));
    fixture.step(register(nodeOf('n', { address: '10.0.0.9' }), { skipNodeUpdate: true }));
    fixture.step(register(nodeOf('m', { address: '' }), { skipNodeUpdate: true }));
    const addresses = ['n', 'm'].map((name) => {
      const row = getNode(fixture.store, name);
      return row && nodeValue(row).address;
    });
    expect(addresses).toEqual(['10.0.0.1', '']);
  });

  test.each([
    [{ 'a b': 'v' }, "Couldn't load metadata pair ('a b', 'v'): Key contains invalid characters"],
    [{ '': 'v' }, "Couldn't load metadata pair ('', 'v'): Key cannot be blank"],
    [{ 'consul-a': 'v' }, "('consul-a', 'v'): Key prefix 'consul-' is reserved for internal use"],
    [{ k: 'é'.repeat(257) }, 'Value is too long (limit: 512 characters)'],
    [{ ['k'.repeat(129)]: 'v' }, 'Key is too long (limit: 128 characters)'],
    [
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v'])),
      'Node metadata cannot contain more than 64 key/value pairs',
    ],
  ])('metadata of a service that Consul refuses is refused (%#)', (meta, text) => {
    const fixture = new StateFixture();
    const { outcome } = fixture.step(register(nodeOf('n'), { service: serviceOf('n', 'web', { meta }) }));
    expect(outcome).toMatchObject({
      message: expect.stringContaining(
        'failed inserting service: Invalid Service Meta for node n and serviceID web: ',
      ),
    });
    expect(outcome).toMatchObject({ message: expect.stringContaining(text) });
  });
});

describe('the id of a node', () => {
  test('moves with a rename: the old node goes', () => {
    const fixture = new StateFixture();
    fixture.step(register(nodeOf('old', { id: idA }), { service: serviceOf('old', 'web') }));
    fixture.step(register(nodeOf('new', { id: idA.toUpperCase() })));
    expect(getNode(fixture.store, 'old')).toBeUndefined();
    expect(getService(fixture.store, 'old', 'web')).toBeUndefined();
    expect(getNodeById(fixture.store, idA)?.key).toBe('new');
  });

  test('moves with the index of its creation, also to a name that another node had', () => {
    const fixture = new StateFixture();
    fixture.step(register(nodeOf('old', { id: idA })));
    const created = getNode(fixture.store, 'old')?.createIndex;
    fixture.step(register(nodeOf('taken')));
    for (const name of ['new', 'taken']) {
      fixture.step(register(nodeOf(name, { id: idA })));
      const modified = fixture.store.tableIndex(Kind.node);
      expect(getNode(fixture.store, name)).toMatchObject({ createIndex: created, modifyIndex: modified });
    }
  });

  test('takes a name from a node that is not alive, and from one without an id', () => {
    const fixture = new StateFixture();
    fixture.step(register(nodeOf('n', { id: idA })));
    expect(fixture.step(register(nodeOf('n', { id: idB }))).outcome.kind).toBe('catalog');
    fixture.step(alive('m'));
    expect(fixture.step(register(nodeOf('m', { id: idA }))).outcome.kind).toBe('catalog');
  });

  test('does not take the name of a live node, and Consul says so in two ways', () => {
    const fixture = new StateFixture();
    fixture.step(alive('n'));
    fixture.step(register(nodeOf('n', { id: idA })));
    expect(fixture.step(register(nodeOf('n', { id: idB }))).outcome).toMatchObject({
      message:
        `failed inserting node: Error while renaming Node ID: "${idB}": ` +
        `Node name n is reserved by node ${idA} with name n (10.0.0.1)`,
    });
    fixture.step(alive('m'));
    expect(fixture.step(register(nodeOf('m', { id: idA }))).outcome).toMatchObject({
      message:
        `failed inserting node: Error while renaming Node ID: "${idA}" (10.0.0.1): ` +
        'Node name m is reserved by node  with name m (10.0.0.1)',
    });
  });

  test('membership tells who is alive, too', () => {
    const fixture = new StateFixture();
    fixture.step(register(nodeOf('n', { id: idA })));
    fixture.step({ kind: 'member-health', node: 'n', check: checkOf('n', 'serfHealth') });
    expect(fixture.step(register(nodeOf('n', { id: idB }))).outcome.kind).toBe('refused');
    fixture.step({
      kind: 'member-health',
      node: 'n',
      check: checkOf('n', 'serfHealth', { status: 'critical' }),
    });
    expect(fixture.step(register(nodeOf('n', { id: idB }))).outcome.kind).toBe('catalog');
  });
});

describe('serfHealth', () => {
  test('of a member stands before a registered one, which comes back when the member is forgotten', () => {
    const fixture = new StateFixture();
    fixture.step(alive('n'));
    const member = checkOf('n', 'serfHealth', { status: 'critical' });
    fixture.step({ kind: 'member-health', node: 'n', check: member });
    expect(serfHealth(fixture.store, 'n')?.status).toBe('critical');
    fixture.step({ kind: 'member-health', node: 'n', check: undefined });
    expect(serfHealth(fixture.store, 'n')?.status).toBe('passing');
  });
});

describe('deregistering a node', () => {
  test('takes its services, checks, coordinates and serfHealth with it', () => {
    const fixture = new StateFixture();
    fixture.step(register(nodeOf('N'), { service: serviceOf('N', 'web'), checks: [checkOf('N', 'c')] }));
    fixture.step({ kind: 'member-health', node: 'N', check: checkOf('N', 'serfHealth') });
    for (const segment of ['', 's']) {
      fixture.step({
        kind: 'coordinate-update',
        coordinate: { node: 'n', segment, vec: [], error: 0, adjustment: 0, height: 0 },
      });
    }
    // Of another node, whose name has this one's as a prefix.
    fixture.step(register(nodeOf('n2'), { service: serviceOf('n2', 'web') }));
    fixture.step({ kind: 'catalog-deregister', node: 'n', serviceId: '', checkId: '' });
    const kinds = [Kind.node, Kind.service, Kind.check, Kind.coordinate, Kind.memberHealth];
    const left = kinds.flatMap((kind) =>
      [...fixture.store.range(kind, '', undefined)].filter((row) => row.value !== null).map((row) => row.key),
    );
    expect(left).toEqual(['n2', 'n2\u0001web']);
  });

  test('of a service takes its checks, and not those of the node', () => {
    const fixture = new StateFixture();
    fixture.step(
      register(nodeOf('n'), {
        service: serviceOf('n', 'web'),
        checks: [checkOf('n', 'own'), checkOf('n', 'of-web', { serviceId: 'WEB' })],
      }),
    );
    fixture.step({ kind: 'catalog-deregister', node: 'N', serviceId: 'Web', checkId: 'own' });
    const checks = [...fixture.store.range(Kind.check, '', undefined)];
    expect(checks.map((row) => [row.key, row.value !== null])).toEqual([
      ['n\u0001of-web', false],
      ['n\u0001own', true],
    ]);
  });
});

test('a coordinate of a node that is not there is dropped', () => {
  const fixture = new StateFixture();
  const { touched } = fixture.step({
    kind: 'coordinate-update',
    coordinate: { node: 'nobody', segment: '', vec: [], error: 0, adjustment: 0, height: 0 },
  });
  expect(touched.size).toBe(0);
});
