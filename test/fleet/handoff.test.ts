import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ConflictRow } from '../../compat/fleet/shapes.ts';
import { type FleetGateway, FleetProcess, memberStatus } from '../support/fleet-process.ts';
import { counterProblems, untilEqual } from './equal.ts';

const testMsMax = 120_000;

describe('a zone that moves while clients write', () => {
  let fleet: FleetProcess;
  beforeAll(async () => {
    fleet = await FleetProcess.start({ regions: ['eu', 'us', 'ap'] });
    await fleet.delegate('moving/', 'g2');
  }, testMsMax);
  afterAll(() => fleet?.close(), testMsMax);

  test(
    'loses no write, decides none twice, and refuses none',
    async () => {
      let writing = true;
      const written = new Map<string, string>();
      const granted: number[] = [];
      const puts = async (gateway: FleetGateway): Promise<void> => {
        for (let n = 0; writing; n++) {
          const key = `moving/put/${gateway.name}/${n}`;
          await gateway.putKey(key, `${n}`);
          written.set(key, `${n}`);
        }
      };
      const increments = async (gateway: FleetGateway): Promise<void> => {
        while (writing) {
          const now = await gateway.key('moving/counter');
          const next = Number(now?.value ?? 0) + 1;
          const answer = await gateway.put(`/v1/kv/moving/counter?cas=${now?.modifyIndex ?? 0}`, `${next}`);
          if (answer.text === 'true') granted.push(next);
          else expect(answer.text).toBe('false');
        }
      };
      const work = fleet.gateways.flatMap((gateway) => [puts(gateway), increments(gateway)]);
      // A client that fails ends the test at once.
      const failed = Promise.all(work);
      const moves = (async () => {
        for (const [i, to] of ['g1', 'g3', 'g2', 'g1', 'g2', 'g3'].entries()) {
          const before = written.size;
          const { code, stdout, stderr } = await fleet.gateways[i % 3]!.cli(
            'zone',
            'delegate',
            'moving/',
            to,
          );
          expect([code, stderr, stdout]).toEqual([0, '', expect.stringContaining(`owned by ${to}`)]);
          await fleet.untilOwner('moving/', to);
          await fleet.until('all go on', async () => written.size > before + 30);
        }
      })();
      try {
        await Promise.race([moves, failed]);
      } finally {
        writing = false;
        await Promise.allSettled([moves, ...work]);
      }
      await failed;
      await untilEqual(fleet);
      for (const gateway of fleet.gateways) {
        const there = await gateway.keys('moving/');
        expect([...written].filter(([key, value]) => there.get(key)?.value !== value)).toEqual([]);
        expect(there.get('moving/counter')?.value).toBe(`${granted.length}`);
      }
      expect(granted.toSorted((a, b) => a - b)).toEqual(granted.map((_, i) => i + 1));
      expect(await counterProblems(fleet.gateways)).toEqual([]);
    },
    testMsMax,
  );
});

