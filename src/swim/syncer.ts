import { endpointText, sameEndpoint, type Endpoint } from '../wire/endpoint.ts';
import type { SwimCore } from './core.ts';
import { isLive, nameKey, type Member, type MemberFacts } from './member.ts';
import { overrides } from './merge.ts';
import {
  summaryMax,
  updateBytes,
  type MemberSummary,
  type MemberUpdate,
  type PushPull,
  type PushPullReply,
  type RefusalKind,
  type SwimMessage,
} from './messages.ts';
import type { Prober } from './prober.ts';
import type { Timer } from './timers.ts';

type Refusal = Extract<SwimMessage, { kind: 'refusal' }>;
type Summary = Extract<SwimMessage, { kind: 'summary' }>;

/** How an exchange that this member began ended. */
export type SyncOutcome =
  /** `equal`: there was no difference, apart from what each said of itself. */
  | { readonly kind: 'met'; readonly equal: boolean }
  | { readonly kind: 'refused'; readonly reason: RefusalKind; readonly text: string }
  /** This member does not want the other. */
  | { readonly kind: 'objected'; readonly text: string }
  | { readonly kind: 'unreachable'; readonly text: string };

interface Pending {
  readonly to: Endpoint;
  readonly done: (outcome: SyncOutcome) => void;
  readonly timer: Timer;
}

/** Somebody claims the id of a member that lives elsewhere: it is let in when that one does not answer. */
interface Claim {
  readonly from: Endpoint;
  readonly message: PushPull;
  readonly timer: Timer;
}

const pendingMax = 1024;
const claimsMax = 64;
const summaryEntries = Math.min(500, summaryMax);
/** Size of a message with many members. */
const membersBytes = 32_768;
/** Members asked directly, at once, when somebody else sees them otherwise than this one. */
const verifyMax = 4;

/** Compares the whole membership with one other, over streams: joining, and repair of what gossip has missed. */
export class Syncer {
  readonly #core: SwimCore;
  readonly #prober: Prober;
  readonly #pending = new Map<number, Pending>();
  readonly #claims = new Map<number, Claim>();
  /** Somebody who compared itself with this member was found to differ. */
  onDifference: () => void = () => {};

  constructor(core: SwimCore, prober: Prober) {
    this.#core = core;
    this.#prober = prober;
  }

