import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { describeRealConsul, startRealConsul } from './real-consul.ts';

describeRealConsul('a real Consul for tests', () => {
  test('serves with a leader, keeps its data over kill and restart, and leaves nothing behind', async () => {
    const consul = await startRealConsul();
    try {
      const leader = await (await fetch(`${consul.url}/v1/status/leader`)).json();
      expect(leader).toBe(`127.0.0.1:${consul.ports.server}`);
      const put = await consul.cli(['kv', 'put', 'a', 'b']);
      expect(put).toEqual({ code: 0, stdout: 'Success! Data written to: a\n', stderr: '' });
      await consul.restart();
      expect((await consul.cli(['kv', 'get', 'a'])).stdout).toBe('b\n');
    } finally {
      await consul.stop();
    }
    expect(() => process.kill(consul.pid, 0)).toThrow('ESRCH');
    expect(existsSync(consul.dataDir)).toBe(false);
  }, 120_000);
});
