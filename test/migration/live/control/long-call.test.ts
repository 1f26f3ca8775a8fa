import { describe, expect, test } from '@jest/globals';
import { callLong, serveLong } from '../../../../migration/live/control/long-call.ts';
import { LiveGateway } from '../../../support/live-gateway.ts';

describe('a call that may take minutes', () => {
  test('brings the answer, and the reason where there is none', async () => {
    const gateway = new LiveGateway();
    serveLong(gateway, 'work', (body) =>
      body === 'well' ? Promise.resolve('done') : Promise.reject(new Error('it cannot')),
    );
    expect(await callLong(gateway, gateway.nodeName, 'work', 'well', 1000)).toBe('done');
    await expect(callLong(gateway, gateway.nodeName, 'work', 'ill', 1000)).rejects.toThrow('it cannot');
  });

  test('ends soon where the other gateway has started again, and knows nothing of it', async () => {
    const forgetful = {
      ...{ nodeId: 'g1-id', random: () => 0 },
      clock: { now: () => 0, sleep: () => Promise.resolve() },
      call: (_: string, topic: string): Promise<unknown> =>
        topic === 'work' ? new Promise(() => {}) : Promise.resolve({ open: false }),
    };
    await expect(callLong(forgetful, 'g2', 'work', {}, 600_000)).rejects.toThrow(/g2 ended/);
  });
});
