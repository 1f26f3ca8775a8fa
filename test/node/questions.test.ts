import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Dot } from '../../src/crdt/dot.ts';
import type { Effect } from '../../src/node/machine-port.ts';
import { Questions } from '../../src/node/questions.ts';
import type { RpcMessage } from '../../src/node/rpc-messages.ts';
import type { Command } from '../../src/state/command.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';
import { converge, Gateway } from './fleet.ts';
import { put } from './machine.ts';

// What gateways ask each other while zones move. Tests carry the dots; messages arrive at once.

const holdMs = 7000;

class Fleet {
  readonly gateways: readonly Gateway[];
  nowMs = 0;
  readonly effects: Effect[] = [];
  readonly #questions = new Map<string, Questions>();
  readonly #mail: { readonly to: string; readonly from: string; readonly message: RpcMessage }[] = [];
  sent = 0;

  constructor(...names: readonly string[]) {
    this.gateways = names.map((name) => new Gateway(name));
    this.gateways[0]?.found();
    converge(this.gateways);
    for (const gateway of this.gateways) this.#questions.set(gateway.name, this.#open(gateway));
  }

  at(name: string): Gateway {
    return this.gateways.find((gateway) => gateway.name === name) as Gateway;
  }

  converge(): void {
    converge(this.gateways);
  }

  delegate(prefix: string, from: string, to: string): void {
    const outcome = this.at(from).do({ kind: 'zone-delegate', prefix, toNodeId: this.at(to).nodeId });
    expect(outcome.kind).toBe('zone');
  }

  /** The dots that a gateway logged last. */
  last(name: string, count: number): readonly Dot[] {
    const { replica } = this.at(name);
    const range = { from: replica.headSeq - count + 1, to: replica.headSeq };
    return replica.read(replica.origin, range, Infinity, Infinity);
  }

  confirm(name: string, key: string): void {
    this.#questions.get(name)?.confirm(1, { kind: 'key', key }, this.#now);
    this.deliver();
  }

  hand(name: string, command: Command): void {
    const outcome = this.at(name).do(command);
    if (outcome.kind !== 'not-owned') throw new Error('it is owned here');
    this.#questions.get(name)?.forwarding.hand(1, command, outcome, this.#now);
    this.deliver();
  }

  /** Time goes on, and whoever wants to does something. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const questions of this.#questions.values()) {
      if (questions.nextTickMs <= this.nowMs) questions.tick(this.#now);
    }
    this.deliver();
  }

  /** Until nobody says anything any more. */
  deliver(): void {
    for (;;) {
      for (const questions of this.#questions.values()) questions.look(this.#now);
      const next = this.#mail.shift();
      if (next === undefined) return;
      this.sent += 1;
      this.#questions.get(next.to)?.receive(endpointOf(next.from), next.message, this.#now);
    }
  }

  get #now() {
    return { wallUs: 1_700_000_000_000_000 + this.nowMs * 1000, monoMs: this.nowMs };
  }

  #open(gateway: Gateway): Questions {
    const byId = (nodeId: string) => this.gateways.find((each) => each.nodeId === nodeId);
    return new Questions({
      nodeId: gateway.nodeId,
      replica: gateway.replica,
      holdMs,
      owner: (nodeId) => {
        const found = byId(nodeId);
        return found && { name: found.name, endpoint: endpointOf(found.name), reachable: true };
      },
      live: () => this.gateways.map(({ nodeId }) => nodeId),
      decide: (command) => gateway.do(command),
      send: (to, message) => this.#mail.push({ to: to.address, from: gateway.name, message }),
      emit: (effect) => this.effects.push(effect),
    });
  }
}

function endpointOf(name: string): Endpoint {
  return { address: name, port: 8301 };
}

let fleet: Fleet;
beforeEach(() => {
  fleet = new Fleet('a', 'b', 'c');
});

describe('a compare-and-set that is handed on', () => {
  test('never takes one version for another because their indexes meet', () => {
    fleet.delegate('b/', 'a', 'b');
    fleet.converge();
    const [a, b] = [fleet.at('a'), fleet.at('b')];
    a.nowUs += 1000;
    b.nowUs = a.nowUs;
    a.do(put('k', '1'));
    // Written later, known earlier: b makes up an index for the other one.
    b.nowUs += 1000;
    b.do(put('b/x', '1'));
    fleet.converge();
    const index = b.store.get(Kind.kv, 'k')?.modifyIndex ?? 0;
    expect(index).not.toBe(b.store.get(Kind.kv, 'k')?.stamp);
    // The stamp of the next write comes as close to that index as it can.
    a.nowUs = index - 10;
    a.do(put('k', '2'));
    const cas = { ...put('k', '3'), mode: { kind: 'cas', index: BigInt(index) } } as Command;
    fleet.converge();
    fleet.hand('b', cas);
    fleet.converge();
    expect([a.text('k'), b.text('k')]).toEqual(['2', '2']);
  });
});

