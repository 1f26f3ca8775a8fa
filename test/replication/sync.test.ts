import { describe, expect, test } from '@jest/globals';
import { zoneKind } from './fake-log.ts';
import { World, type Machine } from './world.ts';

const value = (i: number, bytes = 60): Uint8Array => new Uint8Array(bytes).fill(i & 255);

describe('superseded entries of a log', () => {
  test('close the gaps of who never saw them, without their records', () => {
    const world = new World({ seed: 1, regions: [2], encode: true });
    world.run(1000);
    const [writer, reader] = [world.at(0), world.at(1)];
    world.crash(reader);
    for (let i = 0; i < 5000; i++) world.write(writer, 'same', value(i));
    world.run(5000);
    const before = reader.receivedBytes;
    world.restart(reader);
    expect(world.runUntil(() => world.alike(), 5000)).toBeDefined();
    expect(reader.replication.seenUpTo(writer.log.origin, 5000)).toBe(true);
    expect(reader.receivedBytes - before).toBeLessThan(20_000);
  });
});

describe('what a sync brings before the tree does', () => {
  test('is handed on to those behind in the tree: they would wait for the next change else', () => {
    const world = new World({ seed: 5, regions: [30] });
    world.run(1000);
    const writer = world.at(0);
    const { origin } = writer.log;
    const forwarders = new Set<Machine>();
    world.onSent = (from, _to, _bytes, message) => {
      if (message.kind === 'dots' && message.origin === origin && from !== writer) forwarders.add(from);
    };
    world.write(writer, 'first', value(1));
    world.run(100);
    const [inner] = [...forwarders] as [Machine, ...Machine[]];
    forwarders.clear();
    world.crash(inner);
    world.loss = 1;
    world.write(writer, 'second', value(2));
    world.loss = 0;
    world.restart(inner);
    let pages = 0;
    world.onReceived = (machine, { kind }) => {
      if (machine === inner && kind === 'sync-page') pages += 1;
    };
    world.step(inner, (now) => {
      const { by, digest } = { by: writer.id, digest: 1 };
      inner.replication.receive(writer.endpoint, { kind: 'sync-hint', by, digest, root: by }, now);
    });
    world.run(15);
    expect(pages).toBe(1);
    expect(inner.log.get('second')).toBeDefined();
    expect([...forwarders]).toContain(inner);
  });
});

describe('a newcomer', () => {
  test('takes over whole state when there is much, and what was written meanwhile', () => {
    const world = new World({ seed: 2, regions: [2, 2], encode: true });
    world.run(1000);
    for (let i = 0; i < 6000; i++) world.write(world.at(i % 4), `key-${i}`, value(i));
    world.run(3000);
    const newcomer = world.join(1);
    for (let i = 0; i < 50; i++) {
      world.write(world.at(i % 4), `late-${i}`, value(i));
      world.run(20);
    }
    expect(world.runUntil(() => world.alike(), 10_000)).toBeDefined();
    expect(newcomer.replication.needs(world.now(newcomer)).stats.transfers).toBe(1);
  });

  test('with little to fetch is given dots', () => {
    const world = new World({ seed: 3, regions: [2, 2] });
    world.run(1000);
    for (let i = 0; i < 100; i++) world.write(world.at(i % 4), `key-${i}`, value(i));
    world.run(1000);
    const newcomer = world.join(1);
    expect(world.runUntil(() => world.alike(), 5000)).toBeDefined();
    expect(newcomer.replication.needs(world.now(newcomer)).stats.transfers).toBe(0);
  });

  test('gets large dots one page after the other, in one sync', () => {
    const world = new World({ seed: 4, regions: [2, 1] });
    world.run(1000);
    for (let i = 0; i < 200; i++) world.write(world.at(0), `key-${i}`, value(i, 50_000));
    world.run(10_000);
    const newcomer = world.join(1);
    expect(world.runUntil(() => world.alike(), 20_000)).toBeDefined();
    expect(newcomer.replication.needs(world.now(newcomer)).stats.syncs).toBeLessThan(5);
  });
});

