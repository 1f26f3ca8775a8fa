import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { openTransport } from '../../src/io/gossip-transport.ts';
import { Keyring } from '../../src/io/keyring.ts';
import {
  bytesOf,
  closeStations,
  keyOf,
  loopback,
  ringOf,
  silentLog,
  station,
  type Station,
} from './gossip-support.ts';

afterEach(closeStations);

async function pair(keys: readonly string[] = [keyOf(1)]): Promise<[Station, Station]> {
  const keyring = (): Keyring | undefined => (keys.length === 0 ? undefined : ringOf(...keys));
  return [
    await station({ keyring: keyring(), cluster: () => '00112233aabbccdd' }),
    await station({ keyring: keyring() }),
  ];
}

describe.each([
  ['sealed', [keyOf(1)]],
  ['plain, on loopback', []],
])('a pair of transports, %s', (_, keys) => {
  test('messages of one turn to one endpoint share a packet, and the receiver may answer to where it came from', async () => {
    const [a, b] = await pair(keys);
    for (const text of ['one', 'two', 'three']) a.transport.send(b.transport.local, 'packet', bytesOf(text));
    await b.until(() => b.received.length > 0);
    expect(b.texts()).toEqual(['one', 'two', 'three']);
    expect(b.received[0]).toMatchObject({
      lane: 'packet',
      cluster: '00112233aabbccdd',
      from: a.transport.local,
    });
    expect(a.transport.stats()).toMatchObject({ packetsOut: 1, messagesOut: 3 });
    b.transport.send(b.received[0]!.from, 'packet', bytesOf('four'));
    await a.until(() => a.received.length > 0);
    expect(a.received[0]).toMatchObject({ cluster: '' });
  });

  test('what does not fit a packet is split over several, and a message larger than one takes the stream', async () => {
    const [a, b] = await pair(keys);
    const half = bytesOf('h'.repeat(700));
    for (let i = 0; i < 3; i++) a.transport.send(b.transport.local, 'packet', half);
    a.transport.send(b.transport.local, 'packet', bytesOf('L'.repeat(5000)));
    a.transport.flush();
    await b.until(() => b.texts().length === 4);
    expect(b.received.filter(({ lane }) => lane === 'packet')).toHaveLength(3);
    expect(
      b.received.filter(({ lane }) => lane === 'stream').flatMap(({ messages }) => messages)[0],
    ).toHaveLength(5000);
  });

  test('a stream carries in order, says the endpoint of who dialled, and takes the answers', async () => {
    const [a, b] = await pair(keys);
    const texts = Array.from({ length: 500 }, (__, i) => `message ${i}`);
    for (const text of texts) a.transport.send(b.transport.local, 'stream', bytesOf(text));
    await b.until(() => b.texts().length === 500);
    expect(b.texts()).toEqual(texts);
    expect(b.received[0]).toMatchObject({ lane: 'stream', from: a.transport.advertise });
    b.transport.send(b.received[0]!.from, 'stream', bytesOf('answer'));
    await a.until(() => a.received.length > 0);
    expect(a.received[0]!.from).toEqual(b.transport.local);
    expect(b.transport.stats()).toMatchObject({ connects: 0, accepts: 1, streamsOpen: 1 });
  });

  test('the largest message arrives whole, on a stream of its own that others do not wait for', async () => {
    const [a, b] = await pair(keys);
    const large = new Uint8Array(8 * 1024 * 1024).fill(7);
    a.transport.send(b.transport.local, 'stream', large);
    a.transport.send(b.transport.local, 'stream', bytesOf('small'));
    await b.until(() => b.received.length === 2);
    expect(b.received.flatMap(({ messages }) => messages.map(({ length }) => length)).toSorted()).toEqual(
      [5, large.length].toSorted(),
    );
    expect(b.transport.stats().streamsOpen).toBe(2);
  });
});