  begin(to: Endpoint, done: (outcome: SyncOutcome) => void): void {
    const core = this.#core;
    if (this.#pending.size >= pendingMax) {
      core.counters.dropped += 1;
      done({ kind: 'unreachable', text: 'too many exchanges at once' });
      return;
    }
    core.counters.syncs += 1;
    const seq = core.nextSeq;
    const limitMs = core.profile.streamTimeoutMs;
    const timer = core.timers.at(core.nowMs + limitMs, () =>
      this.#end(seq, { kind: 'unreachable', text: `no answer within ${limitMs / 1000} s` }),
    );
    this.#pending.set(seq, { to, done, timer });
    core.send(to, 'stream', { kind: 'push-pull', ...this.#introduction(seq) });
  }

  /** The stream lane could not deliver to there. */
  undeliverable(to: Endpoint, reason: string): void {
    for (const [seq, pending] of [...this.#pending]) {
      if (sameEndpoint(pending.to, to)) this.#end(seq, { kind: 'unreachable', text: reason });
    }
  }

  /** Nothing more will come: whoever waits is told. */
  abandon(reason: string): void {
    for (const seq of [...this.#pending.keys()]) this.#end(seq, { kind: 'unreachable', text: reason });
  }

  // ---- asked ----

  onPushPull(from: Endpoint, message: PushPull): void {
    const core = this.#core;
    const { facts, run } = message;
    if (facts.id === core.selfId) {
      // To itself, as lists of addresses to join name all of them.
      if (run === core.run) this.#reply(from, message);
      else
        this.#refuse(
          from,
          message,
          'id',
          `node id ${facts.id} is that of this gateway, ${shown(core.self.facts)}`,
        );
      return;
    }
    const problem = this.#problem(message);
    if (problem !== undefined) return this.#refuse(from, message, ...problem);
    const known = core.roster.get(facts.id);
    if (known !== undefined && isLive(known) && !sameEndpoint(known.facts.endpoint, facts.endpoint)) {
      return this.#challenge(from, message, known);
    }
    this.#admit(from, message);
  }

  #problem({ cluster, facts }: PushPull | PushPullReply): readonly [RefusalKind, string] | undefined {
    const core = this.#core;
    // First: that it is of another datacenter says more than that it is of another cluster.
    const foreign = core.refuses(facts);
    if (foreign !== undefined) return ['foreign', foreign];
    if (core.cluster !== '' && cluster !== '' && core.cluster !== cluster) {
      return [
        'cluster',
        `clusters are never merged: ${core.self.facts.name} is of ${core.cluster}, ${facts.name} of ${cluster}`,
      ];
    }
    const { protocolMin, protocolMax } = core.self.facts;
    if (facts.protocolMin > protocolMax || facts.protocolMax < protocolMin) {
      const theirs = `${facts.protocolMin} to ${facts.protocolMax}`;
      return [
        'protocol',
        `${facts.name} speaks gossip ${theirs}, ${core.self.facts.name} ${protocolMin} to ${protocolMax}`,
      ];
    }
    const holder = core.roster.byName(nameKey(facts));
    if (holder !== undefined && holder.facts.id !== facts.id && isLive(holder)) {
      core.conflict(holder.facts, facts);
      return ['name', `node name "${facts.name}" is in use by ${shown(holder.facts)}`];
    }
    if (core.roster.get(facts.id) === undefined && core.roster.size >= core.profile.membersMax) {
      return ['full', `the pool has ${core.roster.size} members, the most that there may be`];
    }
    return undefined;
  }

  /** A member elsewhere with the id of one that lives: moved, or a copy of it. Who is at the old place knows. */
  #challenge(from: Endpoint, message: PushPull, known: Member): void {
    const core = this.#core;
    if (this.#claims.size >= claimsMax) {
      core.counters.dropped += 1;
      return;
    }
    const seq = core.nextSeq;
    const { id, endpoint } = known.facts;
    const limitMs = Math.min(this.#prober.directTimeoutMs(id), core.profile.streamTimeoutMs / 2);
    const timer = core.timers.at(core.nowMs + limitMs, () => {
      this.#claims.delete(seq);
      const problem = this.#problem(message);
      if (problem !== undefined) this.#refuse(from, message, ...problem);
      else this.#admit(from, message);
    });
    this.#claims.set(seq, { from, message, timer });
    this.#prober.ping(seq, id, endpoint, 'packet');
    this.#prober.ping(seq, id, endpoint, 'stream');
  }

  /** Whether an ack answers a challenge. */
  onAck(seq: number, run: number): boolean {
    const core = this.#core;
    const claim = this.#claims.get(seq);
    if (claim === undefined) return false;
    this.#claims.delete(seq);
    claim.timer.run = null;
    const { from, message } = claim;
    const known = core.roster.get(message.facts.id);
    if (run === message.run || known === undefined) this.#admit(from, message);
    else {
      core.conflict(known.facts, message.facts);
      this.#refuse(
        from,
        message,
        'id',
        `node id ${message.facts.id} is in use by ${shown(known.facts)}, which answers there`,
      );
    }
    return true;
  }

  #admit(from: Endpoint, message: PushPull): void {
    const core = this.#core;
    this.#adopt(message);
    core.recollection.contact(core.nowMs);
    core.apply(introduced(message), 'direct', message.facts.id);
    this.#reply(from, message);
    if (message.digest === core.roster.digest) return;
    this.onDifference();
    if (!core.recollection.confirmed(core.nowMs)) return;
    // Who knows nobody wants all; else the differences are found first.
    if (message.members * 4 <= core.roster.size) this.#sendMembers(from, this.#toldIds());
    else this.#sendSummary(from);
  }

  #reply(from: Endpoint, { seq }: PushPull): void {
    this.#core.send(from, 'stream', { kind: 'push-pull-reply', ...this.#introduction(seq) });
  }

