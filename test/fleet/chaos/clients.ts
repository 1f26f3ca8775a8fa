import { type FleetAnswer } from '../../support/fleet-client.ts';
import type { FleetGateway } from '../../support/fleet-process.ts';
import {
  type LockCall,
  type LockResult,
  Recorder,
  type RegisterCall,
  type RegisterResult,
} from '../../support/history/history.ts';
import type { Rng } from '../../sim/lib/rng.ts';

export interface ClientsOptions {
  readonly gateways: readonly FleetGateway[];
  /** Of keys, one for each zone; they end with a slash. */
  readonly prefixes: readonly string[];
  /** Below this one keys are only ever written once. */
  readonly taken: string;
  readonly rng: Rng;
  readonly clientsPerGateway: number;
  /** Mean time between the operations of one client. */
  readonly thinkMs: number;
  /** A client that was not answered after this time goes on, and does not know. */
  readonly patienceMs: number;
}

interface Session {
  readonly id: string;
  readonly gateway: string;
}

/** What an answer to a write says. */
type Written = 'applied' | 'not-applied' | 'refused' | 'unknown';

/** Registers and locks get new names so often: short histories can be checked whole. */
const epochMs = 8000;

/** How often clients do what. */
const mix = [
  [20, 'put'],
  [4, 'remove'],
  [14, 'cas'],
  [12, 'consistent-read'],
  [20, 'local-read'],
  [8, 'put-once'],
  [8, 'put-taken'],
  [6, 'count'],
  [6, 'pair'],
  [8, 'list'],
  [12, 'lock'],
] as const;

/**
 * Clients at all gateways, and the record of what they saw. Every value is written once, so that a CAS on an index is
 * one on the value that was seen with it.
 */
export class Clients {
  readonly registers = new Recorder<RegisterCall, RegisterResult>();
  readonly localReads = new Recorder<RegisterCall, RegisterResult>();
  readonly locks = new Recorder<LockCall, LockResult>();
  /** Keys that were written once and acknowledged, with their values. */
  readonly once = new Map<string, string>();
  /** By prefix: increments that were acknowledged, the highest of them, the highest that was tried. */
  readonly counters = new Map<string, { acked: Set<number>; highest: number; tried: number }>();
  readonly sessions: Session[] = [];
  /** What must not be, as soon as it is seen. */
  readonly problems: string[] = [];
  readonly counts = new Map<string, number>();
  readonly #options: ClientsOptions;
  #values = 0;
  #running = true;
  readonly #loops: Promise<void>[] = [];

  constructor(options: ClientsOptions) {
    this.#options = options;
    for (const prefix of options.prefixes)
      this.counters.set(prefix, { acked: new Set(), highest: 0, tried: 0 });
  }

  start(): void {
    const { gateways, clientsPerGateway, rng } = this.#options;
    for (const gateway of gateways) {
      for (let i = 0; i < clientsPerGateway; i++) {
        this.#loops.push(this.#work(gateway, rng.split(`${gateway.name} ${i}`)));
      }
    }
  }

