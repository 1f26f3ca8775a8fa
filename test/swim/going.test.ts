import { describe, expect, test } from '@jest/globals';
import { lanProfile } from '../../src/swim/profile.ts';
import { Pool, factsOf, type Node } from './pool.ts';

const minuteMs = 60_000;

function joinResult(node: Node, token: number) {
  return node.effects.find((effect) => effect.kind === 'join-result' && effect.token === token);
}

describe('leaving', () => {
  test('a goodbye is seen by all as left within seconds, and never as failed', () => {
    const pool = Pool.of(10, 1);
    const node = pool.node(4);
    pool.tell(node, (swim, nowMs) => swim.leave(77, nowMs));
    expect(pool.runUntil(() => node.effects.some(({ kind }) => kind === 'left'), 7000)).toBe(true);
    expect(node.effects).toContainEqual({ kind: 'left', token: 77 });
    expect(node.swim.nextTickMs).toBe(Infinity);
    pool.crash(node);
    pool.run(60_000);
    for (const other of pool.nodes.filter((each) => each !== node))
      expect(pool.stateOf(other, node)).toBe('left');
    expect(pool.events('failed', 'suspect')).toEqual([]);
  });

  test('the last of a pool leaves at once', () => {
    const pool = new Pool(2);
    const node = pool.add(factsOf(1), 'cafe');
    pool.tell(node, (swim, nowMs) => swim.leave(1, nowMs));
    expect(node.effects.at(-1)).toEqual({ kind: 'left', token: 1 });
  });

  test('who left may come back, and is seen as joined', () => {
    const pool = Pool.of(4, 3);
    const node = pool.node(2);
    pool.tell(node, (swim, nowMs) => swim.leave(1, nowMs));
    pool.run(10_000);
    pool.crash(node);
    for (const each of pool.nodes) each.events.length = 0;
    pool.restart(node);
    pool.join(node, pool.node(0));
    pool.run(10_000);
    expect(pool.agreed()).toBe(true);
    expect(pool.events('joined').filter((event) => event.endsWith('sees node-3 joined'))).toHaveLength(3);
  });
});

describe('forcing out', () => {
  test('a failed member becomes left everywhere; pruned, it is forgotten everywhere', () => {
    const pool = Pool.of(6, 4);
    const node = pool.node(5);
    pool.crash(node);
    pool.run(40_000);
    pool.tell(pool.node(0), (swim, nowMs) => expect(swim.forceLeave('NODE-6', false, nowMs)).toBe('done'));
    pool.run(5000);
    for (const other of pool.nodes.slice(0, 5)) expect(pool.stateOf(other, node)).toBe('left');
    pool.tell(pool.node(1), (swim, nowMs) => expect(swim.forceLeave('node-6', true, nowMs)).toBe('done'));
    pool.run(5000);
    for (const other of pool.nodes.slice(0, 5)) expect(pool.stateOf(other, node)).toBeUndefined();
    pool.run(300_000);
    expect(pool.agreed()).toBe(true);
    expect(pool.node(3).swim.members()).toHaveLength(5);
    pool.tell(pool.node(0), (swim, nowMs) => expect(swim.forceLeave('node-6', true, nowMs)).toBe('unknown'));
  });

  test('a member that lives stays, and one that is forced out too early comes back by itself', () => {
    const pool = Pool.of(4, 5);
    pool.tell(pool.node(0), (swim, nowMs) => expect(swim.forceLeave('node-2', false, nowMs)).toBe('done'));
    pool.run(5000);
    expect(pool.node(0).swim.liveCount()).toBe(4);
    const cutOff = pool.node(3);
    pool.carries = (from, to) => (from === cutOff) === (to === cutOff);
    pool.run(60_000);
    pool.tell(pool.node(0), (swim, nowMs) => swim.forceLeave('node-4', true, nowMs));
    pool.run(5000);
    expect(pool.stateOf(pool.node(1), cutOff)).toBeUndefined();
    pool.carries = () => true;
    pool.run(60_000);
    for (const node of pool.nodes) expect(node.swim.liveCount()).toBe(4);
    expect(pool.agreed()).toBe(true);
  });

  test('a suspect that is forced out becomes left when its time is over', () => {
    const pool = Pool.of(5, 6);
    const node = pool.node(4);
    pool.crash(node);
    expect(pool.runUntil(() => pool.stateOf(pool.node(0), node) === 'suspect', 20_000)).toBe(true);
    pool.tell(pool.node(0), (swim, nowMs) => swim.forceLeave('node-5', false, nowMs));
    pool.run(40_000);
    for (const other of pool.nodes.slice(0, 4)) expect(pool.stateOf(other, node)).toBe('left');
  });
});

