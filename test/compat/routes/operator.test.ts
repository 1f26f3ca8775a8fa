import { describe, expect, test } from '@jest/globals';
import { MemoryStore } from '../../../src/io/memory-store.ts';
import { ask } from '../../support/ask.ts';
import { StateFixture } from '../../support/state.ts';

describe('operator endpoints', () => {
  test('the gateway shows itself as the only voter, healthy once its datacenter is founded', async () => {
    const fixture = new StateFixture();
    const peers = await ask(fixture, 'GET', '/v1/operator/raft/configuration');
    expect(JSON.parse(peers.body)).toEqual({
      Servers: [
        {
          ID: 'gateway-id',
          Node: 'gateway',
          Address: '127.0.0.1:8300',
          Leader: true,
          ProtocolVersion: '3',
          Voter: true,
        },
      ],
      Index: 0,
    });
    const health = await ask(fixture, 'GET', '/v1/operator/autopilot/health');
    expect(health.status).toBe(200);
    expect(JSON.parse(health.body)).toMatchObject({
      Healthy: true,
      Servers: [{ Name: 'gateway', SerfStatus: 'alive', StableSince: '2023-11-14T22:13:20Z' }],
    });
    const state = await ask(fixture, 'GET', '/v1/operator/autopilot/state');
    expect(JSON.parse(state.body)).toMatchObject({
      Healthy: true,
      Leader: 'gateway-id',
      Voters: ['gateway-id'],
    });
    const unfounded = new StateFixture({ view: new MemoryStore() });
    expect((await ask(unfounded, 'GET', '/v1/operator/autopilot/health')).status).toBe(429);
  });

  test('usage counts what lives', async () => {
    const fixture = new StateFixture();
    for (const name of ['a', 'b']) {
      await ask(fixture, 'PUT', '/v1/catalog/register', {
        Node: name,
        Address: '10.0.0.1',
        Service: { Service: 'web', ID: `web-${name}` },
      });
    }
    await ask(fixture, 'PUT', '/v1/catalog/deregister', { Node: 'b', ServiceID: 'web-b' });
    const { body } = await ask(fixture, 'GET', '/v1/operator/usage');
    expect(JSON.parse(body)).toMatchObject({
      Usage: { dc1: { Nodes: 2, Services: 1, ServiceInstances: 1, BillableServiceInstances: 1 } },
    });
  });

  test('what would change Raft or autopilot is refused with a reason', async () => {
    const fixture = new StateFixture();
    for (const [method, path] of [
      ['DELETE', 'raft/peer'],
      ['POST', 'raft/transfer-leader'],
      ['PUT', 'autopilot/configuration'],
    ] as const) {
      const answer = await ask(fixture, method, `/v1/operator/${path}`);
      expect(answer.status).toBe(501);
      expect(answer.body).toMatch(/^Grapevine has no (Raft|autopilot): /);
    }
    expect((await ask(fixture, 'GET', '/v1/operator/keyring')).body).toContain(
      '\t* gateway: Keyring is empty (encryption not enabled)\n',
    );
  });
});