describe('who was away past the collecting of tombstones', () => {
  function deletedWhileAway(world: World, away: Machine): void {
    world.run(3000);
    const writer = world.at(0);
    for (let i = 0; i < 20; i++) world.write(writer, `key-${i}`, value(i));
    world.run(3000);
    world.crash(away);
    world.run(4000);
    world.machines.splice(world.machines.indexOf(away), 1);
    world.announce();
    for (let i = 0; i < 10; i++) world.write(writer, `key-${i}`, null);
    world.run(3000);
    for (const machine of world.machines) machine.log.collect(world.now(machine).wallUs);
    world.machines.push(away);
  }

  test('takes over whole state, and nothing deleted comes back', () => {
    const world = new World({ seed: 4, regions: [2, 2], encode: true });
    const away = world.at(3);
    deletedWhileAway(world, away);
    expect(away.log.state().size).toBe(20);
    world.restart(away);
    expect(world.runUntil(() => world.alike(), 10_000)).toBeDefined();
    expect(away.log.state().size).toBe(10);
    expect(away.replication.needs(world.now(away)).stats.transfers).toBe(1);
  });

  test('needs none when what it had seen reaches past what was collected', () => {
    const world = new World({ seed: 5, regions: [2, 2] });
    world.run(30_000);
    const away = world.at(3);
    world.write(world.at(0), 'early', value(1));
    world.run(20_000);
    const safeStamp = away.replication.safeStamp(world.now(away));
    expect(safeStamp).toBeGreaterThan(0);
    for (const machine of world.machines) machine.log.collect(safeStamp - 1_000_000);
    world.crash(away);
    world.write(world.at(0), 'late', value(2));
    world.run(5000);
    world.restart(away, away.log, safeStamp);
    expect(world.runUntil(() => world.alike(), 5000)).toBeDefined();
    expect(away.replication.needs(world.now(away)).stats.transfers).toBe(0);
  });
});

describe('dots of a term that is not known yet', () => {
  test('wait, are neither lost nor asked for again and again, and are merged when zones change', () => {
    const world = new World({ seed: 6, regions: [2, 2] });
    world.run(3000);
    const writer = world.at(0);
    // The zone's register is logged by another gateway, whose message comes late.
    world.step(writer, (now) => {
      writer.log.knownTerm = 2;
      const dots = Array.from({ length: 20 }, (_, i) =>
        writer.log.write([{ key: `key-${i}`, value: value(i) }], now),
      );
      writer.replication.committed(dots, now);
    });
    world.run(3000);
    for (const machine of world.machines.slice(1)) {
      const needs = machine.replication.needs(world.now(machine));
      expect(needs.deferredDots).toBe(20);
      expect(needs.stats.wantsSent).toBe(0);
      expect(machine.log.get('key-0')).toBeUndefined();
    }
    const granter = world.at(3);
    world.step(granter, (now) => {
      const dot = granter.log.write([{ key: '', value: Uint8Array.of(2), kind: zoneKind }], now, 2);
      granter.replication.committed([dot], now);
      granter.replication.zonesChanged(now);
    });
    world.onReceived = (machine) => {
      if (machine.log.knownTerm === 2) machine.replication.zonesChanged(world.now(machine));
    };
    expect(world.runUntil(() => world.alike(), 1000)).toBeDefined();
    expect(world.at(2).log.get('key-19')).toBeDefined();
  });
});

describe('a restored backup', () => {
  test('is told that its peers know more of its log than it does', () => {
    const world = new World({ seed: 7, regions: [2, 2] });
    world.run(2000);
    const machine = world.at(1);
    world.write(machine, 'before', value(1));
    world.run(500);
    const backup = machine.log.copy();
    world.write(machine, 'after', value(2));
    world.run(500);
    world.crash(machine);
    world.restart(machine, backup);
    world.run(3000);
    expect(machine.behind).toEqual([machine.log.origin]);
  });
});