describe('forgetting', () => {
  const quick = { ...lanProfile, reconnectTimeoutMs: 20 * minuteMs, tombstoneMs: 10 * minuteMs };

  test('who failed or left is forgotten by all after its time, also by who came later', () => {
    const pool = Pool.of(5, 7, quick);
    const [failed, gone] = [pool.node(3), pool.node(4)];
    pool.crash(failed);
    pool.tell(gone, (swim, nowMs) => swim.leave(1, nowMs));
    pool.run(10_000);
    pool.crash(gone);
    pool.run(5 * minuteMs);
    const late = pool.add(factsOf(9));
    pool.join(late, pool.node(0));
    pool.run(5000);
    expect(pool.stateOf(late, failed)).toBe('failed');
    expect(pool.stateOf(late, gone)).toBe('left');
    pool.run(7 * minuteMs);
    for (const node of [pool.node(0), pool.node(1), late]) {
      expect(pool.stateOf(node, gone)).toBeUndefined();
      expect(pool.stateOf(node, failed)).toBe('failed');
    }
    pool.run(11 * minuteMs);
    for (const node of [pool.node(0), pool.node(1), late]) expect(node.swim.members()).toHaveLength(4);
    expect(pool.agreed()).toBe(true);
  });

  test('a forgotten member is forgotten on disk', () => {
    const pool = Pool.of(3, 8, quick);
    const failed = pool.node(2);
    pool.crash(failed);
    pool.run(60_000);
    expect(pool.node(0).disk.members.get(failed.facts.id)?.state).toBe('failed');
    pool.run(22 * minuteMs);
    expect(pool.node(0).disk.members.has(failed.facts.id)).toBe(false);
  });
});

