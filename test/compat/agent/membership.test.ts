import { beforeEach, describe, expect, test } from '@jest/globals';
import { MembershipCatalog } from '../../../compat/agent/membership-catalog.ts';
import { movedNoticeably, OwnCoordinate } from '../../../compat/agent/own-coordinate.ts';
import { getNode, serfHealth } from '../../../src/state/catalog.ts';
import type { Command, CommandOutcome } from '../../../src/state/command.ts';
import { coordinateOrigin, coordinateSet } from '../../../src/state/coordinates.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { FakeFleet, nodeIdOf, zoneView } from '../../support/fleet.ts';
import { StateFixture } from '../../support/state.ts';
import { FakePorts } from '../checks/fake-ports.ts';

let fleet: FakeFleet;
let fixture: StateFixture;
let ports: FakePorts;
let catalog: MembershipCatalog;
let proposed: Command[];
let refuse: CommandOutcome | undefined;
let logged: string[];
const listeners = new Set<(touched: ReadonlySet<string>) => void>();

function commit(command: Command): CommandOutcome {
  const { outcome, touched } = fixture.step(command);
  for (const listener of listeners) listener(touched);
  return outcome;
}

function register(node: string, id = nodeIdOf(node)): void {
  commit({
    kind: 'catalog-register',
    node: { id, node, address: '10.0.0.1', taggedAddresses: null, meta: null },
    skipNodeUpdate: false,
    checks: [],
  });
}

beforeEach(() => {
  fleet = new FakeFleet('a', 'b', 'c');
  fixture = new StateFixture();
  ports = new FakePorts();
  proposed = [];
  logged = [];
  refuse = undefined;
  listeners.clear();
  const note = (message: string): void => void logged.push(message);
  catalog = new MembershipCatalog({
    fleet,
    view: fixture.store,
    propose: (command, done) => {
      proposed.push(command);
      done(refuse ?? commit(command));
    },
    onCommit: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    log: { info: note, warn: note, error: note },
    ports,
  });
});

/** Tells what is known of a member now, and lets it take effect. */
async function change(...args: Parameters<FakeFleet['change']>): Promise<void> {
  fleet.change(...args);
  await ports.advance(250);
}

const healthOf = (node: string): string | undefined => serfHealth(fixture.store, node)?.status;

describe('serfHealth', () => {
  test('follows membership for every node that is in the catalog', async () => {
    for (const node of ['a', 'B', 'c']) register(node);
    await change('c', { state: 'failed' });
    catalog.start();
    expect([healthOf('b'), healthOf('c')]).toEqual(['passing', 'critical']);
    expect(serfHealth(fixture.store, 'b')).toMatchObject({ node: 'B', output: 'Agent alive and reachable' });
    expect(serfHealth(fixture.store, 'c')?.output).toBe('Agent not live or unreachable');
    await change('c', { state: 'alive' });
    await change('b', { state: 'suspect' });
    expect([healthOf('b'), healthOf('c')]).toEqual(['passing', 'passing']);
  });

  test('is written when it changes, and not again', async () => {
    register('b');
    catalog.start();
    expect(proposed).toHaveLength(1);
    await change('b', { rttMs: 3 });
    await change('c', { incarnation: 5 });
    expect(proposed).toHaveLength(1);
  });

  test('follows a crowd of changes with two comparisons: at once, and when it is over', async () => {
    for (const node of ['b', 'c']) register(node);
    catalog.start();
    await ports.advance(250);
    let comparisons = 0;
    fleet.members = () => {
      comparisons += 1;
      return fleet.lan;
    };
    for (let round = 0; round < 100; round++)
      fleet.change('b', { state: round % 2 === 0 ? 'alive' : 'failed' });
    expect(comparisons).toBe(1);
    await ports.advance(250);
    expect(comparisons).toBe(2);
    expect([healthOf('b'), healthOf('c')]).toEqual(['critical', 'passing']);
  });

  test("of the gateway's own node is left to its agent", () => {
    register('a');
    catalog.start();
    expect(proposed).toEqual([]);
  });

  test('comes with the node, when that arrives after its member', async () => {
    catalog.start();
    expect([...fixture.store.range(Kind.memberHealth, '', undefined)]).toEqual([]);
    register('b');
    await ports.advance(250);
    expect(healthOf('b')).toBe('passing');
  });

  test('goes with the node', async () => {
    register('b');
    catalog.start();
    // As it comes from another gateway, which knows nothing of what is local here.
    fixture.store.transact(() => fixture.store.remove(Kind.node, 'b'));
    for (const listener of listeners) listener(new Set(['nodes']));
    await ports.advance(250);
    expect(healthOf('b')).toBeUndefined();
  });

  test('is refused quietly, and tried again', async () => {
    register('b');
    refuse = { kind: 'not-owned', zone: '', owner: 'x', reason: 'away' };
    catalog.start();
    expect(logged).toEqual(['What membership says of a node was not written, and will be again']);
    refuse = undefined;
    await ports.advance(15_000);
    expect(healthOf('b')).toBe('passing');
  });
});

