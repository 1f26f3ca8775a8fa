import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type FleetGateway, FleetProcess, memberStatus } from '../support/fleet-process.ts';
import { counterProblems, untilEqual } from './equal.ts';

const testMsMax = 150_000;

describe('gateways that come, go and come back', () => {
  let fleet: FleetProcess;
  let g1: FleetGateway;
  let g2: FleetGateway;
  let g3: FleetGateway;
  beforeAll(async () => {
    fleet = await FleetProcess.start({
      regions: ['eu', 'us', 'ap'],
      config: { performance: { leave_drain_time: '200ms' } },
    });
    g1 = fleet.gateway('g1');
    g2 = fleet.gateway('g2');
    g3 = fleet.gateway('g3');
    await fleet.delegate('us/', 'g2');
  }, testMsMax);
  afterAll(() => fleet?.close(), testMsMax);

  const write = async (gateway: FleetGateway, prefix: string, count: number): Promise<void> => {
    const all = Array.from({ length: count }, (_, n) =>
      gateway.putKey(`${prefix}${n}`, `${gateway.name} ${n}`),
    );
    await Promise.all(all);
  };

  const untilGone = (some: readonly FleetGateway[], name: string, status: number): Promise<void> =>
    fleet.until(`${name} is seen to be gone`, async () =>
      (await Promise.all(some.map((each) => each.members()))).every((each) => each.get(name) === status),
    );

  const originsOf = async (seer: FleetGateway, name: string): Promise<readonly string[]> =>
    (await seer.status()).Origins.filter(({ Node }) => Node === name).map(({ Origin }) => Origin);

  test(
    'a newcomer with an empty directory gets everything, and a zone',
    async () => {
      await write(g1, 'eu/many/', 300);
      await write(g2, 'us/many/', 300);
      expect((await g1.ask('DELETE', '/v1/kv/eu/many/0')).text).toBe('true');
      await g1.json('/v1/agent/service/register', { Name: 'web', Port: 80 }).catch(() => undefined);
      const g4 = await fleet.add({ name: 'g4', region: 'ap' });
      await untilEqual(fleet);
      expect((await g4.keys('')).size).toBe(599);
      await fleet.delegate('ap/', 'g4');
      await g1.putKey('ap/x', 'new');
      expect((await g4.key('ap/x'))?.value).toBe('new');
      await fleet.delegate('ap/', 'g1');
      expect((await g4.cli('leave')).code).toBe(0);
      await g4.agent.exited();
      await untilGone([g1, g2, g3], 'g4', memberStatus.left);
      await fleet.remove(g4);
      await untilEqual(fleet);
    },
    testMsMax,
  );

  test(
    'one that was away gets what it missed, deletions too',
    async () => {
      await g1.putKey('eu/deleted', 'soon');
      await g3.untilKey('eu/deleted', 'soon');
      await g3.kill();
      expect((await g1.ask('DELETE', '/v1/kv/eu/deleted')).text).toBe('true');
      await write(g1, 'eu/missed/', 200);
      await write(g2, 'us/missed/', 200);
      await g3.restart();
      await untilEqual(fleet);
      expect((await g3.keys('eu/missed/')).size).toBe(200);
      expect(await g3.key('eu/deleted')).toBeUndefined();
    },
    testMsMax,
  );

  test(
    'one whose disk was lost is a newcomer under its old name',
    async () => {
      await g3.putKey('eu/before-loss', 'g3');
      await g3.kill();
      await g3.loseData();
      await untilGone([g1, g2], 'g3', memberStatus.failed);
      await g3.restart();
      await untilEqual(fleet);
      expect((await g3.key('eu/before-loss'))?.value).toBe('g3');
    },
    testMsMax,
  );

  test(
    'one restored from a backup goes on under a new origin, and nothing of anybody is lost',
    async () => {
      await g2.putKey('us/backup', 'in the backup');
      await Promise.all(fleet.gateways.map((each) => each.untilKey('us/backup', 'in the backup')));
      await g2.kill();
      const backup = await g2.copyData(fleet.place);
      await g2.restart();
      await fleet.untilTogether();
      // Written on after the copy: the copy knows nothing of it, all others do.
      await write(g2, 'us/after/', 50);
      await g2.putKey('us/backup', 'after it');
      await write(g1, 'eu/after/', 50);
      await Promise.all([g1, g3].map((each) => each.untilKey('us/after/49', 'g2 49')));
      await Promise.all([g1, g3].map((each) => each.untilKey('us/backup', 'after it')));
      const before = await originsOf(g1, 'g2');
      await g2.kill();
      await g2.restoreData(backup);
      await g2.restart();
      await untilEqual(fleet);
      for (const gateway of fleet.gateways) {
        expect((await gateway.keys('us/after/')).size).toBe(50);
        expect((await gateway.keys('eu/after/')).size).toBe(50);
        expect((await gateway.key('us/backup'))?.value).toBe('after it');
      }
      const origins = await originsOf(g1, 'g2');
      expect(origins.length).toBe(before.length + 1);
      // It still owns its zone, and what it writes now stands.
      for (const gateway of fleet.gateways) await gateway.putKey(`us/again-${gateway.name}`, 'again');
      await g2.putKey('us/backup', 'newest');
      await Promise.all(fleet.gateways.map((each) => each.untilKey('us/backup', 'newest')));
      await untilEqual(fleet);
    },
    testMsMax,
  );

  test(
    'one restored from a backup does not write in a zone that it has given away since',
    async () => {
      await fleet.delegate('given/', 'g2');
      await g2.putKey('given/k', 'as owner');
      await Promise.all(fleet.gateways.map((each) => each.untilKey('given/k', 'as owner')));
      await g2.kill();
      const backup = await g2.copyData(fleet.place);
      await g2.restart();
      await fleet.untilTogether();
      await fleet.delegate('given/', 'g1');
      await g1.putKey('given/k', 'of the new owner');
      await g2.untilKey('given/k', 'of the new owner');
      await g2.kill();
      await g2.restoreData(backup);
      await g2.restart();
      // At once, when it may not have heard of anything yet.
      const written: string[] = [];
      for (let n = 0; n < 20; n++) {
        const answer = await g2.put(`/v1/kv/given/early-${n}`, 'early');
        if (answer.text === 'true') written.push(`given/early-${n}`);
        else expect([answer.status, answer.text]).toEqual([500, expect.stringMatching(/^No cluster leader/)]);
      }
      await untilEqual(fleet);
      for (const gateway of fleet.gateways) {
        const there = await gateway.keys('given/');
        expect(written.filter((key) => !there.has(key))).toEqual([]);
        expect(there.get('given/k')?.value).toBe('of the new owner');
      }
    },
    testMsMax,
  );

  test(
    'all may stop at once and start in any order: they find each other by what they remember',
    async () => {
      await Promise.all(fleet.gateways.map((each) => each.kill()));
      // The founder last; nobody has an address to join.
      for (const gateway of [g2, g3, g1]) await gateway.restart({ retryJoin: false });
      await untilEqual(fleet);
      for (const gateway of fleet.gateways) await gateway.putKey(`us/restarted-${gateway.name}`, 'yes');
      await untilEqual(fleet);
    },
    testMsMax,
  );

  test(
    'in the end nothing is set aside, and nothing ever differed',
    async () => {
      expect(await counterProblems(fleet.gateways)).toEqual([]);
    },
    testMsMax,
  );
});
