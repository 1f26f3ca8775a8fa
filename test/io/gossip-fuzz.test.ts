import { createSocket, type Socket as PacketSocket } from 'node:dgram';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Opener, Sealer, type SealContext } from '../../src/io/gossip-seal.ts';
import type { Keyring } from '../../src/io/keyring.ts';
import { mutate, mutations } from '../wire/mutations.ts';
import { bytesOf, closeStations, keyOf, ringOf, station } from './gossip-support.ts';

afterEach(closeStations);

const messages = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 5 });
const reasons = [
  'garbage',
  'truncated',
  'unknown-version',
  'plaintext',
  'wrong-key',
  'unauthentic',
  'corrupt',
  'replayed',
  'malformed',
];

const rings = {
  sealed: (): Keyring | undefined => ringOf(keyOf(1), keyOf(2, 16)),
  plain: (): Keyring | undefined => undefined,
};

function contextOf(keyring: Keyring | undefined, pool = 'gossip'): SealContext {
  return { keyring, pool };
}

test('pools that share a key do not open what another one sealed', () => {
  const raw = Buffer.concat(new Sealer(contextOf(ringOf(keyOf(1)), 'lan'), () => '').seal([bytesOf('x')]));
  const open = (pool: string): object =>
    new Opener(contextOf(ringOf(keyOf(1)), pool), { sessionsMax: 1 }).open(raw);
  expect(open('wan')).toEqual({ kind: 'dropped', reason: 'unauthentic' });
  expect(open('lan')).toMatchObject({ kind: 'opened' });
});

