import { beforeEach, describe, expect, test } from '@jest/globals';
import type { OriginId } from '../../src/crdt/dot.ts';
import { GatewayMachine } from '../../src/node/gateway-machine.ts';
import type { Effect, Input } from '../../src/node/machine-port.ts';
import { Replica } from '../../src/node/replica.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { PersistedMember } from '../../src/swim/member.ts';
import { lanProfile } from '../../src/swim/profile.ts';
import { Disk } from '../sim/lib/disk.ts';
import { Kind } from '../../src/state/kinds.ts';
import { kvEntry } from '../../src/state/kv.ts';
import type { Message } from '../../src/node/message.ts';
import { put, textOf } from './machine.ts';

// The first moments of a gateway that was there before, with whole machines and a network that tests drive.

const cluster = '0123456789abcdef';

class Node {
  readonly name: string;
  readonly id: string;
  disk = new Disk(true);
  machine: GatewayMachine;
  readonly answers = new Map<number, CommandOutcome>();
  readonly notices: string[] = [];
  isUp = true;
  #members = new Map<string, PersistedMember>();
  #incarnation = 0;
  #lives = 0;

  constructor(name: string, net: Net) {
    this.name = name;
    this.id = `00000000-0000-4000-8000-0000000000${name}`;
    this.machine = this.start(net);
  }

  get endpoint() {
    return { address: this.name, port: 8301 };
  }

  start(net: Net): GatewayMachine {
    const life = this.#lives++;
    const replica = new Replica({
      store: this.disk,
      origin: (this.disk.getMeta('origin') ?? `${this.name}${'0'.repeat(30)}`) as OriginId,
      nodeId: this.id,
      nodeName: this.name,
    });
    let minted = 0;
    this.machine = new GatewayMachine({
      replica,
      self: {
        ...{ name: this.name, id: this.id, endpoint: this.endpoint, datacenter: 'dc1', region: 'eu' },
        ...{ tags: {}, protocolMin: 1, protocolMax: 1 },
      },
      ...{ cluster: replica.cluster, incarnation: this.#incarnation, known: [...this.#members.values()] },
      ...{ profile: lanProfile, random: net.random, now: net.now, holdMs: 7000 },
      newOrigin: () => `${this.name}${life}${++minted}${'f'.repeat(28)}` as OriginId,
      persist: ({ incarnation, put: kept, remove }) => {
        this.#incarnation = incarnation;
        for (const id of remove) this.#members.delete(id);
        for (const member of kept) this.#members.set(member.facts.id, member);
      },
    });
    this.isUp = true;
    return this.machine;
  }

  text(key: string): string | undefined {
    const row = this.disk.get(Kind.kv, key);
    return textOf(row && kvEntry(row));
  }
}

class Net {
  nowMs = 0;
  readonly nodes: Node[] = [];
  #seed = 1;
  #token = 0;
  /** What does not arrive. */
  isLost: (from: string, to: string, message: Message) => boolean = () => false;
  #mail: { readonly to: string; readonly input: Input }[] = [];

  get now() {
    return { wallUs: 1_700_000_000_000_000 + this.nowMs * 1000, monoMs: this.nowMs };
  }

  readonly random = (): number => {
    this.#seed = (this.#seed * 48_271) % 0x7fff_ffff;
    return this.#seed / 0x7fff_ffff;
  };

  add(name: string): Node {
    const node = new Node(name, this);
    this.nodes.push(node);
    return node;
  }

  step(node: Node, ...inputs: readonly Input[]): void {
    node.disk.transact(() => {
      for (const input of inputs) node.machine.step(input, this.now);
      node.machine.endBatch(this.now);
    });
    for (const effect of node.machine.takeEffects()) this.#carryOut(node, effect);
  }