describe('who may speak', () => {
  test('gossip over a network is not opened in the clear, unless the operator says so', async () => {
    const open = { address: '0.0.0.0', port: 0 };
    const options = {
      bind: open,
      advertise: loopback,
      keyring: undefined,
      cluster: () => '',
      log: silentLog,
      onReceived: () => undefined,
    };
    await expect(openTransport(options)).rejects.toThrow(
      /encrypt.*grapevine keygen.*grapevine\.allow_plaintext_gossip = true/,
    );
    const said = await station({ bind: open, allowPlaintext: true });
    expect(said.transport.local.port).toBeGreaterThan(0);
  });

  test('another key, plaintext and recordings are dropped, each under its name, on both lanes', async () => {
    const b = await station({ keyring: ringOf(keyOf(1)) });
    const stranger = await station({ keyring: ringOf(keyOf(2)) });
    const open = await station();
    for (const lane of ['packet', 'stream'] as const) {
      stranger.transport.send(b.transport.local, lane, bytesOf('no'));
      open.transport.send(b.transport.local, lane, bytesOf('no'));
    }
    const a = await station({ keyring: ringOf(keyOf(1)) });
    const recorder = createSocket('udp4');
    const recorded = new Promise<Buffer>((resolve) => recorder.once('message', resolve));
    await new Promise<void>((resolve) => recorder.bind(0, '127.0.0.1', resolve));
    a.transport.send({ address: '127.0.0.1', port: recorder.address().port }, 'packet', bytesOf('once'));
    const packet = await recorded;
    for (let i = 0; i < 3; i++) recorder.send(packet, b.transport.local.port, '127.0.0.1');
    await b.until(() => b.received.length > 0 && (b.transport.stats().dropped['replayed'] ?? 0) === 2);
    await stranger.until(() => stranger.lost.length > 0);
    await open.until(() => open.lost.length > 0);
    recorder.close();
    expect(b.texts()).toEqual(['once']);
    expect(b.transport.stats().dropped).toMatchObject({ plaintext: 1, 'wrong-key': 1, replayed: 2 });
    expect(stranger.transport.stats().dropped).toMatchObject({ 'wrong-key': 1 });
    expect(open.transport.stats().dropped).toMatchObject({ 'wrong-key': 1 });
  });

  test('a recorded stream cannot be played again', async () => {
    const b = await station({ keyring: ringOf(keyOf(1)) });
    const recorded: Buffer[] = [];
    // Between a and b, who records.
    const tap = createServer((fromA) => {
      const toB = connect(b.transport.local.port, '127.0.0.1');
      fromA.on('data', (chunk: Buffer) => {
        recorded.push(chunk);
        toB.write(chunk);
      });
      toB.on('data', (chunk) => fromA.write(chunk));
      for (const socket of [fromA, toB]) {
        socket.on('error', () => undefined);
        socket.on('close', () => [fromA, toB].forEach((each) => each.destroy()));
      }
    });
    await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
    const a = await station({ keyring: ringOf(keyOf(1)) });
    a.transport.send(
      { address: '127.0.0.1', port: (tap.address() as AddressInfo).port },
      'stream',
      bytesOf('pay'),
    );
    await b.until(() => b.received.length === 1);
    const replay = connect(b.transport.local.port, '127.0.0.1');
    replay.on('error', () => undefined);
    replay.on('data', () => undefined);
    replay.write(Buffer.concat(recorded));
    await new Promise((resolve) => replay.once('close', resolve));
    expect(b.received).toHaveLength(1);
    expect(b.transport.stats().dropped).toMatchObject({ unauthentic: 1 });
    await a.transport.close();
    tap.close();
  });

  test('keys are rotated while gossip goes on', async () => {
    const [first, second] = [keyOf(1), keyOf(2, 16)];
    const rings = [ringOf(first), ringOf(first)] as const;
    const [a, b] = [await station({ keyring: rings[0] }), await station({ keyring: rings[1] })];
    let sent = 0;
    const exchange = async (): Promise<void> => {
      sent++;
      for (const lane of ['packet', 'stream'] as const) {
        a.transport.send(b.transport.local, lane, bytesOf(`a ${sent}`));
        b.transport.send(a.transport.local, lane, bytesOf(`b ${sent}`));
      }
      await a.until(() => a.texts().length === 2 * sent);
      await b.until(() => b.texts().length === 2 * sent);
    };
    const steps = [
      (ring: Keyring) => ring.install(second),
      (ring: Keyring) => ring.use(second),
      (ring: Keyring) => ring.remove(first),
    ];
    await exchange();
    for (const step of steps) {
      for (const ring of rings) {
        expect(step(ring)).toMatchObject({ ok: true });
        await exchange();
      }
    }
    expect([...a.lost, ...b.lost]).toEqual([]);
    expect(a.transport.stats().dropped).toEqual({});
  });

  test('encryption is rolled out over a running pool in the steps that Consul has', async () => {
    const ring = (verifyIncoming: boolean, verifyOutgoing: boolean): Keyring =>
      new Keyring({ keys: [keyOf(1)], verifyIncoming, verifyOutgoing });
    const steps = [
      [undefined, ring(false, false)],
      [ring(false, false), ring(false, true)],
      [ring(false, true), ring(true, true)],
    ] as const;
    for (const [older, newer] of steps) {
      const a = await station({ keyring: older });
      const b = await station({ keyring: newer });
      for (const lane of ['packet', 'stream'] as const) {
        a.transport.send(b.transport.local, lane, bytesOf('x'));
        b.transport.send(a.transport.local, lane, bytesOf('y'));
      }
      await a.until(() => a.texts().length === 2);
      await b.until(() => b.texts().length === 2);
      expect([a, b].map(({ transport }) => transport.stats().dropped)).toEqual([{}, {}]);
    }
  });
});

