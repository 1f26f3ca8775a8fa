import { describe, expect, test } from '@jest/globals';
import { coordinateOrigin } from '../../src/swim/coordinates.ts';
import { idOf, factsOf } from './pool.ts';
import { OneMember, ack, gossip, ping, say } from './one-member.ts';

/** Runs until it pings node `n`, answering for the others. */
function untilPinged(one: OneMember, n: number): number {
  for (let i = 0; i < 1000; i++) {
    one.run(Math.max(0, one.swim.nextTickMs - one.nowMs));
    const pings = one.take('ping');
    for (const { to, message } of pings) {
      if (to === n) return message.seq;
      one.hear(to, ack(to, message.seq));
    }
  }
  throw new Error(`node-${n} was never pinged`);
}

describe('a probe', () => {
  test('that is answered leads to nothing', () => {
    const one = new OneMember(5);
    const seq = untilPinged(one, 3);
    one.hear(3, ack(3, seq));
    for (let i = 0; i < 40; i++) one.run(50).answer();
    expect(one.take('ping-req')).toEqual([]);
    expect(one.state(3)).toBe('alive');
    expect(one.swim.stats().health).toBe(0);
  });

  test('without an answer asks three others, and by stream; without theirs, suspects', () => {
    const one = new OneMember(6);
    // Known to be near: then the profile's half second holds.
    one.hear(3, ack(3, untilPinged(one, 3)));
    const seq = untilPinged(one, 3);
    one.run(450);
    expect(one.take('ping-req')).toEqual([]);
    one.run(100);
    const asked = one.take('ping-req');
    expect(asked).toHaveLength(3);
    expect(new Set(asked.map(({ to }) => to)).size).toBe(3);
    for (const { to, message } of asked) {
      expect(to).not.toBe(3);
      expect(message).toMatchObject({ seq, target: idOf(3), endpoint: factsOf(3).endpoint });
      expect(message.nackAfterMs).toBeGreaterThan(100);
      expect(message.nackAfterMs).toBeLessThan(500);
    }
    expect(one.take('ping').filter(({ to, lane }) => to === 3 && lane === 'stream')).toHaveLength(1);
    for (const { to } of asked) one.hear(to, { kind: 'nack', seq, sender: idOf(to) });
    for (let i = 0; i < 12; i++) one.run(50).answer(3);
    expect(one.state(3)).toBe('suspect');
    // All helpers said that they had no answer either: it is not this member that is slow.
    expect(one.swim.stats().health).toBe(0);
  });

  test('whose helpers are silent too makes this member doubt itself', () => {
    const one = new OneMember(6);
    one.hear(3, ack(3, untilPinged(one, 3)));
    untilPinged(one, 3);
    for (let i = 0; i < 24; i++) one.run(50).answer(3);
    expect(one.state(3)).toBe('suspect');
    expect(one.swim.stats().health).toBeGreaterThan(0);
  });

  test.each([
    ['a helper', { relayed: true }],
    ['the stream', { stream: true }],
    ['the packet, late', {}],
  ])('answered through %s is answered', (_how, how) => {
    const one = new OneMember(6);
    one.hear(3, ack(3, untilPinged(one, 3)));
    const seq = untilPinged(one, 3);
    one.run(600).hear(3, ack(3, seq, how));
    for (let i = 0; i < 20; i++) one.run(50).answer();
    expect(one.state(3)).toBe('alive');
    expect(one.swim.stats().suspicions).toBe(0);
  });

  test('of a far member waits as long as its round trips take', () => {
    const one = new OneMember(4);
    for (let i = 0; i < 10; i++) {
      const seq = untilPinged(one, 3);
      one.run(700).hear(3, ack(3, seq)).answer(3);
    }
    expect(one.swim.rttMs(idOf(3))).toBeCloseTo(700, -1);
    one.take('ping-req');
    untilPinged(one, 3);
    one.run(690);
    expect(one.take('ping-req').filter(({ message }) => message.target === idOf(3))).toEqual([]);
  });

  test('is measured once: a doubled answer tells nothing, nor does one after a stop of this process', () => {
    const one = new OneMember(3);
    const seq = untilPinged(one, 3);
    one.run(20).hear(3, ack(3, seq)).run(80).hear(3, ack(3, seq));
    expect(one.swim.rttMs(idOf(3))).toBeCloseTo(20);
    const next = untilPinged(one, 3);
    one.nowMs += 5000;
    one.hear(3, ack(3, next));
    expect(one.swim.rttMs(idOf(3))).toBeCloseTo(20);
    expect(one.swim.stats().pauses).toBe(1);
  });

  test('moves the coordinate of who probes, and keeps that of who answers', () => {
    const one = new OneMember(3);
    const place = { ...coordinateOrigin, vec: [0.1, 0, 0, 0, 0, 0, 0, 0] };
    one.run(30).hear(3, ack(3, untilPinged(one, 3), { coordinate: place }));
    expect(one.swim.coordinate()).not.toEqual(coordinateOrigin);
    expect(one.swim.coordinateOf('NODE-3')).toEqual(place);
    one.hear(2, { ...ping(2), coordinate: { ...place, vec: [1] } } as never);
    expect(one.swim.coordinateOf('node-2')).toBeUndefined();
    expect(one.swim.stats().coordinatesRejected).toBe(1);
  });
});

