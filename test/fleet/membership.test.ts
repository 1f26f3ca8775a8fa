import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCommand } from '../support/agent-process.ts';
import type { FleetAnswer } from '../support/fleet-client.ts';
import { type FleetGateway, FleetProcess, memberStatus } from '../support/fleet-process.ts';
import { consulBinary, describeRealConsul } from '../support/real-consul.ts';

const testMsMax = 120_000;

function healthOf(answer: FleetAnswer): string {
  const checks = JSON.parse(answer.text) as { CheckID: string; Status: string }[];
  return checks.find(({ CheckID }) => CheckID === 'serfHealth')?.Status ?? 'none';
}

function untilHealth(gateway: FleetGateway, node: string, status: string): Promise<unknown> {
  return gateway.untilAnswer(`/v1/health/node/${node}`, (answer) => healthOf(answer) === status);
}

describe('the members of a fleet', () => {
  let fleet: FleetProcess;
  let g1: FleetGateway;
  let g2: FleetGateway;
  let g3: FleetGateway;
  beforeAll(async () => {
    fleet = await FleetProcess.start({
      regions: ['eu', 'us', 'ap'],
      config: { performance: { leave_drain_time: '200ms' } },
    });
    [g1, g2, g3] = ['g1', 'g2', 'g3'].map((name) => fleet.gateway(name)) as [
      FleetGateway,
      FleetGateway,
      FleetGateway,
    ];
  }, testMsMax);
  afterAll(() => fleet?.close(), testMsMax);

  const nodes = async (gateway: FleetGateway): Promise<readonly string[]> =>
    (await gateway.json<{ Node: string }[]>('/v1/catalog/nodes')).map(({ Node }) => Node);

  const untilStatus = (seer: FleetGateway, name: string, status: number | undefined): Promise<void> =>
    fleet.until(
      `${seer.name} sees ${name} as ${status}`,
      async () => (await seer.members()).get(name) === status,
    );

  test(
    'are the same on all gateways, and so are the catalog, the peers and the leader',
    async () => {
      const leader = `127.0.0.1:${g1.agent.ports.server}`;
      for (const gateway of fleet.gateways) {
        expect([...(await gateway.members()).keys()].toSorted()).toEqual(['g1', 'g2', 'g3']);
        expect(await nodes(gateway)).toEqual(['g1', 'g2', 'g3']);
        expect(await gateway.json('/v1/status/leader')).toBe(leader);
        const peers = await gateway.json<string[]>('/v1/status/peers');
        expect(peers.toSorted()).toEqual(
          fleet.gateways.map(({ agent }) => `127.0.0.1:${agent.ports.server}`).toSorted(),
        );
        await gateway.untilAnswer(
          '/v1/health/service/consul?passing',
          ({ text }) => (JSON.parse(text) as unknown[]).length === 3,
        );
      }
    },
    testMsMax,
  );

  test(
    'one that is killed turns critical everywhere, and passing when it is back',
    async () => {
      await g3.kill();
      await Promise.all([g1, g2].map((each) => untilHealth(each, 'g3', 'critical')));
      expect((await g1.members()).get('g3')).toBe(memberStatus.failed);
      expect(await nodes(g1)).toContain('g3');
      await g3.restart();
      await Promise.all(fleet.gateways.map((each) => untilHealth(each, 'g3', 'passing')));
      await fleet.untilTogether();
    },
    testMsMax,
  );

  test(
    'one that leaves is said to have left, is taken out of the catalog, and may come back',
    async () => {
      const { code, stdout } = await g3.cli('leave');
      expect([code, stdout]).toEqual([0, expect.stringContaining('leave')]);
      expect(await g3.agent.exited()).toBe(0);
      await Promise.all([g1, g2].map((each) => untilStatus(each, 'g3', memberStatus.left)));
      await Promise.all(
        [g1, g2].map((each) => each.untilAnswer('/v1/catalog/nodes', ({ text }) => !text.includes('"g3"'))),
      );
      await g3.restart();
      await fleet.untilTogether();
    },
    testMsMax,
  );

  test(
    'one that failed is made to leave, and forgotten when that is wanted',
    async () => {
      await g3.kill();
      await untilStatus(g1, 'g3', memberStatus.failed);
      expect((await g2.put('/v1/agent/force-leave/g3')).status).toBe(200);
      await Promise.all([g1, g2].map((each) => untilStatus(each, 'g3', memberStatus.left)));
      expect((await g2.put('/v1/agent/force-leave/g3?prune')).status).toBe(200);
      await Promise.all([g1, g2].map((each) => untilStatus(each, 'g3', undefined)));
      expect((await g2.put('/v1/agent/force-leave/nobody')).status).toBe(500);
      await g3.restart();
      await fleet.untilTogether();
    },
    testMsMax,
  );

  test(
    'a second gateway of the same name is refused, and the first one goes on',
    async () => {
      const ids = async (): Promise<unknown> =>
        (await g1.status()).Members.map(({ Name, ID }) => [Name, ID]).toSorted();
      const before = await ids();
      const twin = await fleet.add({ name: 'twin', region: 'eu', config: { node_name: 'g2' } });
      await fleet.until('the twin is told why', async () =>
        twin.agent.output().includes('node name "g2" is in use by g2'),
      );
      expect(g1.agent.output()).toContain('two gateways claim one name or id');
      await fleet.remove(twin);
      expect(await ids()).toEqual(before);
      await fleet.untilTogether();
    },
    testMsMax,
  );

  test(
    'another cluster is not merged, even with the same key',
    async () => {
      const other = await FleetProcess.start({
        ...{ regions: ['eu'], namePrefix: 'other', encrypt: fleet.encrypt },
      });
      try {
        const merged = /clusters are never merged: \w+ is of \w{16}, \w+ of \w{16}/;
        const there = await g1.put(`/v1/agent/join/${other.endpoint('other1')}`);
        expect([there.status, there.text]).toEqual([500, expect.stringMatching(merged)]);
        const back = await other.gateway('other1').put(`/v1/agent/join/${fleet.endpoint('g1')}`);
        expect([back.status, back.text]).toEqual([500, expect.stringMatching(merged)]);
        expect([...(await other.gateway('other1').members()).keys()]).toEqual(['other1']);
        expect([...(await g1.members()).keys()].toSorted()).toEqual(['g1', 'g2', 'g3']);
      } finally {
        await other.close();
      }
    },
    testMsMax,
  );

  describeRealConsul('to the consul command', () => {
    test(
      'are alive on every gateway',
      async () => {
        for (const { agent } of fleet.gateways) {
          const { stdout } = await runCommand(consulBinary(), ['members'], {
            env: { CONSUL_HTTP_ADDR: agent.url },
          });
          const rows = stdout
            .trim()
            .split('\n')
            .slice(1)
            .map((row) => row.split(/ +/).slice(0, 4));
          expect(rows.toSorted()).toEqual(
            fleet.gateways.map((each) => [each.name, fleet.endpoint(each.name), 'alive', 'server']),
          );
        }
      },
      testMsMax,
    );
  });
});