  /** Answers the token by which to look for the answer. */
  command(node: Node, command: Command): number {
    this.step(node, { kind: 'command', token: ++this.#token, command });
    return this.#token;
  }

  join(node: Node, to: Node): void {
    this.step(node, { kind: 'join', token: ++this.#token, pool: 'lan', endpoints: [to.endpoint] });
  }

  run(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs++) {
      const mail = this.#mail;
      this.#mail = [];
      for (const { to, input } of mail) {
        const node = this.nodes.find(({ name, isUp }) => name === to && isUp);
        if (node !== undefined) this.step(node, input);
      }
      for (const node of this.nodes) {
        if (node.isUp && node.machine.nextTickMs <= this.nowMs) this.step(node, { kind: 'tick' });
      }
    }
  }

  #carryOut(node: Node, effect: Effect): void {
    if (effect.kind === 'answer') node.answers.set(effect.token, effect.outcome);
    if (effect.kind === 'notice') node.notices.push(effect.text);
    if (effect.kind !== 'send') return;
    const { pool, to, message } = effect;
    if (this.isLost(node.name, to.address, message)) return;
    const { cluster: own } = node.machine;
    this.#mail.push({
      to: to.address,
      input: { kind: 'received', pool, from: node.endpoint, cluster: own, messages: [message] },
    });
  }
}

/** Whatever one of them says or would hear. */
function isOf(name: string): Net['isLost'] {
  return (from, to) => from === name || to === name;
}

let net: Net;
let a: Node;
let b: Node;
beforeEach(() => {
  net = new Net();
  a = net.add('aa');
  a.disk.transact(() => a.machine.found(cluster, net.now));
  b = net.add('bb');
  net.join(b, a);
  net.run(2000);
  net.command(a, { kind: 'zone-delegate', prefix: 'given/', toNodeId: b.id });
  net.run(1000);
  net.command(b, put('given/k', 'as owner'));
  net.run(1000);
});

describe('a gateway that starts again', () => {
  test('writes nothing before somebody told it how far its log goes', () => {
    b.start(net);
    const token = net.command(b, put('given/x', '1'));
    expect(b.text('given/x')).toBeUndefined();
    net.run(1000);
    expect(b.answers.get(token)).toMatchObject({ kind: 'kv', applied: true });
    expect([a.text('given/x'), b.text('given/x')]).toEqual(['1', '1']);
    expect(b.notices).toEqual([]);
  });

  test('writes after a while where nobody is left', () => {
    a.isUp = false;
    b.start(net);
    const token = net.command(b, put('given/x', '1'));
    net.run(3000);
    expect(b.answers.get(token)).toMatchObject({ kind: 'kv', applied: true });
  });
});

describe('a gateway restored from a backup', () => {
  describe('whose last entries one member alone has', () => {
    let c: Node;
    let backup: number;
    beforeEach(() => {
      c = net.add('cc');
      net.join(c, a);
      net.run(3000);
      backup = b.disk.mark;
      net.isLost = isOf('aa');
      net.command(b, put('given/k', 'only c has it'));
      net.command(b, put('given/l', 'nor has a this'));
      net.run(20);
      expect([a.text('given/k'), c.text('given/k')]).toEqual(['as owner', 'only c has it']);
      b.disk = b.disk.restoredTo(backup);
    });

    test('hears of them before it writes, whoever answers first', () => {
      // What a has of it is all that it is told at first.
      net.isLost = isOf('cc');
      b.start(net);
      net.run(400);
      const token = net.command(b, put('given/m', 'written after'));
      net.run(400);
      expect(b.text('given/m')).toBeUndefined();
      net.isLost = () => false;
      net.run(6000);
      expect(b.answers.get(token)).toMatchObject({ kind: 'kv', applied: true });
      for (const node of [a, b, c]) {
        expect(node.text('given/k')).toBe('only c has it');
        expect(node.text('given/l')).toBe('nor has a this');
        expect(node.text('given/m')).toBe('written after');
      }
      expect(b.notices).toEqual([expect.stringMatching(/restored backup/)]);
    });

    test('goes on under a new origin where that one passes on nothing but that it lives', () => {
      const { origin } = b.machine.replica;
      b.start(net);
      net.isLost = (from, _to, { family }) => from === 'cc' && family === 'replication';
      net.run(6000);
      net.command(b, put('given/m', 'written after'));
      net.isLost = () => false;
      net.run(60_000);
      expect(b.machine.replica.origin).not.toBe(origin);
      for (const node of [a, b, c]) {
        expect(node.text('given/k')).toBe('only c has it');
        expect(node.text('given/m')).toBe('written after');
      }
    });

    test('is told by it when it uses their numbers again', () => {
      net.isLost = isOf('cc');
      b.start(net);
      // Until the others take c for failed, and wait for it no longer.
      net.run(30_000);
      net.command(b, put('given/m', 'under a used number'));
      net.command(b, put('given/n', 'under another one'));
      net.isLost = () => false;
      net.run(30_000);
      expect(b.notices).toEqual([expect.stringMatching(/restored backup/)]);
      for (const node of [a, b, c]) {
        expect(node.text('given/m')).toBe('under a used number');
        expect(node.text('given/n')).toBe('under another one');
      }
    });
  });

  test('does not write in a zone that it has given away since', () => {
    const backup = b.disk.mark;
    net.command(b, { kind: 'zone-delegate', prefix: 'given/', toNodeId: a.id });
    net.run(1000);
    net.command(a, put('given/k', 'of the new owner'));
    net.run(1000);
    b.disk = b.disk.restoredTo(backup);
    b.start(net);
    expect(b.text('given/k')).toBe('as owner');
    // At every moment of its first seconds.
    for (let n = 0; n < 400; n++) {
      net.command(b, put(`given/early-${n}`, 'early'));
      net.run(5);
    }
    net.run(5000);
    expect(b.notices).toEqual([expect.stringMatching(/restored backup/)]);
    for (const { disk } of [a, b]) expect(disk.setAsideCount('conflicts').now).toBe(0);
    const tokens = [...b.answers].filter(([, { kind }]) => kind === 'kv');
    expect(tokens.length).toBeGreaterThan(350);
    for (let n = 0; n < 400; n++)
      expect([n, a.text(`given/early-${n}`)]).toEqual([n, b.text(`given/early-${n}`)]);
    expect([a.text('given/k'), b.text('given/k')]).toEqual(['of the new owner', 'of the new owner']);
  });

  test('logs again what it wrote before it knew, under numbers that nobody used', () => {
    const backup = b.disk.mark;
    for (let n = 0; n < 5; n++) net.command(b, put(`given/${n}`, 'after the backup'));
    net.run(1000);
    b.disk = b.disk.restoredTo(backup);
    b.start(net);
    // It hears of nobody for longer than it waits.
    a.isUp = false;
    net.run(3000);
    net.command(b, put('given/alone', 'alone'));
    a.isUp = true;
    net.run(20_000);
    for (const node of [a, b]) {
      expect(node.text('given/alone')).toBe('alone');
      for (let n = 0; n < 5; n++) expect(node.text(`given/${n}`)).toBe('after the backup');
    }
    expect(b.notices).toEqual([expect.stringMatching(/restored backup/)]);
  });
});