  #refuse(from: Endpoint, { seq }: PushPull, reason: RefusalKind, why: string): void {
    const core = this.#core;
    core.counters.refusalsSent += 1;
    core.send(from, 'stream', {
      kind: 'refusal',
      seq,
      cluster: core.cluster,
      reason,
      text: why.slice(0, 1024),
    });
  }

  // ---- answered ----

  onReply(message: PushPullReply): void {
    const core = this.#core;
    const pending = this.#pending.get(message.seq);
    if (pending === undefined) return;
    if (message.facts.id !== core.selfId) {
      const problem = this.#problem(message);
      if (problem !== undefined) return this.#end(message.seq, { kind: 'objected', text: problem[1] });
      this.#adopt(message);
      core.recollection.contact(core.nowMs);
      core.apply(introduced(message), 'direct', message.facts.id);
      if (message.digest === core.roster.digest) core.recollection.confirm();
    }
    this.#end(message.seq, { kind: 'met', equal: message.digest === core.roster.digest });
  }

  onRefusal({ seq, reason, text }: Refusal): void {
    if (!this.#pending.has(seq)) return;
    this.#core.counters.refusalsReceived += 1;
    this.#end(seq, { kind: 'refused', reason, text });
  }

  /** Finds what either side lacks: tells the one, asks for the other. */
  onSummary(from: Endpoint, { sender, from: first, to, entries }: Summary): void {
    const core = this.#core;
    const theirs = new Map(entries.map((entry) => [entry.id, entry]));
    const lacking: string[] = [];
    const missed: Member[] = [];
    for (const id of [...core.roster.ids(), ...core.roster.pruned().keys()]) {
      if (id < first || (to !== '' && id >= to)) continue;
      const held = this.#summaryOf(id);
      const told = theirs.get(id);
      if (held === undefined) continue;
      // What was kept from the last run and the other lacks may have been forgotten meanwhile.
      if (told === undefined && !core.settled) core.doubt(id);
      if (core.roster.get(id) === undefined && held.state !== 'pruned') continue;
      if (core.recollection.doubts(id)) continue;
      if (told === undefined || overrides(held, told) || held.factsIncarnation > told.factsIncarnation)
        lacking.push(id);
      if (told !== undefined && held.state === 'failed' && isLive(told)) this.#miss(missed, id);
    }
    const wanted = entries
      .filter((told) => {
        const held = this.#summaryOf(told.id);
        return held === undefined || overrides(told, held) || told.factsIncarnation > held.factsIncarnation;
      })
      .map(({ id }) => id);
    if (lacking.length > 0) this.#sendMembers(from, lacking);
    if (wanted.length > 0)
      core.send(from, 'stream', { kind: 'want', sender: core.selfId, ids: wanted.slice(0, summaryMax) });
    if (to === '') core.recollection.confirm();
    for (const member of missed) if (member.facts.id !== sender) this.#prober.call(member);
  }

  onWant(from: Endpoint, ids: readonly string[]): void {
    this.#sendMembers(from, ids);
  }

  onMembers(sender: string, updates: readonly MemberUpdate[]): void {
    const core = this.#core;
    const suspected: Member[] = [];
    for (const update of updates) {
      const before = core.roster.get(update.id)?.state;
      core.apply(update, 'sync', sender);
      const after = core.roster.get(update.id);
      // Heard of as failed while it was thought to live: ask it, so that it hears of it and can refute.
      if (before === 'alive' && after?.state === 'suspect' && suspected.length < verifyMax)
        suspected.push(after);
    }
    for (const member of suspected) this.#prober.probe(member);
  }

  // ---- inside ----

  #miss(missed: Member[], id: string): void {
    const member = this.#core.roster.get(id);
    if (member !== undefined && missed.length < verifyMax) missed.push(member);
  }

  #end(seq: number, outcome: SyncOutcome): void {
    const pending = this.#pending.get(seq);
    if (pending === undefined) return;
    pending.timer.run = null;
    this.#pending.delete(seq);
    pending.done(outcome);
  }

  #adopt({ cluster }: PushPull | PushPullReply): void {
    const core = this.#core;
    if (core.cluster !== '' || cluster === '') return;
    core.cluster = cluster;
    core.effect({ kind: 'cluster', id: cluster });
  }

  #introduction(seq: number): Omit<PushPull, 'kind'> {
    const core = this.#core;
    const { facts, incarnation, factsIncarnation } = core.self;
    const { digest, size: members } = core.roster;
    return {
      seq,
      run: core.run,
      cluster: core.cluster,
      incarnation,
      factsIncarnation,
      facts,
      digest,
      members,
    };
  }

  /** Those that were pruned too: they are news to who has not heard of it. */
  #toldIds(): string[] {
    const core = this.#core;
    return [...core.roster.ids(), ...core.roster.pruned().keys()].filter(
      (id) => !core.recollection.doubts(id),
    );
  }

  #summaryOf(id: string): MemberSummary | undefined {
    const told = this.#core.told(id, false);
    if (told === undefined) return undefined;
    const { incarnation, state, factsIncarnation } = told;
    return { id, incarnation, state, factsIncarnation };
  }

  #sendSummary(to: Endpoint): void {
    const core = this.#core;
    const ids = this.#toldIds().toSorted((a, b) => (a < b ? -1 : 1));
    for (let at = 0; at < ids.length; at += summaryEntries) {
      const entries = ids
        .slice(at, at + summaryEntries)
        .map((id) => this.#summaryOf(id))
        .filter((entry) => entry !== undefined);
      core.send(to, 'stream', {
        kind: 'summary',
        sender: core.selfId,
        from: at === 0 ? '' : (ids[at] as string),
        to: ids[at + summaryEntries] ?? '',
        entries,
      });
    }
  }

  #sendMembers(to: Endpoint, ids: Iterable<string>): void {
    const core = this.#core;
    let updates: MemberUpdate[] = [];
    let bytes = 0;
    const flush = (): void => {
      if (updates.length > 0) core.send(to, 'stream', { kind: 'members', sender: core.selfId, updates });
      updates = [];
      bytes = 0;
    };
    for (const id of ids) {
      const update = core.told(id, true);
      if (update === undefined) continue;
      bytes += updateBytes(update);
      updates.push(update);
      if (bytes >= membersBytes || updates.length >= summaryEntries) flush();
    }
    flush();
  }
}

function introduced({ facts, incarnation, factsIncarnation }: PushPull | PushPullReply): MemberUpdate {
  return { id: facts.id, incarnation, state: 'alive', factsIncarnation, facts, by: null, ageMs: 0 };
}

function shown({ name, id, endpoint }: MemberFacts): string {
  return `${name} (${id}) at ${endpointText(endpoint)}`;
}