describe('a zone that is taken over from an owner that cannot be reached', () => {
  let fleet: FleetProcess;
  let g1: FleetGateway;
  let g2: FleetGateway;
  let g3: FleetGateway;
  beforeAll(async () => {
    fleet = await FleetProcess.start({
      regions: ['eu', 'us', 'eu'],
      links: { delayMs: (from, to) => (from === to ? 0 : 10) },
      config: { performance: { rpc_hold_timeout: '2s' } },
    });
    g1 = fleet.gateway('g1');
    g2 = fleet.gateway('g2');
    g3 = fleet.gateway('g3');
  }, testMsMax);
  afterAll(() => fleet?.close(), testMsMax);

  const conflictsOf = (gateway: FleetGateway): Promise<readonly ConflictRow[]> =>
    gateway.json('/v1/grapevine/zones/conflicts');

  const valueOf = ({ Value }: ConflictRow): string => Buffer.from(Value ?? '', 'base64').toString();

  /** What the owner of a zone alone has seen, and then the zone is taken from it. */
  async function takeFrom(prefix: string, byKill: boolean): Promise<void> {
    await fleet.delegate(prefix, 'g2');
    await g2.putKey(`${prefix}seen`, 'seen');
    await g2.putKey(`${prefix}both`, 'first');
    await Promise.all([g1, g3].map((each) => each.untilKey(`${prefix}both`, 'first')));
    fleet.links?.cutOff(['g2']);
    await g2.putKey(`${prefix}alone`, 'unseen');
    await g2.putKey(`${prefix}both`, 'old owner');
    expect((await g2.ask('DELETE', `/v1/kv/${prefix}seen`)).text).toBe('true');
    if (byKill) await g2.kill();
    await Promise.all(
      [g1, g3].map((each) =>
        fleet.until(
          `${each.name} holds g2 for failed`,
          async () => (await each.members()).get('g2') === memberStatus.failed,
        ),
      ),
    );
    const refused = await g3.put(`/v1/kv/${prefix}both`, 'nobody');
    expect([refused.status, refused.text]).toEqual([500, expect.stringMatching(/^No cluster leader: zone/)]);
    const { code, stdout, stderr } = await g1.cli('zone', 'takeover', prefix, '-reason=g2 is out of reach');
    expect([code, stderr, stdout]).toEqual([0, '', expect.stringContaining('owned by g1')]);
    await fleet.untilOwner(prefix, 'g1', [g1, g3]);
    await g3.putKey(`${prefix}both`, 'new owner');
    await g1.putKey(`${prefix}new`, 'new owner');
    fleet.links?.healAll();
    if (byKill) await g2.restart();
    await fleet.untilOwner(prefix, 'g1');
    const zone = (await g2.status()).Zones.find(({ Prefix }) => Prefix === prefix);
    expect(zone).toMatchObject({ Cause: 'taken-over', Reason: 'g2 is out of reach' });
    await untilEqual(fleet);
  }

  async function expectConflicts(prefix: string): Promise<void> {
    for (const gateway of fleet.gateways) {
      // The new owner's values stand everywhere; nothing of the conflicts is applied.
      const there = await gateway.keys(prefix);
      expect([...there].map(([key, { value }]) => [key.slice(prefix.length), value])).toEqual([
        ['both', 'new owner'],
        ['new', 'new owner'],
        ['seen', 'seen'],
      ]);
      const rows = (await conflictsOf(gateway))
        .filter(({ Key }) => Key.startsWith(prefix))
        .toSorted((a, b) => (a.Key < b.Key ? -1 : 1));
      expect(rows.map((row) => [row.Key.slice(prefix.length), row.Node, row.Deleted, valueOf(row)])).toEqual([
        ['alone', 'g2', false, 'unseen'],
        ['both', 'g2', false, 'old owner'],
        ['seen', 'g2', true, ''],
      ]);
    }
  }

  test(
    'cut off: what it wrote alone is set aside everywhere, listed, exported, and written again when told so',
    async () => {
      await takeFrom('cut/', false);
      await expectConflicts('cut/');

      const exported = await g3.cli('zone', 'conflicts', '-export');
      const lines = exported.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as ConflictRow);
      expect(lines.map((row) => [row.Key, valueOf(row)]).toSorted()).toEqual([
        ['cut/alone', 'unseen'],
        ['cut/both', 'old owner'],
        ['cut/seen', ''],
      ]);
      const alone = (await conflictsOf(g3)).find(({ Key }) => Key === 'cut/alone');
      expect((await g3.cli('zone', 'conflicts', '-replay', `-id=${alone?.ID}`)).code).toBe(0);
      await Promise.all(fleet.gateways.map((each) => each.untilKey('cut/alone', 'unseen')));
      expect((await g3.cli('zone', 'conflicts', '-replay')).code).toBe(0);
      await Promise.all(fleet.gateways.map((each) => each.untilKey('cut/both', 'old owner')));
      await Promise.all(fleet.gateways.map((each) => each.untilKey('cut/seen', undefined)));
      expect((await g3.cli('zone', 'conflicts', '-drop')).code).toBe(0);
      expect(await conflictsOf(g3)).toEqual([]);
      expect((await conflictsOf(g1)).length).toBe(3);
    },
    testMsMax,
  );

  test(
    'killed: what it had acknowledged and not sent comes back with it, as conflicts',
    async () => {
      await takeFrom('killed/', true);
      await expectConflicts('killed/');
      expect((await g2.cli('zone', 'conflicts')).stdout).toMatch(/killed\/alone/);
      // It goes on as any other gateway.
      await g2.putKey('killed/after', 'through the new owner');
      await Promise.all(fleet.gateways.map((each) => each.untilKey('killed/after', 'through the new owner')));
      for (const gateway of fleet.gateways) {
        const { Quarantined, Divergence } = await gateway.status();
        expect([gateway.name, Quarantined, Divergence.Found]).toEqual([gateway.name, 0, 0]);
      }
    },
    testMsMax,
  );
});
