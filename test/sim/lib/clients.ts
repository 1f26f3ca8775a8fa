import { Kind } from '../../../src/state/kinds.ts';
import { kvEntry } from '../../../src/state/kv.ts';
import type { Command, CommandOutcome } from '../../../src/state/command.ts';
import type { Effect, Input } from '../../../src/node/machine-port.ts';
import type { SessionValue } from '../../../src/state/values.ts';
import {
  Recorder,
  type LockCall,
  type LockResult,
  type RegisterCall,
  type RegisterResult,
} from '../../support/history/history.ts';
import type { EventQueue } from './event-queue.ts';
import type { SimGateway } from './gateway.ts';
import type { Rng } from './rng.ts';

/** How often clients do what; 0 leaves it out. */
export interface WorkloadMix {
  readonly put: number;
  readonly cas: number;
  readonly remove: number;
  readonly removeTree: number;
  readonly txn: number;
  readonly consistentRead: number;
  readonly localRead: number;
  readonly lock: number;
  readonly session: number;
  readonly catalog: number;
}

export interface WorkloadOptions {
  readonly queue: EventQueue;
  readonly rng: Rng;
  readonly gateways: readonly SimGateway[];
  /** Prefixes of the zones, each with some keys in it. */
  readonly prefixes: readonly string[];
  readonly keysPerPrefix: number;
  readonly clientsPerGateway: number;
  readonly thinkMs: number;
  /** A client that was not answered after this time goes on, and does not know. */
  readonly patienceMs: number;
  readonly mix: WorkloadMix;
}

type Answer = Exclude<Effect, { kind: 'send' }>;
type Waiter = (answer: Answer) => void;

interface Session {
  readonly id: string;
  readonly gateway: SimGateway;
  /** Lock keys that it was ever used on. */
  readonly keys: Set<string>;
  /** Some gateway may have held it for dead. */
  suspected: boolean;
}

/**
 * Clients at gateways, and the record of what they saw. Every value is written once, so that a CAS on an index is one
 * on the value that was seen with it. Keys of registers, of locks and of transactions are apart.
 */
