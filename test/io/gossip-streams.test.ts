import { networkInterfaces } from 'node:os';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { bytesOf, closeStations, keyOf, ringOf, station, type Station } from './gossip-support.ts';

const cleanups: (() => void)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0)) clean();
  await closeStations();
});

interface Relay {
  readonly at: Endpoint;
  /** Connections so far. */
  readonly sockets: Socket[];
  /** From now on nothing passes on the connections that are there; they stay open. */
  stall(): void;
  /** Ends of connections are not passed on any more. */
  holdEnds(): void;
}

/** Between two transports: what a network does to connections, without a sign to either side. */
async function relay(to: Endpoint): Promise<Relay> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: to.address, port: to.port, allowHalfOpen: true });
    for (const [from, into] of [[near, far] as const, [far, near] as const]) {
      sockets.push(from);
      from.on('data', (chunk: Buffer) => into.write(chunk));
      from.on('end', () => into.end());
      from.on('error', () => into.destroy());
      from.on('close', () => into.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    at: { address: '127.0.0.1', port: (server.address() as AddressInfo).port },
    sockets,
    stall: () => {
      for (const socket of sockets) socket.removeAllListeners('data').pause();
    },
    holdEnds: () => {
      for (const socket of sockets) socket.removeAllListeners('end');
    },
  };
}

const keyring = (): ReturnType<typeof ringOf> => ringOf(keyOf(1));

function dial(to: Endpoint): Socket {
  const socket = connect(to.port, to.address);
  socket.on('error', () => undefined);
  socket.on('data', () => undefined);
  cleanups.push(() => socket.destroy());
  return socket;
}

describe('streams', () => {
  test('answers go the way of the request, which may be a relay that only one side knows', async () => {
    const b = await station({ keyring: keyring() });
    const between = await relay(b.transport.local);
    // Nobody reaches this one under what it says.
    const a = await station({ keyring: keyring(), advertise: { address: '192.0.2.1', port: 8301 } });
    a.transport.send(between.at, 'stream', bytesOf('question'));
    await b.until(() => b.received.length === 1);
    expect(b.received[0]!.from).toEqual({ address: '192.0.2.1', port: 8301 });
    b.transport.send(b.received[0]!.from, 'stream', bytesOf('answer'));
    await a.until(() => a.received.length === 1);
    expect(a.received[0]!.from).toEqual(between.at);
  });

  test('one that is idle is closed, without a loss, and opened again when it is needed', async () => {
    const options = { keyring: keyring(), idleMs: 40 };
    const [a, b] = [await station(options), await station({ keyring: keyring() })];
    for (const turn of [1, 2, 3]) {
      a.transport.send(b.transport.local, 'stream', bytesOf(`turn ${turn}`));
      await b.until(() => b.received.length === turn);
      await a.until(() => a.transport.stats().streamsOpen === 0);
      await b.until(() => b.transport.stats().streamsOpen === 0);
    }
    expect(a.transport.stats()).toMatchObject({ connects: 3, lost: {}, dropped: {} });
    expect(b.transport.stats()).toMatchObject({ lost: {}, dropped: {} });
  });

  test('what the other side sent before it saw that an idle one is closed arrives', async () => {
    const b = await station();
    const between = await relay(b.transport.local);
    const a = await station({ idleMs: 40 });
    a.transport.send(between.at, 'stream', bytesOf('x'));
    await b.until(() => b.received.length === 1);
    between.holdEnds();
    await a.until(() => a.transport.stats().streamsOpen === 0);
    b.transport.send(a.transport.advertise, 'stream', bytesOf('crossed'));
    await a.until(() => a.received.length === 1);
    expect(b.transport.stats()).toMatchObject({ connects: 0, streamsOpen: 1 });
  });

  test('one that has died without a sign is given up, and another takes its place', async () => {
    const b = await station({ keyring: keyring() });
    const between = await relay(b.transport.local);
    const a = await station({ keyring: keyring(), silenceMsMax: 20 });
    a.transport.send(between.at, 'stream', bytesOf('before'));
    await b.until(() => b.received.length === 1);
    between.stall();
    a.transport.send(between.at, 'stream', bytesOf('into the void'));
    await a.until(() => a.transport.stats().dropped['half-open'] === 1);
    a.transport.send(between.at, 'stream', bytesOf('after'));
    await b.until(() => b.texts().includes('after'));
    expect(b.texts()).toEqual(['before', 'after']);
  });

  test('one that is silent but alive says so when asked', async () => {
    const [a, b] = [await station({ silenceMsMax: 20 }), await station()];
    a.transport.send(b.transport.local, 'stream', bytesOf('x'));
    await b.until(() => b.received.length === 1);
    const { framesIn } = a.transport.stats();
    await a.until(() => a.transport.stats().framesIn > framesIn + 5);
    expect(a.transport.stats()).toMatchObject({ streamsOpen: 1, dropped: {}, connects: 1 });
  });

  test('control does not wait behind bulk that its receiver does not take', async () => {
    const b = await station({ keyring: keyring() });
    const between = await relay(b.transport.local);
    const a = await station({ keyring: keyring(), queueBytesMax: 64 * 1024 * 1024 });
    a.transport.send(between.at, 'stream', bytesOf('bulk begins'), true);
    await b.until(() => b.received.length === 1);
    between.stall();
    for (let i = 0; i < 200; i++) a.transport.send(between.at, 'stream', new Uint8Array(100_000), true);
    a.transport.send(between.at, 'stream', bytesOf('control'));
    await b.until(() => b.texts().includes('control'));
    expect(a.transport.stats().queueBytes).toBeGreaterThan(1_000_000);
  });

  test('megabytes of small messages arrive whole and in order', async () => {
    const [a, b] = [await station({ keyring: keyring() }), await station({ keyring: keyring() })];
    const count = 20_000;
    for (let i = 0; i < count; i++)
      a.transport.send(b.transport.local, 'stream', bytesOf(`${i} ${'x'.repeat(200)}`));
    await b.until(() => b.transport.stats().messagesIn === count);
    const numbers = b.texts().map((text) => Number(text.split(' ')[0]));
    expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(a.transport.stats().framesOut).toBeLessThan(count / 10);
  });
});