describe('the node of a gateway that is gone', () => {
  beforeEach(() => {
    for (const node of ['a', 'b', 'c']) register(node);
  });

  test('is deregistered by the owner of the root zone when it left', async () => {
    catalog.start();
    await change('b', { state: 'left' });
    expect(getNode(fixture.store, 'b')).toBeUndefined();
    expect(healthOf('b')).toBeUndefined();
  });

  test('is deregistered when its member was forgotten', async () => {
    catalog.start();
    await change('b', { state: 'failed' });
    expect(healthOf('b')).toBe('critical');
    await change('b', undefined);
    expect(getNode(fixture.store, 'b')).toBeUndefined();
  });

  test('stays, critical, on every other gateway until that was done', async () => {
    fleet.zoneList = [zoneView('', 'c')];
    catalog.start();
    await change('b', { state: 'left' });
    expect(getNode(fixture.store, 'b')).toBeDefined();
    expect(healthOf('b')).toBe('critical');
  });

  test('is deregistered by who becomes the owner', async () => {
    fleet.zoneList = [zoneView('', 'c')];
    catalog.start();
    await change('b', { state: 'left' });
    fleet.zoneList = [zoneView('', 'a')];
    for (const listener of listeners) listener(new Set(['zones']));
    await ports.advance(250);
    expect(getNode(fixture.store, 'b')).toBeUndefined();
  });

  test('is not touched when another took its name', async () => {
    catalog.start();
    await change('b', { state: 'failed' });
    register('b', nodeIdOf('other'));
    await change('b', { state: 'left' });
    expect(getNode(fixture.store, 'b')).toBeDefined();
    expect(healthOf('b')).toBeUndefined();
  });

  test('is not taken for gone because this process does not know its member yet', async () => {
    catalog.start();
    catalog.stop();
    const { lan } = fleet;
    fleet.lan = lan.slice(0, 1);
    const again = new MembershipCatalog({
      fleet,
      view: fixture.store,
      propose: (command, done) => done(commit(command)),
      onCommit: () => () => undefined,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      ports,
    });
    again.start();
    expect(getNode(fixture.store, 'b')).toBeDefined();
    expect(healthOf('b')).toBe('critical');
    fleet.lan = lan;
    await change('b', {});
    expect(healthOf('b')).toBe('passing');
  });

  test('says nothing any more after a stop', async () => {
    catalog.start();
    catalog.stop();
    await change('b', { state: 'left' });
    expect(getNode(fixture.store, 'b')).toBeDefined();
    expect(ports.pending).toBe(0);
  });
});

describe('the own coordinate', () => {
  const place = { vec: [0.01, 0, 0, 0, 0, 0, 0, 0], error: 0.9, adjustment: 0, height: 1e-5 };

  test('is written when it moved noticeably, and not otherwise', async () => {
    register('a');
    const sent: Command[] = [];
    const own = new OwnCoordinate({
      node: 'a',
      fleet,
      view: fixture.store,
      propose: (command) => {
        sent.push(command);
        commit(command);
      },
      ports,
    });
    own.start();
    await ports.advance(60_000);
    expect(sent).toEqual([]);
    fleet.place = place;
    await ports.advance(20_000);
    expect(coordinateSet(fixture.store, 'a').get('')).toMatchObject(place);
    fleet.place = { ...place, vec: [0.0105, 0, 0, 0, 0, 0, 0, 0], error: 0.8 };
    await ports.advance(600_000);
    expect(sent).toHaveLength(1);
    fleet.place = { ...place, vec: [0.02, 0, 0, 0, 0, 0, 0, 0] };
    await ports.advance(20_000);
    expect(sent).toHaveLength(2);
    own.stop();
    expect(ports.pending).toBe(0);
  });

  test.each([
    ['half a millisecond from the origin', { vec: [0.0005], error: 1.5 }, true],
    ['a tenth of a millisecond', { vec: [0.0001], error: 1.5 }, false],
    ['an error that halved', { vec: [], error: 0.7 }, true],
    ['a height', { vec: [], error: 1.5, height: 0.001 }, true],
  ])('takes %s for a move: %s', (_what, now, moved) => {
    expect(movedNoticeably(coordinateOrigin, { ...coordinateOrigin, ...now })).toBe(moved);
  });
});