export class Clients {
  readonly registers = new Recorder<RegisterCall, RegisterResult>();
  readonly locks = new Recorder<LockCall, LockResult>();
  /** Reads of local replicas. */
  readonly localReads = new Recorder<RegisterCall, RegisterResult>();
  readonly counts = new Map<string, number>();
  /** Groups of keys that are only ever written together, in one transaction, with one value. */
  readonly groups: readonly (readonly string[])[];
  readonly #options: WorkloadOptions;
  readonly #waiters = new Map<number, { readonly gateway: SimGateway; readonly done: Waiter }>();
  readonly #sessions = new Map<string, Session>();
  /** Of each client that waits: how it goes on. */
  readonly #waiting = new Map<SimGateway, Set<() => void>>();
  #token = 0;
  #values = 0;
  #running = true;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.groups = options.prefixes.map((prefix) => [`${prefix}txn/a`, `${prefix}txn/b`, `${prefix}txn/c`]);
  }

  /** Sends the clients of a gateway to work. */
  begin(gateway: SimGateway): void {
    const { clientsPerGateway, rng } = this.#options;
    for (let i = 0; i < clientsPerGateway; i++)
      this.#think(gateway, rng.split(`client ${gateway.name} ${i}`));
  }

  /** Nobody begins anything any more. */
  stop(): void {
    this.#running = false;
  }

  /** Hands an effect to who waits for it. */
  effect(gateway: SimGateway, effect: Answer): void {
    if (!('token' in effect)) return;
    const waiter = this.#waiters.get(effect.token);
    if (waiter === undefined || waiter.gateway !== gateway) return;
    this.#waiters.delete(effect.token);
    waiter.done(effect);
  }

  /** The gateway's process ended: its clients will hear nothing. */
  died(gateway: SimGateway): void {
    for (const [token, waiter] of this.#waiters) {
      if (waiter.gateway === gateway) this.#waiters.delete(token);
    }
    for (const next of [...(this.#waiting.get(gateway) ?? [])]) next();
  }

  /** From now on some gateway may hold a gateway's sessions for dead. */
  suspected(nodeId: string): void {
    for (const session of this.#sessions.values()) {
      if (session.gateway.nodeId !== nodeId) continue;
      session.suspected = true;
      for (const key of session.keys) this.#invalidate(session.id, key, false);
    }
  }

  /** Proposes something that is answered by an effect with its token. */
  ask(gateway: SimGateway, input: (token: number) => Input, done: Waiter): void {
    const token = ++this.#token;
    this.#waiters.set(token, { gateway, done });
    gateway.propose(input(token));
  }

  command(gateway: SimGateway, command: Command, done: (outcome: CommandOutcome) => void): void {
    this.ask(
      gateway,
      (token) => ({ kind: 'command', token, command }),
      (answer) => {
        if (answer.kind === 'answer') done(answer.outcome);
      },
    );
  }

  #think(gateway: SimGateway, rng: Rng): void {
    const { queue, thinkMs, mix, patienceMs } = this.#options;
    queue.after(rng.exponential(thinkMs), () => {
      if (!this.#running) return;
      if (!gateway.isUp) return this.#think(gateway, rng);
      const others = this.#waiting.get(gateway) ?? new Set<() => void>();
      this.#waiting.set(gateway, others);
      const next = (): void => {
        if (others.delete(next)) this.#think(gateway, rng);
      };
      others.add(next);
      const what = rng.weighted(
        Object.entries(mix).map(([name, weight]) => [weight as number, name] as const),
      );
      this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
      this.#act(what as keyof WorkloadMix, gateway, rng, next);
      queue.after(patienceMs, next);
    });
  }

  #act(what: keyof WorkloadMix, gateway: SimGateway, rng: Rng, next: () => void): void {
    switch (what) {
      case 'put':
        return this.#put(gateway, this.#key(rng), next);
      case 'remove':
        return this.#remove(gateway, this.#key(rng), next);
      case 'removeTree':
        return this.#removeTree(gateway, rng.pick(this.#options.prefixes), next);
      case 'cas':
        return this.#readThenCas(gateway, this.#key(rng), rng.chance(0.5), next);
      case 'consistentRead':
        return this.#consistentRead(gateway, this.#key(rng), () => next());
      case 'localRead':
        this.#localRead(gateway, this.#key(rng));
        return next();
      case 'txn':
        return this.#txn(gateway, rng.chance(0.4) ? rng.pick(this.groups) : this.#mixture(rng), next);
      case 'lock':
        return this.#lock(gateway, rng, next);
      case 'session':
        return this.#session(gateway, rng, next);
      case 'catalog':
        return this.#catalog(gateway, rng, next);
    }
  }

  #key(rng: Rng): string {
    return `${rng.pick(this.#options.prefixes)}reg/${rng.below(this.#options.keysPerPrefix)}`;
  }

  /** Keys that are written together in ever other combinations: of a transaction some are soon overwritten. */
  #mixture(rng: Rng): readonly string[] {
    const prefix = rng.pick(this.#options.prefixes);
    return rng.shuffled(['a', 'b', 'c', 'd'].map((key) => `${prefix}mix/${key}`)).slice(0, 2 + rng.below(2));
  }

  #value(): string {
    return `v${++this.#values}`;
  }

  get #now(): number {
    return this.#options.queue.nowMs;
  }

  #kvPut(key: string, value: string, mode: Extract<Command, { kind: 'kv-put' }>['mode']): Command {
    return { kind: 'kv-put', key, flags: 0n, value: new TextEncoder().encode(value), mode };
  }

  /** Records a write of a register and what came of it. */
  #write(gateway: SimGateway, key: string, call: RegisterCall, command: Command, next: () => void): void {
    const id = this.registers.invoke(gateway.name, key, call, this.#now);
    this.command(gateway, command, (outcome) => {
      if (outcome.kind === 'kv') this.registers.complete(id, { applied: outcome.applied }, this.#now);
      else if (isCertainRefusal(outcome)) this.registers.refused(id);
      next();
    });
  }

  #put(gateway: SimGateway, key: string, next: () => void): void {
    const value = this.#value();
    this.#write(gateway, key, { kind: 'write', value }, this.#kvPut(key, value, { kind: 'plain' }), next);
  }

  #remove(gateway: SimGateway, key: string, next: () => void): void {
    this.#write(gateway, key, { kind: 'write', value: null }, { kind: 'kv-delete', key }, next);
  }

  #removeTree(gateway: SimGateway, prefix: string, next: () => void): void {
    const tree = `${prefix}reg/`;
    const ids = Array.from({ length: this.#options.keysPerPrefix }, (_, i) =>
      this.registers.invoke(gateway.name, `${tree}${i}`, { kind: 'write', value: null }, this.#now),
    );
    this.command(gateway, { kind: 'kv-delete-tree', prefix: tree }, (outcome) => {
      for (const id of ids) {
        if (outcome.kind === 'kv') this.registers.complete(id, { applied: true }, this.#now);
        else if (isCertainRefusal(outcome)) this.registers.refused(id);
      }
      next();
    });
  }

  #readThenCas(gateway: SimGateway, key: string, consistent: boolean, next: () => void): void {
    const cas = (seen: { readonly value: string | null; readonly index: number }): void => {
      const value = this.#value();
      const command = this.#kvPut(key, value, { kind: 'cas', index: BigInt(seen.index) });
      this.#write(gateway, key, { kind: 'cas', expected: seen.value, value }, command, next);
    };
    if (consistent) this.#consistentRead(gateway, key, (seen) => (seen === undefined ? next() : cas(seen)));
    else cas(this.#localRead(gateway, key));
  }

  #consistentRead(
    gateway: SimGateway,
    key: string,
    done: (seen: { readonly value: string | null; readonly index: number } | undefined) => void,
  ): void {
    const id = this.registers.invoke(gateway.name, key, { kind: 'read' }, this.#now);
    this.ask(
      gateway,
      (token) => ({ kind: 'confirm', token, scope: { kind: 'key', key } }),
      (answer) => {
        if (answer.kind !== 'confirmed' || answer.confirmation.kind !== 'confirmed') {
          this.registers.refused(id);
          return done(undefined);
        }
        const seen = look(gateway, key);
        this.registers.complete(id, { value: seen.value }, this.#now);
        return done(seen);
      },
    );
  }

  #localRead(gateway: SimGateway, key: string): { readonly value: string | null; readonly index: number } {
    const seen = look(gateway, key);
    const id = this.localReads.invoke(gateway.name, key, { kind: 'read' }, this.#now);
    this.localReads.complete(id, { value: seen.value }, this.#now);
    return seen;
  }

  /** Sets a whole group of keys to one value. */
  #txn(gateway: SimGateway, keys: readonly string[], next: () => void): void {
    const value = this.#value();
    const ids = keys.map((key) =>
      this.registers.invoke(gateway.name, key, { kind: 'write', value }, this.#now),
    );
    const ops = keys.map((key) => ({
      kind: 'kv' as const,
      verb: 'set' as const,
      key,
      value: new TextEncoder().encode(value),
      flags: 0n,
      index: 0n,
      session: '',
    }));
    this.command(gateway, { kind: 'txn', ops }, (outcome) => {
      for (const id of ids) {
        if (outcome.kind === 'txn' && outcome.errors.length === 0) {
          this.registers.complete(id, { applied: true }, this.#now);
        } else if (outcome.kind === 'txn' || isCertainRefusal(outcome)) {
          this.registers.refused(id);
        }
      }
      next();
    });
  }

  #session(gateway: SimGateway, rng: Rng, next: () => void): void {
    const own = [...this.#sessions.values()].filter((session) => session.gateway === gateway);
    if (own.length > 1 && rng.chance(0.5)) {
      const session = rng.pick(own);
      for (const key of session.keys) this.#invalidate(session.id, key, true);
      this.#sessions.delete(session.id);
      return this.command(gateway, { kind: 'session-destroy', id: session.id }, () => next());
    }
    const id = `${rng.hex(8)}-${rng.hex(4)}-4${rng.hex(3)}-8${rng.hex(3)}-${rng.hex(12)}`;
    const session: SessionValue = {
      id,
      name: '',
      node: gateway.name,
      lockDelayNs: 0,
      behavior: 'release',
      ttl: '',
      nodeChecks: ['serfHealth'],
      serviceChecks: [],
    };
    return this.command(gateway, { kind: 'session-create', session }, (outcome) => {
      if (outcome.kind === 'session')
        this.#sessions.set(id, { id, gateway, keys: new Set(), suspected: false });
      next();
    });
  }

  /** The owner of the lock may take it from the session from now on, at any time, or never. */
  #invalidate(session: string, key: string, final: boolean): void {
    this.locks.invoke('owner', key, { kind: 'invalidate', session, final }, this.#now);
  }

  #lock(gateway: SimGateway, rng: Rng, next: () => void): void {
    const own = [...this.#sessions.values()].filter((session) => session.gateway === gateway);
    if (own.length === 0) return this.#session(gateway, rng, next);
    const session = rng.pick(own);
    const key = `${rng.pick(this.#options.prefixes)}lock/${rng.below(2)}`;
    if (rng.chance(0.25)) return this.#holder(gateway, key, next);
    const kind = rng.chance(0.6) ? 'acquire' : 'release';
    if (session.suspected && !session.keys.has(key)) this.#invalidate(session.id, key, false);
    session.keys.add(key);
    const id = this.locks.invoke(gateway.name, key, { kind, session: session.id }, this.#now);
    const command = this.#kvPut(key, this.#value(), { kind, session: session.id });
    return this.command(gateway, command, (outcome) => {
      if (outcome.kind === 'kv') this.locks.complete(id, { applied: outcome.applied }, this.#now);
      else if (isCertainRefusal(outcome)) this.locks.refused(id);
      next();
    });
  }

  #holder(gateway: SimGateway, key: string, next: () => void): void {
    const id = this.locks.invoke(gateway.name, key, { kind: 'holder' }, this.#now);
    this.ask(
      gateway,
      (token) => ({ kind: 'confirm', token, scope: { kind: 'key', key } }),
      (answer) => {
        if (answer.kind === 'confirmed' && answer.confirmation.kind === 'confirmed') {
          const row = gateway.store.get(Kind.kv, key);
          const entry = row === undefined ? undefined : kvEntry(row);
          const holder = entry === undefined || entry.session === '' ? null : entry.session;
          this.locks.complete(id, { holder }, this.#now);
        } else {
          this.locks.refused(id);
        }
        next();
      },
    );
  }

  #catalog(gateway: SimGateway, rng: Rng, next: () => void): void {
    const node = `external-${rng.below(4)}`;
    if (rng.chance(0.3)) {
      const command: Command = {
        kind: 'catalog-deregister',
        node,
        serviceId: rng.chance(0.5) ? 'web' : '',
        checkId: '',
      };
      return this.command(gateway, command, () => next());
    }
    const command: Command = {
      kind: 'catalog-register',
      node: { id: '', node, address: `192.0.2.${rng.below(250)}`, taggedAddresses: null, meta: null },
      skipNodeUpdate: false,
      service: {
        node,
        id: 'web',
        service: 'web',
        tags: [this.#value()],
        address: '',
        taggedAddresses: null,
        port: 80,
        meta: null,
        weights: { passing: 1, warning: 1 },
        enableTagOverride: false,
        extra: '',
      },
      checks: [],
    };
    return this.command(gateway, command, () => next());
  }
}

/** What a gateway's replica holds of a key. */
export function look(
  gateway: SimGateway,
  key: string,
): { readonly value: string | null; readonly index: number } {
  const row = gateway.store.get(Kind.kv, key);
  const entry = row === undefined ? undefined : kvEntry(row);
  return entry === undefined
    ? { value: null, index: 0 }
    : { value: new TextDecoder().decode(entry.value), index: entry.modifyIndex };
}

/** Refused before anybody did anything; of what the owner may have done, it is said so. */
function isCertainRefusal(outcome: CommandOutcome): boolean {
  if (outcome.kind === 'refused') return true;
  return outcome.kind === 'not-owned' && !/not known|took the write/.test(outcome.reason);
}
