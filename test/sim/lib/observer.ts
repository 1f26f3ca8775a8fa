import { isReplicated, Kind } from '../../../src/state/kinds.ts';
import type { GatewayMachine } from '../../../src/node/gateway-machine.ts';
import type { Row } from '../../../src/state/store.ts';
import { zoneOf } from '../../../src/state/zones.ts';
import { look } from './clients.ts';
import type { Change, Disk } from './disk.ts';
import type { Fleet } from './fleet.ts';
import type { SimGateway } from './gateway.ts';
import { isAbove, registerName, rowText } from './ledger.ts';
import { wordProblem } from './lent-verdict.ts';

interface Life {
  /** Rises when the gateway is restored from a backup. */
  number: number;
  readonly beganMs: number[];
  highestIndex: number;
  /** The newest version of each register that this gateway has had, deleted ones too. */
  newest: Map<string, Row>;
  /** Highest incarnation that this process has seen of each member. */
  incarnations: Map<string, number>;
  ownIncarnation: number;
  /** Until the last inspection. */
  ticks: number;
}

/** Between two inspections, 250 ms apart; a gateway ticks once in a millisecond at most. */
const ticksMax = 245;

/** Problems kept at most: the first ones tell. */
const problemsMax = 20;

/** Looks at every commit and every now and then, and says what must never be. */
export class Observer {
  readonly problems: string[] = [];
  readonly #fleet: Fleet;
  readonly #lives = new Map<SimGateway, Life>();
  /** Who accepted writes of a zone under a term. */
  readonly #owners = new Map<string, string>();
  #freshnessChecks = 0;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  get freshnessChecks(): number {
    return this.#freshnessChecks;
  }

  problem(text: string): void {
    this.#fleet.log(`PROBLEM ${text}`);
    if (this.problems.length < problemsMax)
      this.problems.push(`at ${this.#fleet.nowMs.toFixed(3)} ms: ${text}`);
  }

  /** From now on the commits of a disk are looked at. */
  follow(gateway: SimGateway, disk: Disk): void {
    disk.onCommit = (changes) => this.#onCommit(gateway, changes);
    if (!this.#lives.has(gateway)) {
      this.#lives.set(gateway, {
        number: 0,
        beganMs: [0],
        highestIndex: 0,
        newest: new Map(),
        incarnations: new Map(),
        ownIncarnation: 0,
        ticks: 0,
      });
    }
  }

  started(gateway: SimGateway): void {
    const life = this.#life(gateway);
    life.incarnations = new Map();
    const incarnation = gateway.machine?.swim.self.incarnation ?? 0;
    if (incarnation < life.ownIncarnation) {
      this.problem(`${gateway.name} starts with incarnation ${incarnation}, and had ${life.ownIncarnation}`);
    }
    this.committed(gateway);
  }

  /** Its disk is about to be put back: what was there only is gone, and it will show older indexes again. */
  restoring(gateway: SimGateway): void {
    const life = this.#life(gateway);
    life.number += 1;
    life.beganMs.push(this.#fleet.nowMs);
    life.highestIndex = 0;
    life.newest = new Map();
    life.ownIncarnation = 0;
    for (const { machine } of this.#fleet.up) {
      this.#fleet.excuseOwned(gateway, machine?.replica.zones ?? []);
    }
  }

  wasRestored(nodeId: string): boolean {
    return [...this.#lives].some(([gateway, { number }]) => gateway.nodeId === nodeId && number > 0);
  }

  /** Which life a gateway (by name) was in at a time. */
  lifeAt(name: string, atMs: number): number {
    for (const [gateway, life] of this.#lives) {
      if (gateway.name === name) return life.beganMs.filter((began) => began <= atMs).length;
    }
    return 0;
  }

  committed(gateway: SimGateway): void {
    const { machine } = gateway;
    if (machine === undefined) return;
    const life = this.#life(gateway);
    const index = machine.replica.highestIndex;
    if (index < life.highestIndex)
      this.problem(`${gateway.name}: index fell from ${life.highestIndex} to ${index}`);
    life.highestIndex = index;
  }

  /** To be called now and then. */
  inspect(): void {
    for (const gateway of this.#fleet.gateways) {
      const { machine } = gateway;
      if (machine === undefined) continue;
      this.#inspectIncarnations(gateway, machine);
      this.#inspectFreshness(gateway, machine);
      this.#inspectGroups(gateway);
      this.#inspectTicks(gateway);
    }
  }

  /** A machine that asks to be called again in no time keeps a core busy for nothing. */
  #inspectTicks(gateway: SimGateway): void {
    const life = this.#life(gateway);
    const ticks = gateway.ticks - life.ticks;
    life.ticks = gateway.ticks;
    if (ticks > ticksMax) this.problem(`${gateway.name} ticked ${ticks} times since the last inspection`);
  }

  #life(gateway: SimGateway): Life {
    const life = this.#lives.get(gateway);
    if (life === undefined) throw new Error(`${gateway.name} is not followed`);
    return life;
  }

  #onCommit(gateway: SimGateway, changes: readonly Change[]): void {
    const { nowMs, ledger } = this.#fleet;
    const { newest } = this.#life(gateway);
    for (const { after } of changes) {
      if (!isReplicated(after.kind)) continue;
      const name = registerName(after);
      const before = newest.get(name);
      if (before !== undefined && isAbove(before, after) && !isSetAside(gateway, before)) {
        this.problem(`${gateway.name}: a register went back from ${rowText(before)} to ${rowText(after)}`);
      }
      newest.set(name, after);
      const untrue = wordProblem(this.#fleet, after);
      if (untrue !== undefined) this.problem(`${gateway.name}: ${untrue}`);
      const writer = this.#fleet.writerOf(gateway, after);
      if (writer !== undefined) this.#inspectDot(gateway, writer.origin, after);
      if (writer?.nodeId !== gateway.nodeId) continue;
      ledger.add({ gateway: gateway.name, ...writer, seq: after.seq, row: after, atMs: nowMs });
      if (after.kind === Kind.kv) this.#oneOwner(gateway, after.key, after.term);
    }
  }

  /** Where one register of a log entry is, the others of it are, or what overwrote them. */
  #inspectDot(gateway: SimGateway, origin: string, row: Row): void {
    const { ledger, excuses, lent } = this.#fleet;
    // What was set aside is not there, and rightly so.
    if (
      row.kind !== Kind.kv ||
      lent.prefixes.some((prefix) => row.key.startsWith(prefix)) ||
      excuses.takenOver.size + excuses.restored.size > 0
    )
      return;
    for (const other of ledger.dot(origin, row.seq)) {
      const held = gateway.store.get(other.kind, other.key);
      if (held === undefined ? other.value === null : !isAbove(other, held)) continue;
      this.problem(
        `${gateway.name}: part of an entry: ${rowText(row)} without ${rowText(other)}, but ${held === undefined ? 'nothing' : rowText(held)}`,
      );
    }
  }

  /** Of each zone and term one gateway at most ever accepts writes. */
  #oneOwner(gateway: SimGateway, key: string, term: number): void {
    const zone = zoneOf(gateway.machine?.replica.zones ?? [], key);
    // What is lent anybody relays.
    if (zone === undefined || zone.lent === true) return;
    const name = `${zone.prefix} term ${term}`;
    const owner = this.#owners.get(name);
    if (owner === undefined) this.#owners.set(name, gateway.name);
    else if (owner !== gateway.name) {
      this.problem(
        `two gateways wrote zone ${JSON.stringify(zone.prefix)} under term ${term}: ${owner} and ${gateway.name} (${key})`,
      );
    }
  }

  #inspectIncarnations(gateway: SimGateway, machine: GatewayMachine): void {
    const { incarnations } = this.#life(gateway);
    this.#life(gateway).ownIncarnation = machine.swim.self.incarnation;
    for (const { facts, incarnation } of machine.swim.members()) {
      const before = incarnations.get(facts.id) ?? 0;
      if (incarnation < before) {
        this.problem(`${gateway.name}: incarnation of ${facts.name} fell from ${before} to ${incarnation}`);
      }
      incarnations.set(facts.id, incarnation);
    }
  }

  /** "This replica had all that its owner had written up to so long ago" must be true. */
  #inspectFreshness(gateway: SimGateway, machine: GatewayMachine): void {
    const { nowMs, ledger, plan } = this.#fleet;
    for (const other of this.#fleet.gateways) {
      // What a restored gateway had written before, it does not know of: nor can who believes it.
      if (other === gateway || this.#life(other).number > 0) continue;
      const ageMs = machine.replication.freshness(other.nodeId, gateway.now)?.ageMs;
      if (ageMs === undefined || ageMs === Infinity) continue;
      this.#freshnessChecks += 1;
      // Clocks drift against each other while the age is counted.
      const provenMs = nowMs - ageMs * (1 + (4 * plan.driftPpm) / 1e6) - 0.5;
      for (const origin of ledger.originsOf(other.nodeId)) {
        const head = ledger.headAt(origin, provenMs);
        const seen = this.#fleet.seenUpTo(gateway, origin);
        if (seen < head) {
          this.problem(
            `${gateway.name} claims all of ${other.name} up to ${ageMs.toFixed(1)} ms ago, has seen ${seen} of ${head}`,
          );
        }
      }
    }
  }

  /** Keys that are only written together never differ. */
  #inspectGroups(gateway: SimGateway): void {
    for (const keys of this.#fleet.clients.groups) {
      const values = keys.map((key) => look(gateway, key).value);
      if (new Set(values).size > 1)
        this.problem(`${gateway.name}: half a transaction: ${keys[0]} … ${values.join(' ')}`);
    }
  }
}

/** What was written under a grant that lost is a conflict, and gives way to what it had overwritten. */
function isSetAside(gateway: SimGateway, row: Row): boolean {
  const conflicts = gateway.store.setAside('conflicts', 0, Infinity);
  return conflicts.some(({ kind, key, term, stamp }) => {
    return kind === row.kind && key === row.key && term === row.term && stamp === row.stamp;
  });
}
