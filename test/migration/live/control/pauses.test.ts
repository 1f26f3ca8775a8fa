import { beforeEach, describe, expect, test } from '@jest/globals';
import { Pauses } from '../../../../migration/live/control/pauses.ts';
import type { GatewayPort } from '../../../../migration/live/gateway-port.ts';
import { systemClock } from '../../../../migration/clock.ts';
import { LiveGateway } from '../../../support/live-gateway.ts';

/** A gateway that pauses, and the state that outlives its process. */
interface Member {
  readonly state: LiveGateway;
  pauses: Pauses;
  said: string | null;
}

describe('copying that is paused', () => {
  const handlers = new Map<string, (body: unknown, from: string) => Promise<unknown>>();
  const away = new Set<string>();
  const listeners = new Set<() => void>();
  const members = new Map<string, Member>();
  let nowMs = 0;
  let onPaused: (name: string) => void = () => {};

  const portOf = (name: string, state: LiveGateway): GatewayPort =>
    ({
      ...{ nodeId: name, nodeName: name, view: state.view, clock: { ...systemClock, now: () => nowMs } },
      propose: (command) => state.propose(command),
      serve: (topic, handler) => void handlers.set(`${name} ${topic}`, handler),
      call: async (to, topic, body) => {
        const handler = handlers.get(`${to} ${topic}`);
        if (away.has(to) || handler === undefined) throw new Error(`${to} does not answer`);
        return handler(body, name);
      },
      gateways: () =>
        [...members.keys()].map((id) => ({ nodeId: id, nodeName: id, region: '', alive: !away.has(id) })),
      onGatewaysChanged: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    }) as Partial<GatewayPort> as GatewayPort;
  /** Its process starts, on what it had. */
  const start = (name: string, state = new LiveGateway()): Member => {
    const tail = {
      pause: (reason: string) => {
        member.said = reason;
        onPaused(name);
      },
      resume: () => void (member.said = null),
    };
    const member: Member = { state, said: null, pauses: new Pauses(portOf(name, state), tail) };
    members.set(name, member);
    member.pauses.start();
    return member;
  };
  const said = (): readonly (string | null)[] => [...members.values()].map((member) => member.said);

  beforeEach(() => {
    for (const each of [handlers, away, listeners, members]) each.clear();
    nowMs = 1000;
    for (const name of ['g1', 'g2', 'g3']) start(name);
  });

  test('is so at every gateway: whoever copies next copies no more, until it goes on', async () => {
    expect(await members.get('g2')?.pauses.set('look first')).toEqual([]);
    expect(said()).toEqual(['look first', 'look first', 'look first']);
    // By another one, whose clock is behind.
    nowMs = 10;
    expect(await members.get('g3')?.pauses.set(null)).toEqual([]);
    expect(said()).toEqual([null, null, null]);
  });

  test('is so after a restart, and at one that was away meanwhile; who cannot be told is named', async () => {
    away.add('g3');
    await members.get('g1')?.pauses.set('look first');
    expect(said()).toEqual(['look first', 'look first', null]);
    expect(start('g1', members.get('g1')?.state).said).toBe('look first');
    away.delete('g3');
    const told = new Promise<void>((resolve) => {
      onPaused = (name) => name === 'g3' && resolve();
    });
    for (const listener of listeners) listener();
    await told;
    expect(said()).toEqual(['look first', 'look first', 'look first']);
    handlers.delete('g2 paused');
    expect(await members.get('g1')?.pauses.set(null)).toEqual(['g2']);
  });
});
