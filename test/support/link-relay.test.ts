import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { type Links, type LinksOptions, openLinks } from './link-relay.ts';

// Addresses of this process alone, so that test processes side by side do not meet.
const net = `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;
const port = 7301;
const node = (name: string, n: number) => ({
  name,
  address: `${net}.${n}`,
  advertiseAddress: `${net}.${100 + n}`,
  ports: [port],
});
const nodes = [node('a', 1), node('b', 2), node('c', 3)];
const delays: Record<string, number> = { 'a b': 30, 'b a': 50, 'a c': 80, 'c a': 80, 'b c': 0, 'c b': 0 };
const delayMs = (from: string, to: string): number => delays[`${from} ${to}`] ?? 0;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function open(options: Partial<LinksOptions> = {}): Promise<Links> {
  const links = await openLinks({ nodes, delayMs, ...options });
  cleanups.push(() => links.close());
  return links;
}

async function udp(address: string, at = port): Promise<UdpSocket> {
  const socket = createSocket('udp4');
  cleanups.push(() => socket.close());
  socket.bind(at, address);
  await once(socket, 'listening');
  return socket;
}

interface Received {
  readonly text: string;
  readonly from: RemoteInfo;
  readonly atMs: number;
}

async function received(socket: UdpSocket): Promise<Received> {
  const [bytes, from] = (await once(socket, 'message')) as [Buffer, RemoteInfo];
  return { text: bytes.toString(), from, atMs: performance.now() };
}

/** Sends until something arrives: what a protocol over datagrams does. */
async function sentUntilReceived(from: UdpSocket, to: Endpoint, at: UdpSocket): Promise<Received> {
  const arrived = received(at);
  const timer = setInterval(() => from.send('again', to.port, to.address), 5);
  return arrived.finally(() => clearInterval(timer));
}

describe('datagrams', () => {
  test('arrive after the delay of their direction, as coming from what the sender advertises', async () => {
    const links = await open();
    const [a, b] = [await udp(`${net}.1`), await udp(`${net}.2`)];
    const sentMs = performance.now();
    a.send('hello', port, links.advertiseFor('b').address);
    const hello = await received(b);
    expect({ text: hello.text, address: hello.from.address, port: hello.from.port }).toEqual({
      text: 'hello',
      ...links.advertiseFor('a'),
    });
    // A timer may be a millisecond early by the clock that is read here; never more.
    expect(hello.atMs - sentMs).toBeGreaterThan(28);
    const answeredMs = performance.now();
    b.send('yes', hello.from.port, hello.from.address);
    const yes = await received(a);
    expect({ text: yes.text, address: yes.from.address, port: yes.from.port }).toEqual({
      text: 'yes',
      ...links.advertiseFor('b'),
    });
    expect(yes.atMs - answeredMs).toBeGreaterThan(48);
    expect(links.counters).toMatchObject({ datagramsCarried: 2, datagramsLost: 0 });
  });

  test('of a socket beside the known ports are answered to that socket', async () => {
    const links = await open();
    const [aside, b] = [await udp(`${net}.1`, 0), await udp(`${net}.2`)];
    aside.send('hello', port, links.advertiseFor('b').address);
    const hello = await received(b);
    expect(hello.from.address).toBe(links.advertiseFor('a').address);
    expect(hello.from.port).not.toBe(port);
    b.send('yes', hello.from.port, hello.from.address);
    expect((await received(aside)).text).toBe('yes');
  });

  test('are lost on a cut link, those on their way too, and on that link only; a healed link carries again', async () => {
    const links = await open();
    const [a, b, c] = [await udp(`${net}.1`), await udp(`${net}.2`), await udp(`${net}.3`)];
    a.send('on its way', port, links.advertiseFor('b').address);
    // It has passed the relay's first half once this one, sent later without delay, is there.
    c.send('first', port, links.advertiseFor('b').address);
    expect((await received(b)).text).toBe('first');
    links.cut('b', 'a');
    a.send('lost', port, links.advertiseFor('b').address);
    a.send('past it', port, links.advertiseFor('c').address);
    expect((await received(c)).text).toBe('past it');
    expect(links.counters.datagramsLost).toBe(2);
    links.heal('a', 'b');
    expect((await sentUntilReceived(a, links.advertiseFor('b'), b)).text).toBe('again');
  });

  test('are lost by chance as the link says', async () => {
    const draws = [0.1, 0.3, 0.1, 0.3];
    const links = await open({ lossShare: () => 0.2, random: () => draws.shift() ?? 0.9 });
    const [b, c] = [await udp(`${net}.2`), await udp(`${net}.3`)];
    for (const text of ['1', '2', '3', '4']) b.send(text, port, links.advertiseFor('c').address);
    expect([(await received(c)).text, (await received(c)).text]).toEqual(['2', '4']);
    expect(links.counters).toMatchObject({ datagramsCarried: 2, datagramsLost: 2 });
  });

  test('from an address of no node are lost and counted apart', async () => {
    const links = await open();
    const [stranger, b, c] = [await udp(`${net}.9`), await udp(`${net}.2`), await udp(`${net}.3`)];
    stranger.send('who?', port, links.advertiseFor('b').address);
    await sentUntilReceived(c, links.advertiseFor('b'), b);
    expect(links.counters).toMatchObject({ datagramsOfStrangers: 1 });
  });

  test('queue behind each other where the bandwidth is limited, up to a limit', async () => {
    const links = await open({ megabitsPerSecond: () => 1 });
    const [b, c] = [await udp(`${net}.2`), await udp(`${net}.3`)];
    const sentMs = performance.now();
    // 10 ms of that link each: the queue holds about 20 of them.
    for (let i = 0; i < 40; i++) b.send(Buffer.alloc(1250), port, links.advertiseFor('c').address);
    await received(c);
    await received(c);
    expect((await received(c)).atMs - sentMs).toBeGreaterThan(28);
    while (links.counters.datagramsCarried + links.counters.datagramsLost < 40) await received(c);
    expect(links.counters.datagramsLost).toBeGreaterThanOrEqual(15);
  });
});

describe('connections', () => {
  let server: Server;
  let accepted: Promise<Socket>;
  beforeEach(async () => {
    server = createServer({ allowHalfOpen: true });
    accepted = once(server, 'connection').then(([socket]) => {
      cleanups.push(() => (socket as Socket).destroy());
      return socket as Socket;
    });
    server.listen(port, `${net}.2`);
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    await once(server, 'listening');
  });

  function dial(links: Links, localAddress = `${net}.1`): Socket {
    const to = links.advertiseFor('b');
    const socket = connect({ host: to.address, port: to.port, localAddress, allowHalfOpen: true });
    cleanups.push(() => socket.destroy());
    socket.on('error', () => {});
    return socket;
  }

  async function read(socket: Socket): Promise<string> {
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return bytes.toString();
  }

  test('carry bytes after a round trip and a half the first time, then after one delay', async () => {
    const links = await open();
    const startMs = performance.now();
    const a = dial(links);
    a.write('hello');
    const b = await accepted;
    expect(b.remoteAddress).toBe(links.advertiseFor('a').address);
    expect(await read(b)).toBe('hello');
    expect(performance.now() - startMs).toBeGreaterThan(30 + 50 + 30 - 2);
    const answeredMs = performance.now();
    b.write('yes');
    expect(await read(a)).toBe('yes');
    expect(performance.now() - answeredMs).toBeGreaterThan(48);
  });

  test('end one direction at a time, with all that was sent before', async () => {
    const links = await open();
    const a = dial(links);
    a.end('question');
    const b = await accepted;
    expect(await read(b)).toBe('question');
    b.resume();
    await once(b, 'end');
    b.end('answer');
    expect(await read(a)).toBe('answer');
    await once(a, 'end');
  });

  test('pass on a reset', async () => {
    const links = await open();
    const a = dial(links);
    const b = await accepted;
    b.resetAndDestroy();
    await expect(once(a, 'data')).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('to where nobody listens are reset', async () => {
    const links = await open();
    const to = links.advertiseFor('c');
    const socket = connect({ host: to.address, port: to.port, localAddress: `${net}.1` });
    await expect(once(socket, 'data')).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('stand still on a cut link and go on when it is healed, with nothing lost', async () => {
    const links = await open();
    const a = dial(links);
    a.write('1');
    const b = await accepted;
    expect(await read(b)).toBe('1');
    links.cut('a', 'b');
    let early = '';
    const listen = (bytes: Buffer): void => void (early += bytes.toString());
    b.on('data', listen);
    a.write('2');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(early).toBe('');
    b.off('data', listen);
    links.heal('a', 'b');
    expect(await read(b)).toBe('2');
  });

  test('that were called over a cut link reach the other side when it is healed', async () => {
    const links = await open();
    links.cut('a', 'b');
    const a = dial(links);
    a.write('late');
    await once(a, 'connect');
    await new Promise((resolve) => setTimeout(resolve, 60));
    links.heal('a', 'b');
    expect(await read(await accepted)).toBe('late');
  });

  test('carry much, whole and in order, while the receiver is slow', async () => {
    const links = await open({ megabitsPerSecond: () => 400 });
    const a = dial(links);
    const sent = Buffer.alloc(12 * 1024 * 1024);
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
    a.end(sent);
    const b = await accepted;
    const parts: Buffer[] = [];
    b.pause();
    await new Promise((resolve) => setTimeout(resolve, 200));
    b.on('data', (bytes: Buffer) => void parts.push(bytes)).resume();
    await once(b, 'end');
    expect(Buffer.concat(parts).equals(sent)).toBe(true);
  });

  test('of an unknown address take the longest way and stand still behind any cut', async () => {
    const links = await open();
    links.cut('b', 'c');
    const startMs = performance.now();
    const stranger = dial(links, `${net}.9`);
    stranger.write('who?');
    await new Promise((resolve) => setTimeout(resolve, 60));
    links.heal('b', 'c');
    expect(await read(await accepted)).toBe('who?');
    expect(performance.now() - startMs).toBeGreaterThan(30 + 50 + 30 - 2);
  });
});

test('links refuse nodes that share an address, and leave nothing open behind', async () => {
  const twice = [node('a', 1), { ...node('b', 2), address: `${net}.1` }];
  await expect(openLinks({ nodes: twice, delayMs })).rejects.toThrow('of its own');
  const first = await open();
  await expect(openLinks({ nodes, delayMs })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await first.close();
  const again = await open();
  expect(again.advertiseFor('c')).toEqual({ address: `${net}.103`, port });
  expect(() => again.cut('a', 'nobody')).toThrow('no node of these links');
});
