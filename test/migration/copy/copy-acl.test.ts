import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { MemoryTarget } from '../../../migration/target/memory-target.ts';
import { HttpConsulReader } from '../../../migration/source/http-consul-reader.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../support/real-consul.ts';
import { ask, connect, copy, put, readerOf, register } from '../support.ts';

// Real processes on a busy machine.
jest.setTimeout(120_000);

const root = '6b3a2c1d-0000-4000-8000-000000000001';

describeRealConsul('a copy from a real Consul with ACLs', () => {
  let consul: RealConsul;
  let limited: HttpConsulReader;

  beforeAll(async () => {
    // The agent's own default token may do everything, so that only requests with a token of theirs are limited.
    const acl = { enabled: true, default_policy: 'deny', tokens: { master: root, default: root } };
    consul = await startRealConsul({ config: { acl } });
    const { url } = consul;
    await put(url, 'app/a', '1');
    await put(url, 'app/b', '2');
    await put(url, 'other/c', '3');
    await register(url, { Node: 'ext', Address: '10.0.0.1', Service: { Service: 'web' } });
    const policy = { Name: 'app', Rules: 'key_prefix "app/" { policy = "read" }' };
    await ask(url, '/v1/acl/policy', 'PUT', JSON.stringify(policy));
    const token = await ask(url, '/v1/acl/token', 'PUT', JSON.stringify({ Policies: [{ Name: 'app' }] }));
    const { SecretID } = JSON.parse(token) as { SecretID: string };
    limited = new HttpConsulReader(connect(url, { token: SecretID }));
  });
  afterAll(() => consul.stop());

  test('a token that lost its rights deletes nothing, neither keys nor catalog entries', async () => {
    const target = new MemoryTarget();
    const whole = readerOf(consul.url);
    const sourceId = 'dc1-acl';
    await copy(whole, target, { sourceId });
    expect(target.liveKeys('kv')).toEqual(['app/a', 'app/b', 'other/c']);
    const nodes = target.liveKeys('node');
    expect(nodes).toContain('ext');

    const self = await limited.self();
    expect(self.aclsEnabled).toBe(true);
    const summary = await copy(limited, target, { sourceId, tokenGiven: true, allowDeletes: true });
    expect(target.liveKeys('kv')).toEqual(['app/a', 'app/b', 'other/c']);
    expect(target.liveKeys('node')).toEqual(nodes);
    expect(target.live('service', 'ext/web')).toBeDefined();
    expect(summary.counts.kv).toMatchObject({ deleted: 0, withheld: 1, unchanged: 2 });
    expect(summary.counts.node).toMatchObject({ deleted: 0, withheld: nodes.length });
  });

  test('a token that cannot see the servers must name the cluster, or its mirror would start over unseen', async () => {
    await expect(copy(limited, new MemoryTarget())).rejects.toThrow('--source-id');
  });

  test('what the token may see and the source deleted is deleted', async () => {
    const target = new MemoryTarget();
    const options = { sourceId: 'dc1-acl', tokenGiven: true, prefixes: ['app/'], catalog: false };
    await copy(limited, target, options);
    await ask(consul.url, '/v1/kv/app/b', 'DELETE');
    const summary = await copy(limited, target, options);
    expect(summary.counts.kv).toMatchObject({ deleted: 1, withheld: 0 });
    expect(target.liveKeys('kv')).toEqual(['app/a']);
  });
});