describe.each(['sealed', 'plain'] as const)('opening, %s', (mode) => {
  test('gives what was sealed, once', () => {
    const [sealer, opener] = [
      new Sealer(contextOf(rings[mode]()), () => '0123456789abcdef'),
      new Opener(contextOf(rings[mode]()), { sessionsMax: 9 }),
    ];
    fc.assert(
      fc.property(messages, (all) => {
        const raw = Buffer.concat(sealer.seal(all));
        expect(opener.open(raw)).toMatchObject({
          kind: 'opened',
          messages: all,
          header: { cluster: '0123456789abcdef' },
        });
        expect(opener.open(raw)).toEqual({ kind: 'dropped', reason: 'replayed' });
      }),
    );
  });

  test('names what is wrong with anything else, and goes on', () => {
    const sealer = new Sealer(contextOf(rings[mode]()), () => '');
    const opener = new Opener(contextOf(rings[mode]()), { sessionsMax: 9 });
    fc.assert(
      fc.property(
        messages,
        messages,
        mutations,
        fc.uint8Array({ maxLength: 100 }),
        (all, other, how, garbage) => {
          const honest = Buffer.concat(sealer.seal(all));
          const another = Buffer.concat(sealer.seal(other));
          const raw = mutate(honest, another, how);
          for (const bad of [raw, garbage]) {
            const opened = opener.open(bad);
            expect(opened.kind === 'dropped' || honest.equals(bad) || another.equals(bad)).toBe(true);
            expect(['opened', ...reasons]).toContain(opened.kind === 'opened' ? 'opened' : opened.reason);
          }
          expect(opener.open(Buffer.concat(sealer.seal(all))).kind).toBe('opened');
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('remembers so many sessions, and drops the least recently heard of', () => {
    const opener = new Opener(contextOf(rings[mode]()), { sessionsMax: 2 });
    const sealers = Array.from({ length: 3 }, () => new Sealer(contextOf(rings[mode]()), () => ''));
    const firsts = sealers.map((sealer) => Buffer.concat(sealer.seal([bytesOf('x')])));
    const kinds = (): string[] => firsts.map((raw) => opener.open(raw).kind);
    expect(kinds()).toEqual(['opened', 'opened', 'opened']);
    // The first was forgotten; hearing it again makes it the latest, and the second is forgotten.
    expect(firsts.toReversed().map((raw) => opener.open(raw).kind)).toEqual(['dropped', 'dropped', 'opened']);
  });
});

test('keys whose short ids are equal are all tried', () => {
  const first = ringOf(keyOf(1));
  const sameId = Array.from({ length: 3000 }, (_, i) =>
    ringOf(Buffer.alloc(32, `key ${i}`).toString('base64')),
  ).find((ring) => ring.primary.id === first.primary.id);
  const both = ringOf(keyOf(1), sameId!.primary.base64);
  const opener = new Opener(contextOf(both), { sessionsMax: 9 });
  for (const ring of [first, sameId]) {
    expect(opener.open(Buffer.concat(new Sealer(contextOf(ring), () => '').seal([bytesOf('x')]))).kind).toBe(
      'opened',
    );
  }
  const lacking = new Opener(contextOf(sameId), { sessionsMax: 9 });
  expect(lacking.open(Buffer.concat(new Sealer(contextOf(first), () => '').seal([bytesOf('x')])))).toEqual({
    kind: 'dropped',
    reason: 'unauthentic',
  });
});

test('a key that was removed opens nothing any more, not even of a session that used it', () => {
  const ring = ringOf(keyOf(2), keyOf(1));
  const old = new Sealer(contextOf(ringOf(keyOf(1))), () => '');
  const opener = new Opener(contextOf(ring), { sessionsMax: 9 });
  expect(opener.open(Buffer.concat(old.seal([bytesOf('x')]))).kind).toBe('opened');
  ring.remove(keyOf(1));
  expect(opener.open(Buffer.concat(old.seal([bytesOf('x')])))).toEqual({
    kind: 'dropped',
    reason: 'wrong-key',
  });
});

describe.each(['sealed', 'plain'] as const)('an open port, %s', (mode) => {
  test('takes any packets, each dropped under a name, and works on', async () => {
    const a = await station({ keyring: rings[mode]() });
    const b = await station({ keyring: rings[mode]() });
    const attacker = createSocket('udp4');
    const honest = new Sealer(contextOf(rings[mode]()), () => '');
    const inputs = fc.sample(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.uint8Array({ minLength: 9300, maxLength: 9400 }),
        fc.tuple(messages, mutations).map(([all, how]) => {
          const raw = Buffer.concat(honest.seal(all));
          return mutate(raw, raw.toReversed(), how);
        }),
      ),
      { numRuns: 600, seed: 42 },
    );
    for (const [i, input] of inputs.entries()) {
      // eslint-disable-next-line no-await-in-loop
      await sendRaw(attacker, input, b.transport.local.port);
      a.transport.send(b.transport.local, 'packet', bytesOf(`still here ${i}`));
    }
    await b.until(() => b.transport.stats().packetsIn === 2 * inputs.length);
    attacker.close();
    const heard = b.texts().filter((text) => text.startsWith('still here '));
    expect(heard).toHaveLength(inputs.length);
    const { dropped, packetsIn } = b.transport.stats();
    const drops = Object.values(dropped).reduce((sum, count) => sum + count, 0);
    expect(drops + inputs.length).toBeGreaterThan(packetsIn - 30);
    expect(dropped.oversized).toBeGreaterThan(0);
  });

  test('takes any streams, cuts them off, and works on', async () => {
    const a = await station({ keyring: rings[mode]() });
    const b = await station({ keyring: rings[mode]() });
    const honest = new Sealer(contextOf(rings[mode]()), () => '');
    const framed = (frame: Uint8Array): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(frame.length);
      return Buffer.concat([length, frame]);
    };
    const inputs = fc.sample(
      fc.oneof(
        fc.uint8Array({ minLength: 8, maxLength: 200 }),
        fc.uint8Array({ maxLength: 200 }).map(framed),
        fc.tuple(messages, mutations).map(([all, how]) => {
          const raw = framed(Buffer.concat(honest.seal(all, 2)));
          return mutate(raw, raw, how);
        }),
      ),
      { numRuns: 150, seed: 43 },
    );
    await Promise.all(inputs.map((input) => streamRaw(input, b.transport.local.port)));
    expect(b.received).toEqual([]);
    a.transport.send(b.transport.local, 'stream', bytesOf('still here'));
    await b.until(() => b.received.length > 0);
    expect(b.texts()).toEqual(['still here']);
    expect(b.transport.stats()).toMatchObject({ accepts: inputs.length + 1, streamsOpen: 1 });
  });
});

function sendRaw(socket: PacketSocket, raw: Uint8Array, port: number): Promise<void> {
  return new Promise((resolve) => socket.send(raw, port, '127.0.0.1', () => resolve()));
}

/** Resolves when the other side has ended it, or has all of it and saw our end. */
function streamRaw(raw: Uint8Array, port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(raw));
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.on('close', () => resolve());
  });
}