  /** Resolves once all have heard, or given up to hear, what their last operation came to. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  get summary(): string {
    return [...this.counts]
      .toSorted()
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  }

  async #work(gateway: FleetGateway, rng: Rng): Promise<void> {
    const own: { session?: Session } = {};
    while (this.#running) {
      await pause(rng.exponential(this.#options.thinkMs));
      const what = rng.weighted(mix);
      const answered = await this.#act(what, gateway, rng, own);
      const name = answered ? what : `${what}?`;
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
      // A gateway that is down refuses at once.
      if (!answered) await pause(100);
    }
  }

  /** Whether it was answered, be it by a refusal. */
  #act(
    what: (typeof mix)[number][1],
    gateway: FleetGateway,
    rng: Rng,
    own: { session?: Session },
  ): Promise<boolean> {
    const prefix = rng.pick(this.#options.prefixes);
    // One of them is busier than the others.
    const key = `${prefix}reg/${this.#epoch()}/${rng.chance(0.6) ? 0 : rng.below(3)}`;
    switch (what) {
      case 'put': {
        const value = this.#value(gateway);
        const sent = () => this.#ask(gateway, 'PUT', `/v1/kv/${key}`, value);
        return this.#write(gateway, key, { kind: 'write', value }, sent);
      }
      case 'remove':
        return this.#write(gateway, key, { kind: 'write', value: null }, () =>
          this.#ask(gateway, 'DELETE', `/v1/kv/${key}`),
        );
      case 'cas':
        return this.#readAndCas(gateway, key, rng.chance(0.5));
      case 'consistent-read':
        return this.#read(gateway, key, true).then((seen) => seen !== undefined);
      case 'local-read':
        return this.#read(gateway, key, false).then((seen) => seen !== undefined);
      case 'put-once':
        return this.#putOnce(gateway, prefix, rng.chance(0.05) ? 30_000 : rng.below(300));
      case 'put-taken':
        return this.#putOnce(gateway, this.#options.taken, 20);
      case 'count':
        return this.#count(gateway, prefix);
      case 'pair':
        return this.#pair(gateway, prefix);
      case 'list':
        return this.#list(gateway, prefix);
      case 'lock':
        return this.#lock(gateway, `${prefix}lock/${this.#epoch()}/${rng.below(2)}`, rng, own);
    }
  }

  #epoch(): number {
    return Math.floor(performance.now() / epochMs);
  }

  #value({ name }: FleetGateway): string {
    return `${name}.${++this.#values}`;
  }

  /** Undefined: not answered, or not whole. Refused connections are said apart: nothing was sent. */
  async #ask(
    gateway: FleetGateway,
    method: string,
    path: string,
    body?: string,
  ): Promise<FleetAnswer | 'refused' | undefined> {
    try {
      return await gateway.ask(method, path, body, AbortSignal.timeout(this.#options.patienceMs));
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : undefined;
    }
  }

  #written(answer: FleetAnswer | 'refused' | undefined, what: string): Written {
    if (answer === undefined) return 'unknown';
    if (answer === 'refused') return 'refused';
    const { status, text } = answer;
    if (status === 200) return text === 'false' ? 'not-applied' : 'applied';
    if (status === 409 && what.startsWith('txn')) return 'not-applied';
    if (status === 500 && /not known|took the write/.test(text)) return 'unknown';
    if (status !== 500 || !/^No cluster leader|[Ii]nvalid session/.test(text)) {
      this.#problem(`${what}: ${status} ${text}`);
    }
    return 'refused';
  }

  #problem(text: string): void {
    if (this.problems.length < 20) this.problems.push(text);
  }

  async #write(
    gateway: FleetGateway,
    key: string,
    call: RegisterCall,
    send: () => Promise<FleetAnswer | 'refused' | undefined>,
  ): Promise<boolean> {
    const id = this.registers.invoke(gateway.name, key, call, performance.now());
    const answer = await send();
    const written = this.#written(answer, `write of ${key} at ${gateway.name}`);
    if (written === 'refused') this.registers.refused(id);
    else if (written !== 'unknown') {
      this.registers.complete(id, { applied: written === 'applied' }, performance.now());
    }
    return typeof answer === 'object';
  }

  async #read(
    gateway: FleetGateway,
    key: string,
    consistent: boolean,
  ): Promise<{ readonly value: string | null; readonly index: number } | undefined> {
    const recorder = consistent ? this.registers : this.localReads;
    const id = recorder.invoke(gateway.name, key, { kind: 'read' }, performance.now());
    const answer = await this.#ask(gateway, 'GET', `/v1/kv/${key}?raw${consistent ? '&consistent' : ''}`);
    if (typeof answer !== 'object' || ![200, 404].includes(answer.status)) {
      recorder.refused(id);
      if (typeof answer === 'object' && !(consistent && answer.text.startsWith('No cluster leader'))) {
        this.#problem(`read of ${key} at ${gateway.name}: ${answer.status} ${answer.text}`);
      }
      return undefined;
    }
    const value = answer.status === 404 ? null : answer.text;
    recorder.complete(id, { value }, performance.now());
    return { value, index: value === null ? 0 : answer.index };
  }

  async #readAndCas(gateway: FleetGateway, key: string, consistent: boolean): Promise<boolean> {
    const seen = await this.#read(gateway, key, consistent);
    if (seen === undefined) return false;
    const value = this.#value(gateway);
    return this.#write(gateway, key, { kind: 'cas', expected: seen.value, value }, () =>
      this.#ask(gateway, 'PUT', `/v1/kv/${key}?cas=${seen.index}`, value),
    );
  }

  async #putOnce(gateway: FleetGateway, prefix: string, bytes: number): Promise<boolean> {
    const value = this.#value(gateway);
    const key = `${prefix}once/${value}`;
    const answer = await this.#ask(gateway, 'PUT', `/v1/kv/${key}`, value.padEnd(bytes, '.'));
    if (this.#written(answer, `write of ${key} at ${gateway.name}`) === 'applied') {
      this.once.set(key, value.padEnd(bytes, '.'));
    }
    return typeof answer === 'object';
  }

  /** Increments a counter by compare-and-set on what this gateway shows. */
  async #count(gateway: FleetGateway, prefix: string): Promise<boolean> {
    const key = `${prefix}counter`;
    const counter = this.counters.get(prefix);
    const shown = await this.#ask(gateway, 'GET', `/v1/kv/${key}?raw`);
    if (typeof shown !== 'object' || counter === undefined) return false;
    const next = (shown.status === 404 ? 0 : Number(shown.text)) + 1;
    counter.tried = Math.max(counter.tried, next);
    const cas = shown.status === 404 ? 0 : shown.index;
    const answer = await this.#ask(gateway, 'PUT', `/v1/kv/${key}?cas=${cas}`, String(next));
    if (this.#written(answer, `increment of ${key} at ${gateway.name}`) === 'applied') {
      if (counter.acked.has(next)) this.#problem(`${key}: ${next} was acknowledged to two clients`);
      counter.acked.add(next);
      counter.highest = Math.max(counter.highest, next);
    }
    return typeof answer === 'object';
  }

  /** Sets two keys to one value in one transaction. */
  async #pair(gateway: FleetGateway, prefix: string): Promise<boolean> {
    const value = Buffer.from(this.#value(gateway)).toString('base64');
    const ops = ['a', 'b'].map((name) => ({
      KV: { Verb: 'set', Key: `${prefix}pair/${name}`, Value: value },
    }));
    const answer = await this.#ask(gateway, 'PUT', '/v1/txn', JSON.stringify(ops));
    this.#written(answer, `txn of ${prefix}pair/ at ${gateway.name}`);
    return typeof answer === 'object';
  }

  /** Reads several keys in one answer: those that are written together are never seen apart. */
  async #list(gateway: FleetGateway, prefix: string): Promise<boolean> {
    const answer = await this.#ask(gateway, 'GET', `/v1/kv/${prefix}pair/?recurse`);
    if (typeof answer !== 'object' || answer.status !== 200) return typeof answer === 'object';
    const values = (JSON.parse(answer.text) as { Value: string }[]).map(({ Value }) => Value);
    if (values.length !== 2 || values[0] !== values[1]) {
      this.#problem(`${gateway.name} shows half a transaction: ${answer.text}`);
    }
    return true;
  }

  async #lock(gateway: FleetGateway, key: string, rng: Rng, own: { session?: Session }): Promise<boolean> {
    if (rng.chance(0.2)) return this.#holder(gateway, key);
    if (own.session === undefined) return this.#newSession(gateway, own);
    const { session } = own;
    if (rng.chance(0.05)) {
      delete own.session;
      for (const lock of this.#locksOf(session.id))
        this.invalidate(session.id, lock, performance.now(), true);
      return typeof (await this.#ask(gateway, 'PUT', `/v1/session/destroy/${session.id}`)) === 'object';
    }
    const kind = rng.chance(0.6) ? 'acquire' : 'release';
    const id = this.locks.invoke(gateway.name, key, { kind, session: session.id }, performance.now());
    const path = `/v1/kv/${key}?${kind}=${session.id}`;
    const answer = await this.#ask(gateway, 'PUT', path, this.#value(gateway));
    const written = this.#written(answer, `${kind} of ${key} at ${gateway.name}`);
    if (written === 'refused') this.locks.refused(id);
    else if (written !== 'unknown') {
      this.locks.complete(id, { applied: written === 'applied' }, performance.now());
    }
    if (typeof answer === 'object' && /invalid session/i.test(answer.text)) delete own.session;
    return typeof answer === 'object';
  }

  async #newSession(gateway: FleetGateway, own: { session?: Session }): Promise<boolean> {
    const answer = await this.#ask(gateway, 'PUT', '/v1/session/create', '{"LockDelay":"0s"}');
    if (typeof answer === 'object' && answer.status === 200) {
      const { ID } = JSON.parse(answer.text) as { ID: string };
      own.session = { id: ID, gateway: gateway.name };
      this.sessions.push(own.session);
    }
    return typeof answer === 'object';
  }

  async #holder(gateway: FleetGateway, key: string): Promise<boolean> {
    const id = this.locks.invoke(gateway.name, key, { kind: 'holder' }, performance.now());
    const answer = await this.#ask(gateway, 'GET', `/v1/kv/${key}?consistent`);
    if (typeof answer !== 'object' || ![200, 404].includes(answer.status)) {
      this.locks.refused(id);
      return typeof answer === 'object';
    }
    const [row] = answer.status === 404 ? [] : (JSON.parse(answer.text) as { Session?: string }[]);
    this.locks.complete(id, { holder: row?.Session ?? null }, performance.now());
    return true;
  }

  #locksOf(session: string): ReadonlySet<string> {
    const used = this.locks
      .operations()
      .filter(({ call }) => 'session' in call && call.session === session && call.kind === 'acquire');
    return new Set(used.map(({ key }) => key));
  }

  /** The owner of the lock may take it from the session from now on, at any time, or never. */
  invalidate(session: string, key: string, atMs: number, final: boolean): void {
    this.locks.invoke('owner', key, { kind: 'invalidate', session, final }, atMs);
  }

  /** At that time some gateway held another one for failed: its sessions may have lost what they held. */
  suspected(gateway: string, atMs: number): void {
    for (const session of this.sessions) {
      if (session.gateway !== gateway) continue;
      for (const key of this.#locksOf(session.id)) this.invalidate(session.id, key, atMs, false);
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
