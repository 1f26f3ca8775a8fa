import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { decode, encode } from 'dns-packet';
import fc from 'fast-check';
import { MessageReader, withLength } from '../../../compat/dns/framing.ts';
import { parseServer } from '../../../compat/dns/recursor.ts';
import type { DnsServer } from '../../../compat/dns/server.ts';
import { ask, exchange, questionPacket } from './ask.ts';
import { startFakeRecursor, type Answering } from './fake-recursor.ts';
import { CatalogFixture, serve } from './fixture.ts';
import { crowd, scene } from './scene.ts';
import { show } from './shown.ts';

const catalog = new CatalogFixture();
const closing: { close(): Promise<void> }[] = [];

function opened<T extends { close(): Promise<void> }>(thing: T): T {
  closing.push(thing);
  return thing;
}

beforeAll(() => {
  for (const registration of [...scene, ...crowd(40)]) catalog.register(registration);
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((thing) => thing.close()));
});

const portOf = (server: DnsServer): number => server.ports[0] as number;

describe('packets of all kinds', () => {
  const anyBytes = fc.uint8Array({ maxLength: 600 });
  /** A good question with some of its bytes changed, cut off or added. */
  const nearQuestion = fc
    .record({
      name: fc.constantFrom(
        'web.service.consul',
        'n1.node.consul',
        '1.0.0.10.in-addr.arpa',
        'many40.service.consul',
        'x',
      ),
      type: fc.constantFrom('A', 'SRV', 'TXT', 'SOA', 'ANY', 'OPT'),
      ednsBytes: fc.constantFrom(undefined, 0, 512, 65_535),
      flips: fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 4 }),
      keep: fc.nat(120),
      more: fc.uint8Array({ maxLength: 20 }),
    })
    .map(({ name, type, ednsBytes, flips, keep, more }) => {
      const packet = questionPacket({ name, type, ednsBytes }, 77);
      for (const [at, value] of flips) if (at < packet.length) packet[at] = value;
      return Buffer.concat([keep > 60 ? packet : packet.subarray(0, keep), more]);
    });
  const hostile = fc.oneof(
    anyBytes.map((bytes) => Buffer.from(bytes)),
    nearQuestion,
    nearQuestion,
  );
  let server: DnsServer;

  beforeAll(async () => {
    server = await serve(catalog);
  });

  afterAll(async () => {
    await server.close();
  });

  test('neither stop the server nor make it fail, over UDP', async () => {
    const socket = createSocket('udp4');
    const port = portOf(server);
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 20 }), async (packets) => {
        for (const packet of packets) socket.send(packet, port, '127.0.0.1');
        expect((await ask({ name: 'n1.node.consul', type: 'A', port })).packet.rcode).toBe('NOERROR');
      }),
      { numRuns: 150 },
    );
    socket.close();
    expect(server.counters()).toMatchObject({ defects: 0, socketErrors: 0 });
    expect(server.counters().malformed).toBeGreaterThan(100);
    expect(server.open()).toEqual({ connections: 0, forwarded: 0 });
  });

  test('nor over TCP, however they are cut into pieces', async () => {
    const port = portOf(server);
    const framed = hostile.map((packet) => withLength(packet));
    const stream = fc.oneof(
      framed,
      framed,
      anyBytes.map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(stream, { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (pieces, rude) => {
          const socket = connect(port, '127.0.0.1');
          socket.on('error', () => {});
          socket.resume();
          for (const piece of pieces) socket.write(piece);
          if (rude) socket.resetAndDestroy();
          else socket.end();
          await once(socket, 'close');
          const alive = await ask({ name: 'n1.node.consul', type: 'A', port, tcp: true });
          expect(alive.packet.rcode).toBe('NOERROR');
        },
      ),
      { numRuns: 100 },
    );
    expect(server.counters().defects).toBe(0);
    // The end of the test's time is what a leak would meet.
    while (server.open().connections > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('get what a real Consul says to them', async () => {
    const port = portOf(server);
    const good = questionPacket({ name: 'n10.node.consul', type: 'A' }, 7);
    const changed = (change: (packet: Buffer) => void): Promise<string> => {
      const packet = Buffer.from(good);
      change(packet);
      return exchange(port, packet, false).then((answer) => answer.toString('hex', 0, 12));
    };
    const or = (at: number, bits: number) => (packet: Buffer) => {
      packet[at] = (packet[at] as number) | bits;
    };
    // Recorded from Consul 1.8.7.
    expect(await changed(or(2, 0x10))).toBe('000791040000000000000000');
    expect(await changed(or(2, 0x28))).toBe('0007a9040000000000000000');
    expect(await changed(or(2, 0x20))).toMatch(/^0007a4000001/);
    expect(await changed((packet) => (packet[5] = 0))).toBe('000781010000000000000000');
    expect(await changed((packet) => (packet[5] = 2))).toBe('000781010000000000000000');
    expect(await changed((packet) => (packet[7] = 2))).toBe('000781010000000000000000');
    expect(await changed((packet) => (packet[11] = 3))).toBe('000781010000000000000000');
    expect(await changed((packet) => (packet[12] = 0xc0))).toBe('000781010000000000000000');
    expect(await changed((packet) => (packet[11] = 1))).toMatch(/^000785000001/);
    expect(await changed(or(3, 0x70))).toMatch(/^000785000001/);
    expect(await changed((packet) => (packet[2] = 0))).toMatch(/^000784000001/);
  });

  test('have their question sent back byte by byte', async () => {
    const packet = questionPacket({ name: 'N1.node.consul', type: 'A' }, 7);
    packet[13] = 0xff;
    const answer = await exchange(portOf(server), packet, false);
    expect(answer.subarray(12, packet.length)).toEqual(packet.subarray(12));
    expect(show({ bytes: answer, packet: decode(answer) as never }).status).toBe('NXDOMAIN aa rd');
  });

  test('with a client subnet get an answer for every subnet', async () => {
    const subnet = Buffer.from([0, 1, 24, 9, 192, 0, 2]);
    const packet = encode({
      type: 'query',
      id: 1,
      questions: [{ name: 'n1.node.consul', type: 'A' }],
      additionals: [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: 1232,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [{ code: 8, data: subnet, ip: undefined }],
        },
      ],
    });
    const answer = decode(await exchange(portOf(server), packet, false));
    const opt = answer.additionals?.at(-1);
    expect(opt).toMatchObject({
      type: 'OPT',
      udpPayloadSize: 1232,
      options: [{ code: 8, sourcePrefixLength: 24, scopePrefixLength: 0, ip: '192.0.2.0' }],
    });
  });
});

describe('connections', () => {
  async function connected(server: DnsServer): Promise<Socket> {
    const socket = connect(portOf(server), '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }

  test('many questions on one connection are answered in their order', async () => {
    const server = opened(await serve(catalog));
    const socket = await connected(server);
    const reader = new MessageReader(65_535);
    const ids = Array.from({ length: 200 }, (_, i) => i + 1);
    const query = (id: number): Buffer =>
      withLength(questionPacket({ name: 'web.service.consul', type: 'SRV' }, id));
    socket.write(Buffer.concat(ids.map(query)));
    const answered: number[] = [];
    for await (const chunk of socket) {
      reader.push(chunk as Buffer);
      for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
        answered.push(packet.readUInt16BE(0));
      }
      if (answered.length === ids.length) break;
    }
    expect(answered).toEqual(ids);
  });

  test('that trickle bytes are closed when their time is up', async () => {
    const server = opened(await serve(catalog, {}, { limits: { idleMsMax: 100 } }));
    const socket = await connected(server);
    // Empty messages among them: they are no questions.
    const trickle = setInterval(() => socket.write(Buffer.from([0])), 10);
    socket.on('close', () => clearInterval(trickle));
    await once(socket.resume(), 'close');
    expect(server.counters().connectionsIdled).toBe(1);
  });

  test('above the limit are closed, and those there are go on', async () => {
    const server = opened(await serve(catalog, {}, { limits: { connectionsMax: 2 } }));
    const first = await connected(server);
    const second = await connected(server);
    const third = await connected(server);
    await once(third.resume(), 'close');
    expect(server.counters().connectionsRefused).toBe(1);
    first.write(withLength(questionPacket({ name: 'n1.node.consul', type: 'A' }, 5)));
    const [chunk] = (await once(first, 'data')) as [Buffer];
    expect(chunk.readUInt16BE(2)).toBe(5);
    second.destroy();
  });

  test('with a question that is too long are closed', async () => {
    const server = opened(await serve(catalog));
    const socket = await connected(server);
    socket.write(Buffer.from([0xff, 0xff, 1]));
    await once(socket.resume(), 'close');
    expect(server.counters().malformed).toBe(1);
  });
});

describe('a server', () => {
  test('answers from old state only where it may', async () => {
    const freshness = (knownLeader: boolean, lastContactMs: number) => ({
      freshness: () => ({ knownLeader, lastContactMs }),
    });
    const rcodeOf = async (server: DnsServer): Promise<string> =>
      (await ask({ name: 'n1.node.consul', type: 'A', port: portOf(server) })).packet.rcode;
    const old = freshness(false, 5000);
    expect(await rcodeOf(opened(await serve(catalog, { staleMsMax: 4999 }, old)))).toBe('SERVFAIL');
    expect(await rcodeOf(opened(await serve(catalog, { staleMsMax: 5000 }, old)))).toBe('NOERROR');
    expect(await rcodeOf(opened(await serve(catalog, { allowStale: false }, old)))).toBe('SERVFAIL');
    expect(await rcodeOf(opened(await serve(catalog, { allowStale: false }, freshness(true, 0))))).toBe(
      'NOERROR',
    );
  });

  test('leaves out what no packet can hold, where a Consul says nothing at all', async () => {
    const odd = new CatalogFixture();
    odd.register({ Node: 'n'.repeat(64), Address: '10.0.0.1', Service: { Service: 'db', Port: 1 } });
    odd.register({
      Node: 'n2',
      Address: '10.0.0.2',
      NodeMeta: { a: 'x'.repeat(400) },
      Service: { Service: 'db', Port: 2 },
    });
    const server = opened(await serve(odd));
    const shown = show(
      await ask({ name: 'db.service.consul', type: 'SRV', port: portOf(server), tcp: true }),
    );
    expect(shown.answers).toEqual(['db.service.consul 0 SRV 1 1 2 n2.node.dc1.consul']);
    const text = show(await ask({ name: 'n2.node.consul', type: 'TXT', port: portOf(server), tcp: true }));
    expect(text.answers).toEqual([
      `n2.node.consul 0 TXT ${JSON.stringify([`a=${'x'.repeat(253)}`, 'x'.repeat(147)])}`,
    ]);
  });

  test('answers for nodes with more metadata than a message can hold', async () => {
    const wordy = new CatalogFixture();
    const meta = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key-${i}`, 'x'.repeat(500)]));
    const whole = { whole: 'x'.repeat(70_000) };
    for (const Node of ['n1', 'n2', 'n3']) {
      wordy.register({ Node, Address: '10.0.0.1', NodeMeta: meta, Service: { Service: 'db', Port: 1 } });
    }
    wordy.register({ Node: 'n4', Address: '10.0.0.4', NodeMeta: whole });
    const server = opened(await serve(wordy));
    for (const tcp of [false, true]) {
      const shown = async (name: string, type: string): Promise<ReturnType<typeof show>> =>
        show(await ask({ name, type, port: portOf(server), tcp }));
      expect((await shown('n1.node.consul', 'A')).answers).toHaveLength(1);
      expect(await shown('n1.node.consul', 'TXT')).toMatchObject({ status: 'NOERROR aa tc rd', answers: [] });
      expect((await shown('n4.node.consul', 'A')).answers).toHaveLength(1);
      expect((await shown('db.service.consul', 'SRV')).answers).toHaveLength(3);
    }
    expect(server.counters()).toMatchObject({ defects: 0, sendErrors: 0 });
  });

  test('follows names that point to each other a bounded number of times', async () => {
    const knot = new CatalogFixture();
    for (let i = 0; i < 200; i++) {
      const Service = { Service: `knot${i % 2}`, Address: `knot${(i + 1) % 2}.service.consul`, Port: i };
      knot.register({ Node: `n${i}`, Address: '10.0.0.1', Service });
    }
    const server = opened(await serve(knot));
    const shown = show(
      await ask({ name: 'knot0.service.consul', type: 'SRV', port: portOf(server), ednsBytes: 4096 }),
    );
    expect(shown.answers.length).toBeGreaterThan(50);
  });

  test('takes a new configuration while it runs', async () => {
    const server = opened(await serve(catalog));
    const shown = async (): Promise<string | undefined> =>
      show(await ask({ name: 'n6.node.consul', type: 'A', port: portOf(server) })).answers[0];
    expect(await shown()).toBe('n6.node.consul 0 A "10.0.0.6"');
    const { defaultDnsConfig } = await import('./fixture.ts');
    server.reconfigure({ ...defaultDnsConfig, nodeTtlSeconds: 30 });
    expect(await shown()).toBe('n6.node.consul 30 A "10.0.0.6"');
  });

  test('says why it cannot listen, and leaves nothing open', async () => {
    const first = opened(await serve(catalog));
    const taken = { kind: 'tcp', host: '127.0.0.1', port: portOf(first) } as const;
    const free = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
    await expect(serve(catalog, {}, { listeners: [free, taken] })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});

describe('recursors', () => {
  const silent: Answering = () => undefined;
  const saying = (address: string): Answering => {
    return (name) => ({ answers: [{ type: 'A', name, ttl: 1, data: address }] });
  };

  test('are asked in turn: one that is silent or fails makes room for the next', async () => {
    const mute = opened(await startFakeRecursor(silent));
    const failing = opened(await startFakeRecursor(() => ({ rcode: 2 })));
    const good = opened(await startFakeRecursor(saying('192.0.2.1')));
    const recursors = ['127.0.0.1:1', ...[mute, failing, good].map(({ port }) => `127.0.0.1:${port}`)];
    const server = opened(await serve(catalog, { recursors, recursorMsMax: 100 }));
    for (const tcp of [false, true]) {
      const shown = show(await ask({ name: 'www.example.org', type: 'A', port: portOf(server), tcp }));
      expect(shown).toMatchObject({ status: 'NOERROR rd ra', answers: ['www.example.org 1 A "192.0.2.1"'] });
    }
    expect(mute.asked).toEqual(['www.example.org', 'www.example.org']);
    expect(failing.asked).toHaveLength(2);
    expect(server.open().forwarded).toBe(0);
  });

  test('that all fail are a SERVFAIL, and one that cannot be an address too', async () => {
    const failing = opened(await startFakeRecursor(() => ({ rcode: 5 })));
    const recursors = [`127.0.0.1:${failing.port}`, '127.0.0.1:99999', 'a:b:c'];
    const server = opened(await serve(catalog, { recursors, recursorMsMax: 1000 }));
    const shown = show(
      await ask({ name: 'www.example.org', type: 'A', port: portOf(server), ednsBytes: 1232 }),
    );
    expect(shown).toMatchObject({ status: 'SERVFAIL rd ra', additionals: ['OPT 1232 []'] });
    expect(server.counters()).toMatchObject({ recursed: 1, recursionFailures: 1, defects: 0 });
  });

  test('are chosen by chance with the random strategy', async () => {
    const one = opened(await startFakeRecursor(saying('192.0.2.1')));
    const two = opened(await startFakeRecursor(saying('192.0.2.2')));
    const recursors = [one, two].map(({ port }) => `127.0.0.1:${port}`);
    const answerWith = async (
      chance: number,
      strategy: 'random' | 'sequential',
    ): Promise<string | undefined> => {
      const config = { recursors, recursorStrategy: strategy };
      const server = opened(await serve(catalog, config, { random: () => chance }));
      return show(await ask({ name: 'x.example', type: 'A', port: portOf(server) })).answers[0];
    };
    expect(await answerWith(0.99, 'random')).toContain('192.0.2.1');
    expect(await answerWith(0, 'random')).toContain('192.0.2.2');
    expect(await answerWith(0, 'sequential')).toContain('192.0.2.1');
  });

  test('that are silent hold no more questions than the limit, and closing ends them', async () => {
    const mute = opened(await startFakeRecursor(silent));
    const server = await serve(catalog, { recursors: [`127.0.0.1:${mute.port}`], recursorMsMax: 60_000 });
    const socket = createSocket('udp4');
    for (let i = 0; i < 600; i++) {
      socket.send(questionPacket({ name: `x${i}.example`, type: 'A' }, i), portOf(server), '127.0.0.1');
    }
    const [answer] = (await once(socket, 'message')) as [Buffer];
    expect(answer.readUInt16BE(2) & 0xf).toBe(2);
    expect(server.open().forwarded).toBe(512);
    socket.close();
    await server.close();
    expect(server.open().forwarded).toBe(0);
  });

  test('have addresses with and without a port', () => {
    expect(parseServer('8.8.8.8')).toEqual({ host: '8.8.8.8', port: 53 });
    expect(parseServer('8.8.8.8:5353')).toEqual({ host: '8.8.8.8', port: 5353 });
    expect(parseServer('2001:db8::1')).toEqual({ host: '2001:db8::1', port: 53 });
    expect(parseServer('[2001:db8::1]:5353')).toEqual({ host: '2001:db8::1', port: 5353 });
  });
});