describe('limits on who connects', () => {
  test('who says nothing, or too little, is cut off', async () => {
    const b = await station({ keyring: keyring(), greetingMsMax: 40 });
    const silent = dial(b.transport.local);
    const slow = dial(b.transport.local);
    slow.write(Uint8Array.of(0, 0, 0, 60, 0x67));
    await Promise.all(
      [silent, slow].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
    );
    expect(b.transport.stats().dropped).toEqual({ 'handshake-timeout': 2 });
  });

  test('connections are so many and no more; those that have said nothing give way to new ones', async () => {
    const b = await station({ streamsMax: 300 });
    const silent = Array.from({ length: 400 }, () => dial(b.transport.local));
    await b.until(() => b.transport.stats().accepts === 400);
    const a = await station();
    a.transport.send(b.transport.local, 'stream', bytesOf('let me in'));
    await b.until(() => b.received.length === 1);
    expect(b.transport.stats().dropped['streams-limit']).toBeGreaterThanOrEqual(400 - 256);
    for (const socket of silent) socket.destroy();
    const full = await station({ streamsMax: 0 });
    const refused = dial(full.transport.local);
    await new Promise((resolve) => refused.once('close', resolve));
    expect(full.transport.stats().dropped).toEqual({ 'streams-limit': 1 });
    full.transport.send(b.transport.local, 'stream', bytesOf('no'));
    expect(full.lost).toEqual([{ messages: 1, reason: 'streams-limit' }]);
  });

  test('addresses that are not allowed are neither heard nor let in', async () => {
    const b = await station({ allowed: (address) => address !== '127.0.0.1' });
    const a = await station();
    a.transport.send(b.transport.local, 'packet', bytesOf('x'));
    a.transport.send(b.transport.local, 'stream', bytesOf('x'));
    await b.until(() => b.transport.stats().dropped['not-allowed'] === 2);
    await a.until(() => a.lost.length === 1);
    expect(b.received).toEqual([]);
  });
});

/** What this machine has: some have no IPv6. */
const both = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
  ? ['::1', '::']
  : ['127.0.0.1'];

test.each(both)('speaks on %s, to either family that it has', async (address) => {
  const a: Station = await station({ bind: { address, port: 0 }, allowPlaintext: true });
  const b: Station = await station({
    bind: { address: address === '::' ? '127.0.0.1' : address, port: 0 },
  });
  for (const lane of ['packet', 'stream'] as const) {
    a.transport.send(b.transport.local, lane, bytesOf(lane));
  }
  await b.until(() => b.received.length === 2);
  const packet = b.received.find(({ lane }) => lane === 'packet');
  b.transport.send(packet!.from, 'packet', bytesOf('answer'));
  await a.until(() => a.received.length === 1);
  expect(a.received[0]!.from).toEqual(b.transport.local);
});
