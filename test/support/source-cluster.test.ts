import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeRealConsul } from './real-consul.ts';
import { SourceCluster, type SourceServer } from './source-cluster.ts';

describeRealConsul('a real Consul of three servers', () => {
  let source: SourceCluster;
  beforeAll(async () => {
    source = await SourceCluster.start();
  }, 90_000);
  afterAll(() => source?.stop(), 30_000);

  test('goes on when its leader is killed, and takes it back', async () => {
    await source.first.client.putKey('a', '1');
    const leader = await source.leader();
    await leader.agent.kill();
    const other = source.servers.find((server) => server !== leader) as SourceServer;
    // Refused until the other two have elected one of them.
    let written = '';
    while (written !== 'true') written = (await other.client.put('/v1/kv/a', '2')).text;
    await leader.agent.restart();
    await source.untilLed();
    expect((await leader.client.key('a', 'consistent'))?.value).toBe('2');
  }, 90_000);
});
