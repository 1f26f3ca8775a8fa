import { describe, expect, test } from '@jest/globals';
import { decideGossip, type GossipDecision } from '../../../compat/config/decide-gossip.ts';
import { loadJson } from './loading.ts';

async function decided(config: object, encrypted = false): Promise<GossipDecision> {
  return decideGossip(await loadJson(config), 'lan', encrypted);
}

describe('unencrypted gossip', () => {
  test('of who asks for others is refused outside of loopback, with both ways out', async () => {
    for (const ask of [{ retry_join: ['a'] }, { start_join: ['a'] }, { server: true, bootstrap_expect: 3 }]) {
      const decision = await decided(ask);
      expect(decision).toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/at 0\.0\.0\.0, unencrypted.*-encrypt.*allow_plaintext_gossip = true/),
      });
    }
  });

  test('of who asks for nobody is off, and the log says why nobody can join', async () => {
    expect(await decided({ server: true, bootstrap: true })).toMatchObject({
      kind: 'alone',
      warning: expect.stringContaining('no other gateway can join'),
    });
    expect(decideGossip(await loadJson({}), 'wan', false)).toEqual({ kind: 'alone' });
  });

  test('stays on loopback where only that is advertised', async () => {
    expect(await decided({ bind_addr: '127.0.0.9', retry_join: ['a'] })).toEqual({
      kind: 'open',
      bind: '127.0.0.9',
    });
    expect(await decided({ advertise_addr: '127.0.0.1', retry_join: ['a'] })).toEqual({
      kind: 'open',
      bind: '127.0.0.1',
    });
    expect(
      await decided({ bind_addr: '10.1.2.3', advertise_addr: '127.0.0.1', retry_join: ['a'] }),
    ).toMatchObject({
      kind: 'refused',
    });
  });

  test('goes where the operator says so in so many words', async () => {
    const said = { grapevine: { allow_plaintext_gossip: true }, retry_join: ['a'] };
    expect(await decided(said)).toEqual({ kind: 'open', bind: '0.0.0.0' });
  });
});

describe('gossip', () => {
  test('with a key goes anywhere, at the address that is its own', async () => {
    const config = await loadJson({ bind_addr: '10.1.2.3', serf_wan: '10.9.9.9', retry_join_wan: ['a'] });
    expect(decideGossip(config, 'lan', true)).toEqual({ kind: 'open', bind: '10.1.2.3' });
    expect(decideGossip(config, 'wan', true)).toEqual({ kind: 'open', bind: '10.9.9.9' });
    expect(decideGossip(config, 'wan', false)).toMatchObject({ kind: 'refused' });
  });

  test('without a port is off, and nobody wonders', async () => {
    expect(await decided({ ports: { serf_lan: -1 } }, true)).toEqual({ kind: 'alone' });
  });
});