describe('asked', () => {
  test('by ping, it answers there where it came from', () => {
    const one = new OneMember(3);
    one.hear(2, ping(2));
    expect(one.take('ack')).toMatchObject([
      { to: 2, lane: 'packet', message: { seq: 99, sender: idOf(1), stream: false, relayed: false } },
    ]);
    one.hear(2, { ...ping(2), stream: true } as never);
    expect(one.take('ack')).toMatchObject([{ to: 2, lane: 'stream', message: { stream: true } }]);
  });

  test('for somebody else who was here before, it keeps silent', () => {
    const one = new OneMember(3);
    one.hear(2, ping(2, [], 8));
    expect(one.take('ack')).toEqual([]);
    expect(one.swim.stats().malformed).toBe(1);
  });

  test('to ping for another, it hands on the answer, or says that there is none', () => {
    const one = new OneMember(4);
    const request = {
      kind: 'ping-req',
      ...{ seq: 5, sender: idOf(2), target: idOf(9), endpoint: factsOf(9).endpoint, nackAfterMs: 300 },
    } as const;
    one.take('ping');
    one.hear(2, request);
    const [own] = one.take('ping');
    expect(own).toMatchObject({ to: 9, message: { target: idOf(9), sender: idOf(1) } });
    one.run(290);
    expect(one.take('nack')).toEqual([]);
    one.run(20);
    expect(one.take('nack')).toMatchObject([{ to: 2, message: { seq: 5 } }]);
    one.hear(9, ack(9, own?.message.seq ?? 0));
    expect(one.take('ack')).toMatchObject([{ to: 2, message: { seq: 5, sender: idOf(9), relayed: true } }]);
    one.hear(2, request);
    const [again] = one.take('ping').filter(({ to }) => to === 9);
    one.hear(9, ack(9, again?.message.seq ?? 0)).run(500);
    expect(one.take('nack')).toEqual([]);
  });

  test('by somebody it does not know, it asks who that is', () => {
    const one = new OneMember(2);
    one.take('push-pull');
    one.hear(8, ping(8));
    expect(one.take('ack')).toHaveLength(1);
    expect(one.take('push-pull')).toMatchObject([{ to: 8, lane: 'stream' }]);
    one.hear(8, ping(8));
    expect(one.take('push-pull')).toEqual([]);
  });
});

