import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ask } from '../compat/dns/ask.ts';
import { runCommand } from '../support/agent-process.ts';
import { type FleetGateway, FleetProcess, newKey } from '../support/fleet-process.ts';
import { consulBinary, describeRealConsul } from '../support/real-consul.ts';

const testMsMax = 120_000;

describe('two datacenters', () => {
  let one: FleetProcess;
  let two: FleetProcess;
  let a1: FleetGateway;
  let a2: FleetGateway;
  let b1: FleetGateway;
  beforeAll(async () => {
    const encrypt = newKey();
    const config = { performance: { rpc_hold_timeout: '2s' } };
    one = await FleetProcess.start({
      ...{ regions: ['eu', 'us'], datacenter: 'dc1', namePrefix: 'a', encrypt, config },
    });
    two = await FleetProcess.start({ regions: ['ap'], datacenter: 'dc2', namePrefix: 'b', encrypt, config });
    [a1, a2, b1] = [one.gateway('a1'), one.gateway('a2'), two.gateway('b1')];
  }, testMsMax);
  afterAll(() => Promise.all([one?.close(), two?.close()]), testMsMax);

  const datacenters = (gateway: FleetGateway): Promise<readonly string[]> =>
    gateway.json('/v1/catalog/datacenters');

  test(
    'are not joined as one, but over the WAN',
    async () => {
      expect(await datacenters(a1)).toEqual(['dc1']);
      const lan = await a1.put(`/v1/agent/join/${two.endpoint('b1')}`);
      expect([lan.status, lan.text]).toEqual([
        500,
        expect.stringMatching(
          /it is of datacenter \W+dc1\W+ this is \W+dc2\W+ datacenters meet with \W+join -wan/,
        ),
      ]);
      const unknown = await a1.get('/v1/kv/x?dc=dc2');
      expect([unknown.status, unknown.text]).toEqual([500, 'No path to datacenter']);
      const { code, stdout } = await a1.cli('join', '-wan', two.endpoint('b1', 'wan'));
      expect([code, stdout]).toEqual([0, expect.stringContaining('1')]);
      for (const gateway of [a1, a2, b1]) {
        await one.until(`${gateway.name} knows both`, async () => (await datacenters(gateway)).length === 2);
        expect((await datacenters(gateway))[0]).toBe(gateway === b1 ? 'dc2' : 'dc1');
        await one.until(`${gateway.name} sees all`, async () => {
          const rows = await gateway.json<{ Name: string; Status: number }[]>('/v1/agent/members?wan=1');
          const wan = rows.map(({ Name, Status }) => `${Name} ${Status}`).toSorted();
          return wan.join() === 'a1.dc1 1,a2.dc1 1,b1.dc2 1';
        });
      }
    },
    testMsMax,
  );

  test(
    'keep their own keys and nodes, which are read and written from the other one',
    async () => {
      expect((await a2.put('/v1/kv/only/here?dc=dc2', 'from dc1')).text).toBe('true');
      expect((await b1.key('only/here'))?.value).toBe('from dc1');
      expect((await a2.get('/v1/kv/only/here?dc=dc2&raw')).text).toBe('from dc1');
      expect((await a2.key('only/here', 'dc=dc2&consistent'))?.value).toBe('from dc1');
      expect((await a1.get('/v1/kv/only/here')).status).toBe(404);
      const shown = await b1.key('only/here');
      const cas = (index: number) => a1.put(`/v1/kv/only/here?dc=dc2&cas=${index}`, 'again');
      expect([(await cas(1)).text, (await cas(shown?.modifyIndex ?? 0)).text]).toEqual(['false', 'true']);
      const nodes = await a1.json<{ Node: string }[]>('/v1/catalog/nodes?dc=dc2');
      expect(nodes.map(({ Node }) => Node)).toEqual(['b1']);
      const health = await b1.json<unknown[]>('/v1/health/service/consul?dc=dc1&passing');
      expect(health.length).toBe(2);
      const session = await a1.json<{ ID: string }>('/v1/session/create?dc=dc2', { Node: 'b1' });
      expect((await b1.json<unknown[]>(`/v1/session/info/${session.ID}`)).length).toBe(1);
    },
    testMsMax,
  );

  test(
    'a blocking query waits for the other one',
    async () => {
      const before = await a1.get('/v1/kv/watched?dc=dc2');
      expect(before.status).toBe(404);
      const waiting = a1.get(`/v1/kv/watched?dc=dc2&raw&index=${before.index}&wait=60s`);
      await b1.putKey('watched', 'now');
      const after = await waiting;
      expect([after.status, after.text]).toEqual([200, 'now']);
      expect(after.index).toBeGreaterThan(before.index);
    },
    testMsMax,
  );

  test(
    'are asked for by name, too',
    async () => {
      const service = { Node: 'printer', Address: '192.0.2.7', Service: { Service: 'print', Port: 631 } };
      expect((await b1.put('/v1/catalog/register', JSON.stringify(service))).text).toBe('true');
      const port = a2.agent.ports.dns;
      const name = (of: string) => ask({ name: of, type: 'A', port });
      expect((await name('print.service.dc2.consul')).packet.answers).toMatchObject([{ data: '192.0.2.7' }]);
      expect((await name('printer.node.dc2.consul')).packet.answers).toMatchObject([{ data: '192.0.2.7' }]);
      expect((await name('nothing.service.dc2.consul')).packet.rcode).toBe('NXDOMAIN');
      expect((await name('print.service.nowhere.consul')).packet.rcode).toBe('NXDOMAIN');
    },
    testMsMax,
  );

  test(
    'one that nobody knows is said so',
    async () => {
      for (const path of ['/v1/kv/x?dc=nowhere', '/v1/catalog/nodes?dc=nowhere']) {
        const answer = await a1.get(path);
        expect([answer.status, answer.text]).toEqual([500, 'No path to datacenter']);
      }
    },
    testMsMax,
  );

  describeRealConsul('to the consul command', () => {
    test(
      'are listed, and used by name',
      async () => {
        const consul = async (...args: readonly string[]): Promise<string> => {
          const { stdout, stderr } = await runCommand(consulBinary(), args, {
            env: { CONSUL_HTTP_ADDR: a1.agent.url },
          });
          return stdout + stderr;
        };
        expect((await consul('catalog', 'datacenters')).trim().split('\n')).toEqual(['dc1', 'dc2']);
        expect(await consul('members', '-wan')).toMatch(/b1\.dc2 .*alive +server/);
        expect(await consul('kv', 'put', '-datacenter=dc2', 'cli', 'yes')).toContain('Success!');
        expect(await consul('kv', 'get', '-datacenter=dc2', 'cli')).toBe('yes\n');
        expect(await consul('catalog', 'nodes', '-datacenter=dc2')).toMatch(/^b1 /m);
      },
      testMsMax,
    );
  });

  test(
    'one that is down does not hold the other one up, and is used again when it is back',
    async () => {
      await b1.kill();
      await a1.putKey('meanwhile', 'yes');
      await one.until('it is said to be away', async () => {
        const { status, text } = await a1.get('/v1/kv/only/here?dc=dc2');
        return status === 500 && text.length > 0;
      });
      await b1.restart({ retryJoin: false });
      await one.until(
        'it is there again',
        async () => (await a1.get('/v1/kv/only/here?dc=dc2&raw')).text === 'again',
      );
    },
    testMsMax,
  );
});
