import { isLive } from '../../../src/swim/member.ts';
import type { OriginId } from '../../../src/crdt/dot.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { Fleet } from './fleet.ts';
import type { SimGateway } from './gateway.ts';
import type { LentZones } from './lent-zones.ts';

interface Position {
  readonly origin: OriginId;
  readonly seq: number;
}

const holdMs = 3000;
const pollMs = 10;

/**
 * The steps of a cutover, or of the way back, as migration/live/control/choreography.ts makes them, over a network that
 * loses whole calls: whatever is not done in time calls it off.
 */
export class AuthorityMove {
  readonly #fleet: Fleet;
  readonly #zones: LentZones;
  readonly #owner: SimGateway;
  readonly #rule: PhaseRule;
  readonly #back: boolean;
  readonly #untilMs: number;
  readonly #run: number;
  readonly #heads = new Map<OriginId, Position>();
  #names: readonly SimGateway[] = [];
  #fenced = false;
  #over = false;
  #stage = 'begin';

  constructor(fleet: Fleet, zones: LentZones, owner: SimGateway, rule: PhaseRule) {
    this.#fleet = fleet;
    this.#zones = zones;
    this.#owner = owner;
    this.#rule = rule;
    this.#back = rule.phase === 'cutover';
    this.#run = owner.run;
    this.#untilMs = fleet.nowMs + holdMs;
    this.#begin();
    fleet.queue.at(this.#untilMs, () => this.#callOff(`not in time at ${this.#stage}`));
  }

  get isOver(): boolean {
    return this.#over;
  }

  #begin(): void {
    const members = this.#owner.machine?.swim.members() ?? [];
    const byId = new Map(this.#fleet.gateways.map((gateway) => [gateway.nodeId, gateway]));
    const live = members.filter(isLive).map(({ facts }) => byId.get(facts.id));
    this.#names = live.filter((gateway) => gateway !== undefined);
    const isWhole = this.#names.length === this.#fleet.gateways.length;
    // On the way back everybody has to be there: who is not may still hand writes to the owner.
    if (this.#back && !isWhole) return this.#callOff('somebody is away');
    if (this.#back) this.#zones.copyBack(this.#owner, this.#rule.prefix);
    return this.#hold(isWhole);
  }

  #hold(isWhole: boolean): void {
    const { prefix } = this.#rule;
    const next = (): void => (isWhole || this.#back ? this.#compare() : this.#fence(() => this.#compare()));
    this.#all(
      'hold',
      (gateway, done) =>
        this.#zones.hold(gateway, prefix, this.#untilMs, () => {
          this.#add(gateway);
          done();
        }),
      next,
    );
  }

  #compare(): void {
    const { prefix } = this.#rule;
    if (this.#back) {
      return this.#call(
        'copy back',
        this.#owner,
        (done) => {
          this.#zones.copyBack(this.#owner, prefix);
          done();
        },
        () => this.#see(),
      );
    }
    const runner = this.#names[0] as SimGateway;
    return this.#call(
      'compare',
      runner,
      (done) =>
        this.#zones.mirror(runner, prefix, () => {
          this.#add(runner);
          done();
        }),
      () => this.#see(),
    );
  }

  #see(): void {
    const next = (): void => (this.#back || this.#fenced ? this.#step() : this.#fence(() => this.#step()));
    this.#all('heads', (gateway, done) => this.#untilSeen(gateway, done), next);
  }

  #untilSeen(gateway: SimGateway, done: () => void): void {
    const { run } = gateway;
    const heads = [...this.#heads.values()];
    const look = (): void => {
      if (this.#over || gateway.run !== run) return;
      if (heads.every(({ origin, seq }) => this.#fleet.seenUpTo(gateway, origin) >= seq)) done();
      else this.#fleet.queue.after(pollMs, look);
    };
    look();
  }

  #fence(next: () => void): void {
    this.#stage = 'fence';
    this.#fleet.queue.after(pollMs, () => {
      if (this.#over) return;
      this.#fenced = true;
      this.#zones.source.fence(this.#rule.prefix, this.#rule.term + 1);
      this.#fleet.queue.after(pollMs, () => this.#goOn(next));
    });
  }

  #step(): void {
    this.#stage = 'step';
    const { prefix, step } = this.#rule;
    const phase = this.#back ? 'local-reads' : 'cutover';
    this.#fleet.clients.command(
      this.#owner,
      {
        ...{ kind: 'migration-step', of: 'kv', prefix, phase, expectStep: step, reason: '', overridden: [] },
        fences: [...this.#heads.values()],
      },
      (outcome) => {
        if (outcome.kind !== 'migration')
          return this.#callOff(`${outcome.kind} at step`, outcome.kind === 'refused');
        return this.#end(`${prefix} goes to ${phase}`, phase);
      },
    );
  }

  /** How far a gateway's log counts. */
  #add({ machine }: SimGateway): void {
    if (machine === undefined) return;
    const { origin, headSeq: seq } = machine.replica;
    this.#heads.set(origin, { origin, seq });
  }

  #all(stage: string, work: (gateway: SimGateway, done: () => void) => void, next: () => void): void {
    let left = this.#names.length;
    for (const gateway of this.#names) {
      this.#call(
        stage,
        gateway,
        (done) => work(gateway, done),
        () => {
          left -= 1;
          if (left === 0) next();
        },
      );
    }
  }

  /** A question of the owner's to a gateway, there and back. What gets lost is never answered. */
  #call(stage: string, to: SimGateway, work: (done: () => void) => void, next: () => void): void {
    this.#stage = stage;
    const { network, queue } = this.#fleet;
    const owner = this.#owner;
    const delayMs = network.delayMs(owner.region, to.region) + 0.3;
    const { run } = to;
    const reaches = (): boolean =>
      to.isUp && to.run === run && queue.nowMs >= to.pausedUntilMs && !network.isCutBetween(owner, to);
    queue.after(delayMs, () => {
      if (this.#over || !reaches()) return;
      work(() => {
        if (reaches()) queue.after(delayMs, () => this.#goOn(next));
      });
    });
  }

  #goOn(next: () => void): void {
    if (this.#over) return;
    if (this.#owner.run !== this.#run || !this.#owner.isUp) this.#callOff('its owner ended');
    else next();
  }

  /** `certain`: no step of this move comes any more. */
  #callOff(why: string, certain = this.#stage !== 'step'): void {
    if (this.#over) return;
    // The fence stays where the step may have been made all the same.
    if (this.#fenced && certain) this.#zones.source.fence(this.#rule.prefix, this.#rule.term);
    this.#end(`${this.#rule.prefix} is called off: ${why}`, 'called off');
  }

  #end(text: string, what: string): void {
    this.#over = true;
    this.#fleet.log(text);
    this.#zones.count(what);
    for (const gateway of this.#names) this.#zones.release(gateway, this.#rule.prefix);
  }
}
