import { afterEach, describe, expect, test } from '@jest/globals';
import { FrontDoor, get, putText, type RawClient } from './harness.ts';

let door: FrontDoor;
afterEach(async () => door.close());

const quick = { headersMs: 200, requestMs: 600, stalledMs: 200 };

/** The gateway answers others: what every abuse below must leave so. */
async function expectResponsive(): Promise<void> {
  expect((await door.put('/v1/kv/alive', 'yes')).text).toBe('true');
  expect((await door.request('/v1/kv/alive?raw')).text).toBe('yes');
}

async function untilConnections(count: number): Promise<void> {
  while (door.server.connections > count) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('clients that do not behave', () => {
  test('headers that never end, and connections that never speak, are closed in time', async () => {
    door = await new FrontDoor({ server: { timeouts: quick } }).open();
    const clients = await Promise.all(Array.from({ length: 50 }, () => door.raw()));
    const dripping = clients.slice(0, 25);
    for (const client of dripping) client.write('GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n');
    const drip = setInterval(() => {
      for (const client of dripping) if (!client.socket.destroyed) client.write('X-Drip: 1\r\n');
    }, 20);
    await expectResponsive();
    await Promise.all(clients.map((client) => client.closed));
    clearInterval(drip);
    for (const client of dripping) expect(client.text).toMatch(/^HTTP\/1\.1 408 /);
    await expectResponsive();
    await untilConnections(1);
  });

  test('a body that comes too slowly is given up, and not written', async () => {
    door = await new FrontDoor({ server: { timeouts: quick } }).open();
    const client = await door.raw();
    client.write('PUT /v1/kv/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
    const drip = setInterval(() => client.write('x'), 20);
    await expectResponsive();
    await client.closed;
    clearInterval(drip);
    expect((await door.request('/v1/kv/slow')).status).toBe(404);
  });

  test('a request cut off in its body is not written', async () => {
    door = await new FrontDoor().open();
    const client = await door.raw();
    client.write('PUT /v1/kv/cut HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    client.socket.end();
    await client.closed;
    await expectResponsive();
    expect((await door.request('/v1/kv/cut')).status).toBe(404);
    expect(door.defects).toEqual([]);
  });

  test('headers above the limit are 431, and nonsense is 400', async () => {
    door = await new FrontDoor({ server: { headerBytesMax: 16 * 1024 } }).open();
    const huge = await door.raw();
    huge.write(`GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nX-Huge: ${'x'.repeat(20 * 1024)}\r\n\r\n`);
    await huge.closed;
    expect(huge.text).toMatch(/^HTTP\/1\.1 431 /);
    for (const nonsense of ['\u0016\u0003\u0001 hello\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n']) {
      const client = await door.raw();
      client.write(nonsense);
      await client.closed;
      expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
    }
    await expectResponsive();
  });

  test('lengths that contradict each other are refused: nothing is smuggled', async () => {
    door = await new FrontDoor().open();
    for (const headers of [
      'Content-Length: 4\r\nContent-Length: 5\r\n',
      'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n',
      'Content-Length: -1\r\n',
      'Content-Length: 0x4\r\n',
    ]) {
      const client = await door.raw();
      client.write(`PUT /v1/kv/smuggled HTTP/1.1\r\nHost: x\r\n${headers}\r\nbody`);
      await client.closed;
      expect(client.text).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect((await door.request('/v1/kv/smuggled')).status).toBe(404);
  });

  test('a sender that reads only when it has sent all gets the reason why its value is too large', async () => {
    door = await new FrontDoor().open();
    const client = await door.raw();
    client.socket.pause();
    const body = 'x'.repeat(4_000_000);
    await new Promise<void>((resolve, reject) => {
      client.socket.write(putText('/v1/kv/large', body), (error) => (error ? reject(error) : resolve()));
    });
    client.socket.resume();
    await client.until((text) => text.includes('See https://www.consul.io'));
    expect(client.text).toMatch(/^HTTP\/1\.1 413 /);
    expect(client.text).toContain('Request body(4000000 bytes) too large');
    await client.closed;
  });

  test('a body that declares or sends far too much is cut off', async () => {
    door = await new FrontDoor().open();
    const declared = await door.raw();
    declared.write('PUT /v1/kv/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n');
    await declared.closed;
    expect(declared.text).toMatch(/^HTTP\/1\.1 413 /);
    const endless = await door.raw();
    endless.write('PUT /v1/kv/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    let sent = 0;
    while (!endless.socket.destroyed && sent < 1024 * chunk.length) {
      sent += chunk.length;
      if (!endless.socket.write(chunk))
        await new Promise((resolve) => endless.socket.once('drain', resolve).once('close', resolve));
    }
    await endless.closed;
    expect(sent).toBeLessThan(64 * 1024 * 1024);
    await expectResponsive();
  });

  test('1,000 requests in one piece are all answered, in order', async () => {
    door = await new FrontDoor().open();
    for (let i = 0; i < 10; i++) await door.put(`/v1/kv/n${i}`, `<${i}>`);
    const client = await door.raw();
    client.write(Array.from({ length: 1000 }, (_, i) => get(`/v1/kv/n${i % 10}?raw`)).join(''));
    await client.until((text) => (text.match(/<\d>/g) ?? []).length === 1000);
    expect(client.text.match(/<\d>/g)).toEqual(Array.from({ length: 1000 }, (_, i) => `<${i % 10}>`));
  });

  test('a flood of requests behind one that blocks is left in the network, not taken into memory', async () => {
    door = await new FrontDoor().open();
    const { index } = await door.request('/v1/kv/a');
    const client = await door.raw();
    client.write(get(`/v1/kv/a?index=${index}`));
    await door.untilWaiting(1);
    const block = get('/v1/kv/b').repeat(10_000);
    // As long as the socket takes it; at some time the gateway no longer reads.
    let blocks = 0;
    const taken = async (): Promise<boolean> => {
      const full = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300));
      const gone = new Promise<boolean>((resolve) => client.socket.write(block, () => resolve(true)));
      return Promise.race([gone, full]);
    };
    while (await taken()) {
      blocks += 1;
      if (blocks > 200) break;
    }
    expect(blocks).toBeLessThan(200);
    await expectResponsive();
    // Once the first is answered all others are, too.
    await door.put('/v1/kv/a', 'x');
    await client.until((text) => (text.match(/HTTP\/1\.1 404 /g) ?? []).length >= 5000);
  });

  test('a client that stops reading a large answer is closed; one that reads slowly gets it whole', async () => {
    door = await new FrontDoor({
      server: { timeouts: { headersMs: 10_000, requestMs: 60_000, stalledMs: 800 } },
    }).open();
    for (let i = 0; i < 40; i++) await door.put(`/v1/kv/big/${i}`, Buffer.alloc(500_000, 'x'));
    const path = '/v1/kv/big/?recurse';
    const whole = (await door.request(path)).bytes.length;

    const stalled = await door.raw();
    stalled.socket.pause();
    stalled.write(get(path));
    const slow = await door.raw();
    slow.write(get(path));
    // A tenth at a time, each well apart: the whole takes several times as long as a stall may.
    let received = 0;
    let pauses = 0;
    await new Promise<void>((resolve, reject) => {
      slow.socket.removeAllListeners('data');
      slow.socket.once('close', () => reject(new Error(`closed after ${received} of ${whole} bytes`)));
      slow.socket.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received >= whole) resolve();
        else if (received > (whole / 10) * (pauses + 1)) {
          pauses += 1;
          slow.socket.pause();
          setTimeout(() => slow.socket.resume(), 250);
        }
      });
    });
    expect(received).toBeGreaterThanOrEqual(whole);
    await untilConnections(2);
    await expectResponsive();
    // It waits for more than two seconds by itself.
  }, 60_000);

  test('2,000 connections that block leave the others their answers, and go when their clients go', async () => {
    door = await new FrontDoor().open();
    const { index } = await door.request('/v1/kv/a');
    const clients: RawClient[] = [];
    for (let i = 0; i < 20; i++)
      clients.push(...(await Promise.all(Array.from({ length: 100 }, () => door.raw()))));
    for (const [i, client] of clients.entries())
      client.write(get(`/v1/kv/${i % 2 ? 'a' : `b${i}`}?index=${index}`));
    await door.untilWaiting(2000);
    await expectResponsive();
    expect(door.live.stats.waiting).toBe(2000);
    await door.put('/v1/kv/a', 'x');
    await Promise.all(
      clients.filter((_, i) => i % 2 === 1).map((client) => client.until((text) => text.includes('200 OK'))),
    );
    expect(door.live.stats.waiting).toBe(1000);
    for (const client of clients) client.socket.destroy();
    await door.untilWaiting(0);
    await untilConnections(1);
    await expectResponsive();
  }, 60_000);

  test('connections of one address above its limit are closed, and freed ones may be taken again', async () => {
    door = await new FrontDoor({ server: { connectionsPerClientMax: 3 } }).open();
    const [first, second, third, fourth] = await Promise.all([
      door.raw(),
      door.raw(),
      door.raw(),
      door.raw(),
    ]);
    await Promise.race([first, second, third, fourth].map((client) => client?.closed));
    expect(door.server.connections).toBe(3);
    for (const client of [first, second, third, fourth]) client?.socket.destroy();
    await untilConnections(0);
    await expectResponsive();
  });
});

describe('closing the front door', () => {
  test('ends blocked queries and idle connections, and resolves', async () => {
    door = await new FrontDoor().open();
    const { index } = await door.request('/v1/kv/a');
    const blocked = await door.raw();
    blocked.write(get(`/v1/kv/a?index=${index}`));
    const idle = await door.raw();
    await door.untilWaiting(1);
    await door.server.close(0);
    await Promise.all([blocked.closed, idle.closed]);
    await door.untilWaiting(0);
    expect(door.server.connections).toBe(0);
  });
});