describe('what goes wrong', () => {
  test('a peer that is not there costs its messages, told and counted, and is reached once it is', async () => {
    const a = await station();
    const b = await station();
    const there = b.transport.local;
    await b.transport.close();
    a.transport.send(there, 'stream', bytesOf('lost'));
    await a.until(() => a.lost.length > 0);
    expect(a.lost).toEqual([{ messages: 1, reason: 'unreachable' }]);
    expect(a.transport.stats()).toMatchObject({
      lost: { unreachable: 1 },
      connectsFailed: 1,
      socketErrors: { ECONNREFUSED: 1 },
    });
    const again = await station({ bind: there, advertise: there });
    a.transport.send(there, 'stream', bytesOf('found'));
    await again.until(() => again.texts().includes('found'));
  });

  test('a peer that was restarted is dialled anew', async () => {
    const [a, b] = await pair();
    a.transport.send(b.transport.local, 'stream', bytesOf('before'));
    await b.until(() => b.received.length === 1);
    await b.transport.close();
    const again = await station({
      keyring: ringOf(keyOf(1)),
      bind: b.transport.local,
      advertise: b.transport.local,
    });
    await a.until(() => a.transport.stats().streamsOpen === 0);
    a.transport.send(b.transport.local, 'stream', bytesOf('after'));
    await again.until(() => again.received.length === 1);
    expect(again.texts()).toEqual(['after']);
  });

  test('a queue takes so much and no more: the newest is dropped, told and counted', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const a = await station({ queueBytesMax: 10_000, connectMsMax: 1 });
    const to = { address: '127.0.0.1', port: (silent.address() as AddressInfo).port };
    for (let i = 0; i < 15; i++) a.transport.send(to, 'stream', new Uint8Array(1000));
    expect(a.transport.stats()).toMatchObject({
      queueBytes: 10_000,
      queueMessages: 10,
      lost: { 'queue-full': 5 },
    });
    // It never says hello.
    await a.until(() => a.transport.stats().lost.unreachable === 10);
    expect(a.transport.stats()).toMatchObject({ queueBytes: 0, queueMessages: 0 });
    silent.close();
  });

  test('what cannot be sent at all is told at once', async () => {
    const a = await station({ frameBytesMax: 1000 });
    a.transport.send({ address: 'example.com', port: 1 }, 'packet', bytesOf('x'));
    a.transport.send({ address: 'example.com', port: 1 }, 'stream', bytesOf('x'));
    a.transport.send({ address: '::1', port: 1 }, 'packet', bytesOf('x'));
    a.transport.send(loopback, 'packet', bytesOf('x'));
    a.transport.send({ address: '127.0.0.1', port: 9 }, 'stream', new Uint8Array(1001));
    a.transport.flush();
    expect(a.transport.stats().lost).toEqual({ 'bad-endpoint': 4, 'too-large': 1 });
  });

  test('who connects and sends garbage, or more than a greeting, is cut off', async () => {
    const b = await station({ keyring: ringOf(keyOf(1)) });
    const says = async (bytes: Uint8Array): Promise<void> => {
      const socket: Socket = connect(b.transport.local.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.on('data', () => undefined);
      socket.write(bytes);
      await new Promise((resolve) => socket.once('close', resolve));
    };
    await says(bytesOf('GET / HTTP/1.1\r\n\r\n'));
    await says(Uint8Array.of(0, 0, 0, 4, 1, 2, 3, 4));
    await says(Uint8Array.of(0, 0, 0, 0));
    expect(b.transport.stats().dropped).toEqual({ oversized: 1, garbage: 1, truncated: 1 });
  });

  test('a port that is taken is refused with its address and what to do', async () => {
    const b = await station();
    await expect(station({ bind: b.transport.local })).rejects.toThrow(
      /cannot listen for gossip on 127\.0\.0\.1:\d+: .*something listens there already/,
    );
  });

  test('closing sends what is queued', async () => {
    const [a, b] = await pair();
    for (let i = 0; i < 100; i++) a.transport.send(b.transport.local, 'stream', new Uint8Array(10_000));
    a.transport.send(b.transport.local, 'packet', bytesOf('bye'));
    await a.transport.close();
    await b.until(() => b.texts().length === 101);
    a.transport.send(b.transport.local, 'stream', bytesOf('late'));
    a.transport.send(b.transport.local, 'packet', bytesOf('late'));
    a.transport.flush();
    expect(a.transport.stats().lost).toEqual({ closed: 2 });
  });
});