describe('a consistent read', () => {
  const confirmed = { kind: 'confirmed', token: 1, confirmation: { kind: 'confirmed' } };

  test('waits for what the owner before the present one logged', () => {
    fleet.at('a').do(put('us/k', '1'));
    fleet.delegate('us/', 'a', 'b');
    const [write, grant] = fleet.last('a', 2) as [Dot, Dot];
    for (const dot of [write, grant]) fleet.at('b').merge(dot, fleet.at('a'));
    fleet.at('c').merge(grant, fleet.at('a'));
    fleet.confirm('c', 'us/k');
    expect(fleet.effects).toEqual([]);
    fleet.at('c').merge(write, fleet.at('a'));
    fleet.deliver();
    expect(fleet.effects).toEqual([confirmed]);
    expect(fleet.at('c').text('us/k')).toBe('1');
  });

  test('waits for the grant of an owner that had the zone before, and has it again', () => {
    fleet.delegate('us/', 'a', 'b');
    fleet.converge();
    fleet.delegate('us/', 'b', 'a');
    fleet.at('a').pull(fleet.at('b'));
    fleet.at('a').do(put('us/k', '1'));
    fleet.delegate('us/', 'a', 'b');
    fleet.at('b').pull(fleet.at('a'));
    // Of all that c has seen nothing, but what b logged.
    for (const dot of fleet.last('b', 1)) fleet.at('c').merge(dot, fleet.at('b'));
    fleet.confirm('c', 'us/k');
    expect(fleet.effects).toEqual([]);
    fleet.converge();
    fleet.deliver();
    fleet.pass(20);
    expect(fleet.effects).toEqual([confirmed]);
  });

  test('asks the owner of a zone that it hears of only by asking', () => {
    fleet.delegate('us/', 'a', 'b');
    fleet.converge();
    fleet.delegate('us/x/', 'b', 'c');
    fleet.at('c').pull(fleet.at('b'));
    fleet.at('c').do(put('us/x/k', '1'));
    fleet.confirm('a', 'us/x/k');
    expect(fleet.effects).toEqual([]);
    fleet.at('a').pull(fleet.at('b'));
    fleet.deliver();
    expect(fleet.effects).toEqual([]);
    fleet.at('a').pull(fleet.at('c'));
    fleet.deliver();
    expect(fleet.effects).toEqual([confirmed]);
  });

  test('waits while the zone is on its way to another owner, and no longer than it may', () => {
    fleet.delegate('us/', 'a', 'b');
    fleet.at('c').pull(fleet.at('a'));
    fleet.confirm('c', 'us/k');
    for (let ms = 0; ms < 3000; ms += 50) fleet.pass(50);
    expect(fleet.effects).toEqual([]);
    expect(fleet.sent).toBeLessThan(100);
    fleet.at('b').pull(fleet.at('a'));
    fleet.pass(200);
    expect(fleet.effects).toEqual([confirmed]);

    fleet.delegate('us/', 'b', 'c');
    fleet.confirm('a', 'us/k');
    for (let ms = 0; ms < holdMs + 200; ms += 50) fleet.pass(50);
    expect(fleet.effects[1]).toMatchObject({
      confirmation: { zone: 'us/', owner: 'b', reason: 'the zone was given to another gateway' },
    });
  });
});

describe('a write for a zone on its way to another owner', () => {
  const done = { kind: 'answer', token: 1, outcome: { kind: 'kv', applied: true } };

  test('waits until the new owner has heard of it', () => {
    fleet.delegate('us/', 'a', 'b');
    fleet.hand('c', put('us/k', '1'));
    for (let ms = 0; ms < 3000; ms += 50) fleet.pass(50);
    expect(fleet.effects).toEqual([]);
    expect(fleet.sent).toBeLessThan(200);
    fleet.at('b').pull(fleet.at('a'));
    fleet.pass(200);
    fleet.converge();
    fleet.deliver();
    expect(fleet.effects).toMatchObject([done]);
    expect(fleet.at('b').text('us/k')).toBe('1');
  });

  test('is done where it was asked for, when that is the new owner and hears of it last', () => {
    fleet.delegate('us/', 'a', 'c');
    fleet.hand('c', put('us/k', '1'));
    fleet.pass(50);
    expect(fleet.effects).toEqual([]);
    fleet.at('c').pull(fleet.at('a'));
    fleet.pass(50);
    expect(fleet.effects).toMatchObject([done]);
    expect(fleet.at('c').text('us/k')).toBe('1');
  });

  test('is refused in the end, with the owner that is said to be the one', () => {
    fleet.delegate('us/', 'a', 'b');
    fleet.hand('c', put('us/k', '1'));
    for (let ms = 0; ms <= holdMs + 200; ms += 50) fleet.pass(50);
    expect(fleet.effects).toMatchObject([{ kind: 'answer', outcome: { kind: 'not-owned' } }]);
    expect(fleet.at('a').text('us/k')).toBeUndefined();
  });
});
