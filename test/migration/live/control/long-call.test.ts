import { describe, expect, test } from '@jest/globals';
import { callLong, CalleeEnded, serveLong } from '../../../../migration/live/control/long-call.ts';
import type { GatewayPort } from '../../../../migration/live/gateway-port.ts';
import { LiveGateway } from '../../../support/live-gateway.ts';

type Caller = Parameters<typeof callLong>[0];

/** Looks follow each other without time between them; `look` answers the n-th one. */
function callerOf(options: {
  readonly look: (n: number) => object | undefined;
  readonly alive: (n: number) => boolean;
  readonly work: Promise<unknown>;
}): Caller {
  let looks = 0;
  return {
    ...{ nodeId: 'g1-id', random: () => 0 },
    clock: { now: () => 0, sleep: () => new Promise((resolve) => setImmediate(resolve)) },
    gateways: () => [{ nodeId: 'g2-id', nodeName: 'g2', region: '', alive: options.alive(looks) }],
    call: (_: string, topic: string): Promise<unknown> => {
      if (topic === 'work') return options.work;
      const answer = options.look((looks += 1));
      return answer === undefined ? Promise.reject(new Error('timeout')) : Promise.resolve(answer);
    },
  };
}

const never = new Promise<unknown>(() => {});
const call = (caller: Caller): Promise<unknown> => callLong(caller, 'g2', 'work', {}, 600_000);

describe('a call that may take minutes', () => {
  test('brings the answer, and the reason where there is none', async () => {
    const gateway = new LiveGateway();
    serveLong(gateway, 'work', (body) =>
      body === 'well' ? Promise.resolve('done') : Promise.reject(new Error('it cannot')),
    );
    expect(await callLong(gateway, gateway.nodeName, 'work', 'well', 1000)).toBe('done');
    await expect(callLong(gateway, gateway.nodeName, 'work', 'ill', 1000)).rejects.toThrow('it cannot');
  });

  test('tells whether it is under way, over, or was never heard of', async () => {
    const served = new Map<string, (body: unknown, from: string) => Promise<unknown>>();
    const port: Pick<GatewayPort, 'serve' | 'clock' | 'random'> = {
      serve: (topic, handler) => void served.set(topic, handler),
      ...{ clock: { now: () => 7, sleep: () => Promise.resolve() }, random: () => 0 },
    };
    let end = (): void => {};
    serveLong(port, 'work', () => new Promise<void>((resolve) => (end = resolve)));
    const look = (id: string): Promise<unknown> | undefined => served.get('work-open')?.({ id }, '');
    const working = served.get('work')?.({ id: 'a', body: {} }, '');
    expect(await look('a')).toEqual({ state: 'open', run: '7:0' });
    expect(await look('b')).toEqual({ state: 'unheard', run: '7:0' });
    end();
    await working;
    expect(await look('a')).toEqual({ state: 'ended', run: '7:0' });
  });

  test('ends soon where the other gateway has started again, and knows nothing of it', async () => {
    const look = (n: number): object =>
      n < 3 ? { state: 'open', run: 'a' } : { state: 'unheard', run: 'b' };
    await expect(call(callerOf({ look, alive: () => true, work: never }))).rejects.toThrow(/g2 was started/);
  });

  test('ends soon where the other gateway has failed', async () => {
    const look = (n: number): object | undefined => (n < 3 ? { state: 'open', run: 'a' } : undefined);
    const caller = callerOf({ look, alive: (n) => n < 5, work: never });
    await expect(call(caller)).rejects.toThrow(CalleeEnded);
  });

  test('goes on where the other gateway is only slow, however many looks it misses', async () => {
    let end: (what: string) => void = () => {};
    const work = new Promise<string>((resolve) => (end = resolve));
    const look = (n: number): object | undefined => {
      if (n === 200) end('done');
      return n % 60 === 0 ? { state: 'open', run: 'a' } : undefined;
    };
    // Once it was taken for failed, and refuted that.
    expect(await call(callerOf({ look, alive: (n) => n !== 30, work }))).toBe('done');
  });

  test('waits for an answer that is on its way', async () => {
    let end: (what: string) => void = () => {};
    const work = new Promise<string>((resolve) => (end = resolve));
    const look = (n: number): object => {
      if (n === 50) end('done');
      return { state: n < 2 ? 'open' : 'ended', run: 'a' };
    };
    expect(await call(callerOf({ look, alive: () => true, work }))).toBe('done');
  });

  test('ends where the other gateway never heard of it', async () => {
    const look = (): object => ({ state: 'unheard', run: 'a' });
    await expect(call(callerOf({ look, alive: () => true, work: never }))).rejects.toThrow('not heard');
  });
});
