import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCommand } from '../support/agent-process.ts';
import type { FleetAnswer } from '../support/fleet-client.ts';
import { type FleetGateway, FleetProcess } from '../support/fleet-process.ts';
import { consulBinary, describeRealConsul } from '../support/real-consul.ts';
import { counterProblems, untilEqual } from './equal.ts';

const testMsMax = 120_000;

const isEmpty = ({ text }: FleetAnswer): boolean => (JSON.parse(text) as unknown[] | null)?.length === 0;
const hasOne = ({ text }: FleetAnswer): boolean => (JSON.parse(text) as unknown[]).length === 1;

describe('nodes, services and sessions of a fleet', () => {
  let fleet: FleetProcess;
  let g1: FleetGateway;
  let g2: FleetGateway;
  let g3: FleetGateway;
  beforeAll(async () => {
    fleet = await FleetProcess.start({
      regions: ['eu', 'us', 'ap'],
      config: { performance: { rpc_hold_timeout: '2s' }, session_ttl_min: '1s' },
    });
    g1 = fleet.gateway('g1');
    g2 = fleet.gateway('g2');
    g3 = fleet.gateway('g3');
  }, testMsMax);
  afterAll(() => fleet?.close(), testMsMax);

  const all = (path: string, wanted: (answer: FleetAnswer) => boolean, some = fleet.gateways) =>
    Promise.all(some.map((gateway) => gateway.untilAnswer(path, wanted)));

  test(
    'a service of one gateway is found through all, but not while that gateway is down',
    async () => {
      const web = JSON.stringify({ Name: 'web', Port: 80, Tags: ['v1'] });
      expect((await g2.put('/v1/agent/service/register', web)).status).toBe(200);
      await all('/v1/health/service/web?passing', hasOne);
      const [found] =
        await g3.json<{ Node: { Node: string }; Service: { Tags: string[] } }[]>('/v1/health/service/web');
      expect([found?.Node.Node, found?.Service.Tags]).toEqual(['g2', ['v1']]);
      await g2.kill();
      await all('/v1/health/service/web?passing', isEmpty, [g1, g3]);
      expect((await g1.json<unknown[]>('/v1/catalog/service/web')).length).toBe(1);
      await g2.restart();
      await all('/v1/health/service/web?passing', hasOne);
      expect((await g2.put('/v1/agent/service/deregister/web')).status).toBe(200);
      await all('/v1/catalog/service/web', isEmpty);
    },
    testMsMax,
  );

  test(
    'a node that is registered through one gateway is known to all, and taken out through any',
    async () => {
      const node = { Node: 'printer', Address: '192.0.2.7', Service: { Service: 'print', Port: 631 } };
      expect((await g3.put('/v1/catalog/register', JSON.stringify(node))).text).toBe('true');
      expect((await g3.json<unknown[]>('/v1/catalog/service/print')).length).toBe(1);
      await all('/v1/catalog/service/print', hasOne);
      expect((await g2.put('/v1/catalog/deregister', '{"Node":"printer"}')).text).toBe('true');
      await all('/v1/catalog/service/print', isEmpty);
    },
    testMsMax,
  );

  test(
    'a session is renewed through any gateway, and its end frees its lock everywhere',
    async () => {
      const { ID } = await g1.json<{ ID: string }>('/v1/session/create', { TTL: '2s', LockDelay: '0s' });
      await g3.untilAnswer(`/v1/session/info/${ID}`, hasOne);
      expect((await g3.put(`/v1/kv/locked?acquire=${ID}`, 'x')).text).toBe('true');
      await all('/v1/kv/locked', ({ text }) => text.includes(ID));
      // Longer than it lives by itself.
      const untilMs = Date.now() + 5000;
      while (Date.now() < untilMs) {
        expect((await g3.put(`/v1/session/renew/${ID}`)).status).toBe(200);
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
      expect((await g2.key('locked', 'consistent'))?.session).toBe(ID);
      await all(`/v1/session/info/${ID}`, isEmpty);
      await all('/v1/kv/locked', ({ text }) => !text.includes('"Session"'));
      expect((await g3.put(`/v1/session/renew/${ID}`)).status).toBe(404);
    },
    testMsMax,
  );

  test(
    'a session ends with the node that it is bound to, wherever it was made',
    async () => {
      const { ID } = await g1.json<{ ID: string }>('/v1/session/create', { LockDelay: '0s', Node: 'g1' });
      expect((await g1.put(`/v1/kv/on-g1?acquire=${ID}`, 'x')).text).toBe('true');
      const other = await g2.json<{ ID: string }>('/v1/session/create', { LockDelay: '0s' });
      await g1.untilAnswer(`/v1/session/info/${other.ID}`, hasOne);
      expect((await g1.put(`/v1/kv/on-g2?acquire=${other.ID}`, 'x')).text).toBe('true');
      await g2.kill();
      // Its lock is in a zone of g1, to whom its node is down.
      await g1.untilAnswer('/v1/kv/on-g2', ({ text }) => !text.includes('"Session"'));
      expect((await g1.key('on-g1'))?.session).toBe(ID);
      await g2.restart();
      await fleet.untilTogether();
    },
    testMsMax,
  );

  test(
    'an event that is fired on one gateway is seen on all',
    async () => {
      expect((await g2.put('/v1/event/fire/deploy', 'v2')).status).toBe(200);
      for (const gateway of fleet.gateways) {
        await fleet.until(`${gateway.name} has the event`, async () =>
          (await gateway.json<{ Name: string }[]>('/v1/event/list')).some(({ Name }) => Name === 'deploy'),
        );
      }
    },
    testMsMax,
  );

  describeRealConsul('the consul command', () => {
    test(
      'estimates round trips between gateways',
      async () => {
        await all('/v1/coordinate/nodes', ({ text }) => (JSON.parse(text) as unknown[]).length >= 3);
        const { code, stdout } = await runCommand(consulBinary(), ['rtt', 'g1', 'g3'], {
          env: { CONSUL_HTTP_ADDR: g2.agent.url },
        });
        expect([code, stdout]).toEqual([0, expect.stringMatching(/^Estimated g1 <-> g3 rtt: [\d.]+ ms/)]);
      },
      testMsMax,
    );
  });

  test(
    'in the end all show the same',
    async () => {
      await untilEqual(fleet);
      expect(await counterProblems(fleet.gateways)).toEqual([]);
    },
    testMsMax,
  );
});
