import type { OriginId } from '../../src/crdt/dot.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Replica, type Step } from '../../src/node/replica.ts';
import type { CatalogRegister, MemberHealth } from '../../src/state/catalog.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import { Kind } from '../../src/state/kinds.ts';
import { kvEntry, type KvEntry, type PutMode } from '../../src/state/kv.ts';
import type { Store } from '../../src/state/store.ts';
import type { TxnOp } from '../../src/state/txn.ts';
import type { CheckValue, SessionValue } from '../../src/state/values.ts';

export const startUs = 1_700_000_000_000_000;

/** A state machine on a store, with a clock that tests set. */
export class Machine {
  readonly store: Store;
  replica: Replica;
  nowUs = startUs;

  constructor(store: Store = new MemoryStore(), found = true) {
    this.store = store;
    this.replica = this.restarted();
    if (found) this.store.transact(() => this.replica.found(this.nowUs));
  }

  /** The machine as it comes back from what is in the store. */
  restarted(): Replica {
    this.replica = new Replica({
      store: this.store,
      origin: '0123456789abcdef0123456789abcdef' as OriginId,
      nodeId: 'this-gateway',
    });
    return this.replica;
  }

  step(command: Command): Step {
    this.nowUs += 10;
    return this.store.transact(() => this.replica.step(command, this.nowUs));
  }

  /** What a command came to. */
  do(command: Command): CommandOutcome {
    return this.step(command).outcome;
  }

  kv(key: string): KvEntry | undefined {
    const row = this.store.get(Kind.kv, key);
    return row && kvEntry(row);
  }

  /** Registers a node with a passing serfHealth, as membership does, and a session on it. */
  session(fields: Partial<SessionValue> = {}): string {
    const session: SessionValue = {
      id: '00000000-0000-4000-8000-000000000001',
      name: '',
      node: 'n1',
      lockDelayNs: 15e9,
      behavior: 'release',
      ttl: '',
      nodeChecks: ['serfHealth'],
      serviceChecks: [],
      ...fields,
    };
    this.step(register(session.node));
    this.step(health(session.node, 'passing'));
    const outcome = this.do({ kind: 'session-create', session });
    if (outcome.kind !== 'session') throw new Error(JSON.stringify(outcome));
    return session.id;
  }
}

export function put(key: string, text: string, mode: PutMode = { kind: 'plain' }, flags = 0n): Command {
  return { kind: 'kv-put', key, flags, value: bytes(text), mode };
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOf(entry: KvEntry | undefined): string | undefined {
  return entry && new TextDecoder().decode(entry.value);
}

export function kvOp(verb: Extract<TxnOp, { kind: 'kv' }>['verb'], key: string, text = ''): TxnOp {
  return { kind: 'kv', verb, key, value: bytes(text), flags: 0n, index: 0n, session: '' };
}

export function register(node: string, checks: readonly CheckValue[] = []): CatalogRegister {
  return {
    kind: 'catalog-register',
    node: { id: '', node, address: '127.0.0.1', taggedAddresses: null, meta: null },
    skipNodeUpdate: false,
    checks,
  };
}

export function check(node: string, checkId: string, status: string): CheckValue {
  return {
    node,
    checkId,
    name: checkId,
    status,
    notes: '',
    output: '',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
}

export function health(node: string, status: string | undefined): MemberHealth {
  return {
    kind: 'member-health',
    node,
    check: status === undefined ? undefined : check(node, 'serfHealth', status),
  };
}