describe('suspicion', () => {
  test('of this member is refuted in the answer that it gives', () => {
    const one = new OneMember(4);
    one.hear(2, ping(2, [say(1, 'suspect', 1, { by: idOf(2) })]));
    expect(one.swim.self.incarnation).toBe(2);
    expect(one.take('ack')[0]?.message.updates).toContainEqual(say(1, 'alive', 2));
    expect(one.effects).toContainEqual({ kind: 'persist', incarnation: 2, put: [], remove: [] });
    expect(one.swim.stats()).toMatchObject({ refutations: 1, health: 1 });
  });

  test('of an earlier incarnation of this member is not answered', () => {
    const one = new OneMember(4, { incarnation: 6 });
    one.hear(2, gossip(2, say(1, 'suspect', 6, { by: idOf(2) }), say(1, 'failed', 3)));
    expect(one.swim.self.incarnation).toBe(7);
  });

  test('is told to whom it is of, with every message to it', () => {
    const one = new OneMember(4);
    one.hear(2, gossip(2, say(3, 'suspect', 1, { by: idOf(2) })));
    one.hear(3, ping(3));
    expect(one.take('ack')[0]?.message.updates[0]).toMatchObject({ id: idOf(3), state: 'suspect' });
    untilPinged(one, 4);
    one.run(4000);
    const toSuspect = one.sent.filter(
      ({ to, message }) => to.address.endsWith('.3') && message.kind === 'ping',
    );
    for (const { message } of toSuspect) expect(message).toMatchObject({ updates: [{ id: idOf(3) }] });
  });

  test('of one member alone lasts long, confirmed by two others short', () => {
    const alone = new OneMember(10);
    const confirmed = new OneMember(10);
    for (const one of [alone, confirmed]) one.hear(2, gossip(2, say(3, 'suspect', 1, { by: idOf(2) })));
    for (const n of [4, 5]) confirmed.hear(n, gossip(n, say(3, 'suspect', 1, { by: idOf(n) })));
    for (let i = 0; i < 83; i++) for (const one of [alone, confirmed]) one.run(50).answer();
    expect(alone.state(3)).toBe('suspect');
    expect(confirmed.state(3)).toBe('failed');
    expect(confirmed.events()).toEqual(['node-3 suspect', 'node-3 failed']);
  });

  test('ends with a higher incarnation of the member, and with nothing else', () => {
    const one = new OneMember(10);
    one.hear(2, gossip(2, say(3, 'suspect', 1, { by: idOf(2) })));
    one.hear(4, gossip(4, say(3, 'alive', 1)));
    expect(one.state(3)).toBe('suspect');
    one.hear(4, gossip(4, say(3, 'alive', 2)));
    expect(one.state(3)).toBe('alive');
    for (let i = 0; i < 600; i++) one.run(50).answer();
    expect(one.events()).toEqual(['node-3 suspect', 'node-3 returned']);
  });

  test('of whom nothing is known is dropped, and all is compared soon', () => {
    const one = new OneMember(3);
    for (let i = 0; i < 400; i++) one.run(50).answer();
    one.take('push-pull');
    one.hear(2, gossip(2, say(77, 'suspect', 4, { by: idOf(2) })));
    expect(one.swim.members()).toHaveLength(3);
    one.run(1600);
    expect(one.take('push-pull').length).toBeGreaterThan(0);
  });
});

describe('who pretends to be this member', () => {
  test('is answered a few times, then reported instead of fought for ever', () => {
    const one = new OneMember(3);
    for (let i = 0; i < 50; i++) {
      const incarnation = one.swim.self.incarnation + 1;
      const facts = factsOf(1, { endpoint: { address: '10.8.8.8', port: 1 } });
      one.hear(2, gossip(2, say(1, 'alive', incarnation, { facts, factsIncarnation: incarnation }))).run(10);
    }
    expect(one.swim.self.incarnation).toBeLessThan(20);
    expect(one.effects.filter(({ kind }) => kind === 'conflict')).toHaveLength(1);
  });
});
