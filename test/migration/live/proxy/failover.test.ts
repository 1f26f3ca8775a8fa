import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { openTcpGate, type TcpGate } from '../../../support/tcp-gates.ts';
import { MigratingDoor } from '../dual/door.ts';
import { FakeSource, type Seen } from '../dual/fake-source.ts';

jest.setTimeout(60_000);

// Links that are cut so that nobody is told: what is sent over them stands still. Nothing here ends by its own time.

const limits = { timeoutMs: 600_000, noticeMs: 100 };
const probe = '/v1/status/leader';

let sources: readonly FakeSource[];
let gates: readonly TcpGate[];
let migrating: MigratingDoor;

beforeEach(async () => {
  sources = await Promise.all([new FakeSource().open(), new FakeSource().open()]);
  gates = await Promise.all(sources.map(({ address }) => openTcpGate(Number(new URL(address).port))));
  const addresses = gates.map(({ port }) => `127.0.0.1:${port}`);
  const passthrough = new FakePhases(ruleOf('kv', '', 'passthrough'));
  migrating = await new MigratingDoor(addresses[0], passthrough, { addresses, ...limits }).open();
  for (const [at, source] of sources.entries()) source.set('where', `at ${at}`);
});
afterEach(async () => {
  await migrating.close();
  await Promise.all(gates.map((gate) => gate.close()));
  await Promise.all(sources.map((source) => source.close()));
});

const at = (n: number): FakeSource => sources[n] as FakeSource;
const valueOf = (text: string): string => {
  const [entry] = JSON.parse(text) as { Value: string }[];
  return Buffer.from(entry?.Value ?? '', 'base64').toString();
};
const where = async (): Promise<string> => valueOf((await migrating.door.request('/v1/kv/where')).text);
const put = async (value: string): Promise<string> =>
  (await migrating.door.request('/v1/kv/written', { method: 'PUT', body: value })).text;
const writesAt = (n: number): readonly string[] =>
  at(n)
    .seen.filter(({ method }) => method === 'PUT')
    .map(({ body }) => body);

/** Resolves with the next request of a kind that a source hears. */
function heard(n: number, isWanted: (seen: Seen) => boolean): Promise<Seen> {
  return new Promise((resolve) => {
    at(n).bend = (seen) => {
      if (isWanted(seen)) resolve(seen);
      return undefined;
    };
  });
}

/** Resolves when an address is out of trouble, or in it. */
async function inTrouble(count: number): Promise<void> {
  for (;;) {
    const status = migrating.client?.status as { readonly inTrouble: readonly string[] } | undefined;
    if (status?.inTrouble.length === count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a read over a link that is cut is answered by another address, and so are all after it', async () => {
  expect(await where()).toBe('at 0');
  gates[0]?.cut();
  expect(await where()).toBe('at 1');
  expect(await put('x')).toBe('true');
  expect([writesAt(0), writesAt(1)]).toEqual([[], ['x']]);
  expect(migrating.gateway.base.complaints).toHaveLength(1);
});

test('a write that may have been heard is not sent to anybody else, and is answered once the link is healed', async () => {
  await where();
  gates[0]?.cut();
  const writing = put('once');
  await inTrouble(1);
  expect(await where()).toBe('at 1');
  expect(writesAt(1)).toEqual([]);
  gates[0]?.heal();
  expect(await writing).toBe('true');
  expect([writesAt(0), writesAt(1)]).toEqual([['once'], []]);
});

test('a write that nobody can have heard goes to another address', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const addresses = [`https://127.0.0.1:${port}`, at(1).address];
  const passthrough = new FakePhases(ruleOf('kv', '', 'passthrough'));
  const other = await new MigratingDoor(addresses[0], passthrough, { addresses, ...limits }).open();
  const answer = await other.door.request('/v1/kv/written', { method: 'PUT', body: 'x' });
  expect([answer.text, writesAt(1)]).toEqual(['true', ['x']]);
  await other.close();
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test('a query that waits for a change goes on at another address', async () => {
  const first = await migrating.door.request('/v1/kv/where');
  const atFirst = heard(0, ({ url }) => url.includes('index='));
  const waiting = migrating.door.request(`/v1/kv/where?index=${first.index}&wait=600s`);
  await atFirst;
  gates[0]?.cut();
  const atSecond = heard(1, ({ url }) => url.includes('index='));
  await where();
  await atSecond;
  at(1).set('where', 'changed');
  expect(valueOf((await waiting).text)).toBe('changed');
});

test('an address that answers again is used again', async () => {
  await where();
  gates[0]?.cut();
  expect(await where()).toBe('at 1');
  gates[0]?.heal();
  await inTrouble(0);
  expect(await where()).toBe('at 1');
  gates[1]?.cut();
  expect(await where()).toBe('at 0');
});

test('an answer that takes long is waited for where somebody is there', async () => {
  const probed = heard(0, ({ url }) => url === probe);
  const bend = at(0).bend;
  at(0).bend = (seen, res, socket) => {
    if (!seen.url.startsWith('/v1/kv/')) return bend(seen, res, socket);
    void probed.then(() => setImmediate(() => res.writeHead(200).end('[{"Value":"c2xvdw=="}]')));
    return 'handled';
  };
  expect(await where()).toBe('slow');
  expect(at(1).seen).toEqual([]);
});

test('a server that has no leader is left for one that has', async () => {
  at(0).bend = ({ url }) => (url === probe ? { status: 200, body: '""' } : 'handled');
  expect(await where()).toBe('at 1');
});

test('where nobody answers everybody waits, and the first that is there again answers', async () => {
  await where();
  for (const gate of gates) gate.cut();
  const waiting = where();
  await inTrouble(2);
  gates[1]?.heal();
  expect(await waiting).toBe('at 1');
});