describe('refusing', () => {
  test('another cluster is refused, and both are named', () => {
    const pool = Pool.of(3, 9);
    const other = pool.add(factsOf(50), 'beef');
    const token = pool.join(other, pool.node(0));
    pool.run(2000);
    expect(joinResult(other, token)).toMatchObject({
      joined: 0,
      failures: [{ endpoint: pool.node(0).facts.endpoint, reason: expect.stringMatching(/cafe.*beef/) }],
    });
    expect(other.effects).toContainEqual(
      expect.objectContaining({ kind: 'refused', reason: 'cluster', final: false }),
    );
    expect(other.swim.members()).toHaveLength(1);
    expect(pool.node(0).swim.members()).toHaveLength(3);
  });

  test('a second living member of a name is refused, whatever its case; the first stays', () => {
    const pool = Pool.of(3, 10);
    const twin = pool.add(factsOf(50, { name: 'Node-2' }));
    const token = pool.join(twin, pool.node(0));
    pool.run(2000);
    expect(joinResult(twin, token)).toMatchObject({
      joined: 0,
      failures: [{ reason: expect.stringContaining('node name "Node-2" is in use by node-2') }],
    });
    pool.run(60_000);
    expect(pool.node(0).swim.member('NODE-2')?.facts.id).toBe(pool.node(1).facts.id);
    expect(pool.node(0).effects).toContainEqual(
      expect.objectContaining({ kind: 'conflict', name: 'node-2' }),
    );
    expect(pool.nodes.slice(0, 3).every((node) => node.swim.members().length === 3)).toBe(true);
  });

  test('a second process with the id of a living one is refused, the first does not notice', () => {
    const pool = Pool.of(3, 11);
    const copy = pool.add(factsOf(2, { endpoint: { address: '10.7.7.7', port: 8301 } }));
    const token = pool.join(copy, pool.node(0));
    pool.run(5000);
    expect(joinResult(copy, token)).toMatchObject({
      joined: 0,
      failures: [{ reason: expect.stringContaining('is in use by node-2') }],
    });
    expect(pool.node(0).swim.member('node-2')?.facts.endpoint).toEqual(factsOf(2).endpoint);
    expect(pool.node(1).swim.liveCount()).toBe(3);
  });

  test('the name of a failed member may be taken over, which forgets the old one', () => {
    const pool = Pool.of(5, 12);
    const old = pool.node(2);
    pool.crash(old);
    pool.run(40_000);
    const heir = pool.add(factsOf(50, { name: 'node-3' }));
    const token = pool.join(heir, pool.node(0));
    pool.run(10_000);
    expect(joinResult(heir, token)).toMatchObject({ joined: 1 });
    for (const node of pool.nodes) {
      if (node === old) continue;
      expect(node.swim.member('node-3')?.facts.id).toBe(heir.facts.id);
      expect(node.swim.members()).toHaveLength(5);
    }
    expect(pool.agreed()).toBe(true);
  });

  test('the old holder of a name that was taken over stands down when it comes back', () => {
    const pool = Pool.of(5, 13);
    const old = pool.node(2);
    pool.carries = (from, to) => (from === old) === (to === old);
    pool.run(60_000);
    const heir = pool.add(factsOf(50, { name: 'node-3' }));
    pool.join(heir, pool.node(0));
    pool.run(10_000);
    pool.carries = () => true;
    pool.run(120_000);
    expect(old.effects).toContainEqual(
      expect.objectContaining({ kind: 'refused', reason: 'name', final: true }),
    );
    for (const node of pool.nodes.filter((each) => each !== old)) {
      expect(node.swim.member('node-3')?.facts.id).toBe(heir.facts.id);
    }
  });

  test('a gateway that nobody lets in takes no part', () => {
    const pool = Pool.of(3, 14);
    const alien = pool.add(factsOf(60, { protocolMin: 9, protocolMax: 9 }));
    pool.join(alien, pool.node(0), pool.node(1));
    pool.run(5000);
    expect(alien.effects.filter(({ kind }) => kind === 'refused')).toHaveLength(2);
    expect(alien.swim.members()).toHaveLength(1);
  });
});

describe('joining', () => {
  test('says who could not be reached, within its time', () => {
    const pool = Pool.of(3, 15);
    const node = pool.add(factsOf(70));
    const nobody = { address: '192.0.2.1', port: 8301 };
    pool.tell(node, (swim, nowMs) => swim.join([nobody, pool.node(0).facts.endpoint], 5, nowMs));
    pool.run(1000);
    expect(joinResult(node, 5)).toBeUndefined();
    pool.run(10_000);
    expect(joinResult(node, 5)).toMatchObject({
      joined: 1,
      failures: [{ endpoint: nobody, reason: 'no answer within 10 s' }],
    });
  });

  test('ends at once for whom the transport could not reach', () => {
    const pool = new Pool(16);
    const node = pool.add(factsOf(1));
    const nobody = { address: '192.0.2.1', port: 8301 };
    pool.tell(node, (swim, nowMs) => {
      swim.join([nobody], 5, nowMs);
      swim.undeliverable(nobody, 'connection refused', nowMs);
    });
    expect(joinResult(node, 5)).toMatchObject({
      joined: 0,
      failures: [{ endpoint: nobody, reason: 'connection refused' }],
    });
  });

  test('to itself counts, as lists of all addresses name it too', () => {
    const pool = new Pool(17);
    const node = pool.add(factsOf(1), 'cafe');
    const token = pool.join(node, node);
    pool.run(100);
    expect(joinResult(node, token)).toMatchObject({ joined: 1, failures: [] });
  });

  test('tags that change reach all', () => {
    const pool = Pool.of(8, 18);
    const node = pool.node(3);
    pool.tell(node, (swim, nowMs) => swim.updateSelf({ ...node.facts, tags: { role: 'other' } }, nowMs));
    pool.run(3000);
    for (const each of pool.nodes) expect(each.swim.member('node-4')?.facts.tags).toEqual({ role: 'other' });
    expect(pool.events('updated')).toHaveLength(8);
  });
});
