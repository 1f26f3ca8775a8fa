import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../../support/real-consul.ts';
import { MigratingDoor } from '../dual/door.ts';

describeRealConsul('queries that wait at a real Consul, over 16 connections', () => {
  let consul: RealConsul;
  let migrating: MigratingDoor;

  beforeAll(async () => {
    consul = await startRealConsul();
    const phases = new FakePhases(ruleOf('kv', '', 'passthrough'));
    migrating = await new MigratingDoor(consul.url, phases, { connectionsMax: 16 }).open();
  }, 90_000);
  afterAll(async () => {
    await migrating?.close();
    await consul?.stop();
  });

  const put = async (key: string, body: string): Promise<void> => {
    expect(await (await fetch(`${consul.url}/v1/kv/${key}`, { method: 'PUT', body })).text()).toBe('true');
  };
  const status = (): { readonly watchers: number; readonly watches: number; readonly underWay: number } =>
    migrating.client?.status as ReturnType<typeof status>;
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  test.each([
    ['20 keys', 20],
    ['300 keys', 300],
  ])(
    '300 clients that watch %s all get every change',
    async (_, keysCount) => {
      const keys = Array.from({ length: keysCount }, (__, at) => `watched${keysCount}/${at}`);
      await Promise.all(keys.map((key) => put(key, 'first')));
      // The gateway has seen how far the source is.
      await migrating.door.request('/v1/kv/?keys');
      let most = 0;
      const clients = Array.from({ length: 300 }, async (__, at) => {
        const key = keys[at % keys.length] as string;
        const first = await migrating.door.request(`/v1/kv/${key}`);
        const next = await migrating.door.request(`/v1/kv/${key}?index=${first.index}&wait=60s`);
        most = Math.max(most, status().underWay);
        const body = JSON.parse(next.text) as readonly { readonly Value: string }[];
        return [next.status, next.index > first.index, atob(body[0]?.Value ?? '')];
      });
      await until(() => status().watchers === 300);
      expect(status().watches).toBe(keysCount);
      await Promise.all(keys.map((key) => put(key, 'second')));
      expect(await Promise.all(clients)).toEqual(clients.map(() => [200, true, 'second']));
      expect(most).toBeLessThanOrEqual(16);
      expect(status()).toMatchObject({ watchers: 0, watches: 0 });
    },
    60_000,
  );
});
