import type { Instant } from '../kernel/instant.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { AppliedWaiters } from './applied-waiters.ts';
import type { Owner } from './forwarding.ts';
import type { Confirm, ConfirmReply, LogPosition, RpcMessage } from './rpc-messages.ts';

interface Unconfirmed {
  readonly kind: 'unconfirmed';
  readonly zone: string;
  readonly owner: string;
  readonly reason: string;
}

/** What a consistent read waits for. */
export type Confirmation = { readonly kind: 'confirmed' } | Unconfirmed;

/** Something that a read spans, with who decides it. */
export interface ConfirmedZone {
  readonly prefix: string;
  readonly ownerId: string;
  /** Of the grant in force; 0 of what a gateway writes as its own, in no zone. */
  readonly term: number;
}

export interface ConfirmingOptions {
  readonly nodeId: string;
  readonly waiters: AppliedWaiters;
  readonly position: () => LogPosition;
  readonly owner: (nodeId: string) => Owner | undefined;
  /** Why this gateway does not decide for the zone now; undefined: it does. */
  readonly ownProblem: (prefix: string) => string | undefined;
  /** Term of a zone as far as is known here; 0: there is no such zone. */
  readonly termOf: (prefix: string) => number;
  /** Whether a zone is known here at that term or a later one, with all that its owners before logged. */
  readonly hasZone: (prefix: string, term: number) => boolean;
  readonly send: (to: Endpoint, message: RpcMessage) => void;
  readonly holdMs: number;
}

/** One read that wants to be consistent. */
interface Question {
  /** What it spans, by what is known here now. */
  readonly zones: () => readonly ConfirmedZone[];
  readonly dueMs: number;
  readonly done: (result: Confirmation) => void;
  /** How often it was asked again. */
  retries: number;
  isOver: boolean;
}

/** The owners of a question's zones, asked all at the same time. */
interface Round {
  readonly question: Question;
  /** Terms that the owners named, by prefix. */
  readonly terms: Map<string, number>;
  open: number;
}

interface Asked {
  readonly round: Round;
  readonly owner: string;
  readonly zones: readonly string[];
}

/** Questions under way at most: one more is refused. */
const askedMax = 50_000;
/** Between two attempts while a zone moves: at first, and at most. */
const retryMsMin = 10;
const retryMsMax = 200;

const confirmed: Confirmation = { kind: 'confirmed' };

/**
 * Consistent reads from the local replica (as Raft's ReadIndex: Ongaro, 2014, 6.4): the owners of all zones that a
 * read spans say where their logs stand now, and once this replica has all of that, whatever was acknowledged before
 * the question is here. The answer keeps this gateway's own indexes, and a prefix over several zones costs one round
 * trip to the furthest owner.
 *
 * What an owner has includes what the owners before it logged: the reader waits until it knows the owner's grant, and
 * has what that says of the logs before. Then it may know of zones, or owners, that it did not ask: it asks again.
 */
export class Confirming {
  readonly #options: ConfirmingOptions;
  readonly #asked = new Map<number, Asked>();
  /** Answered by all owners, but something of that is not here yet. */
  #awaiting: Round[] = [];
  /** Whose zone is moving. */
  #later: { readonly atMs: number; readonly question: Question; readonly problem: Unconfirmed }[] = [];
  #nextId = 1;
  #nowMs = -Infinity;
  readonly counts = { asked: 0, served: 0, unconfirmed: 0 };

  constructor(options: ConfirmingOptions) {
    this.#options = options;
  }

  get nextTickMs(): number {
    let next = Infinity;
    for (const { round } of this.#asked.values()) next = Math.min(next, round.question.dueMs);
    for (const { question } of this.#awaiting) next = Math.min(next, question.dueMs);
    for (const { atMs } of this.#later) next = Math.min(next, atMs);
    return next;
  }

  /** Calls `done` once, with the first problem or when all owners are caught up with. */
  confirm(zones: () => readonly ConfirmedZone[], now: Instant, done: (result: Confirmation) => void): void {
    this.#nowMs = now.monoMs;
    const dueMs = now.monoMs + this.#options.holdMs;
    this.#ask({ zones, dueMs, done, retries: 0, isOver: false });
  }

  receive(from: Endpoint, message: Confirm | ConfirmReply, now: Instant): void {
    this.#nowMs = now.monoMs;
    if (message.kind === 'confirm') this.#serve(from, message);
    else this.#settle(message);
  }

  /** After each batch: what was waited for may have come. */
  look(now: Instant): void {
    this.#nowMs = now.monoMs;
    if (this.#awaiting.length === 0) return;
    const awaiting = this.#awaiting;
    this.#awaiting = [];
    for (const round of awaiting) this.#conclude(round);
  }

  tick(now: Instant): void {
    this.look(now);
    for (const [id, { round, owner, zones }] of this.#asked) {
      if (now.monoMs < round.question.dueMs) continue;
      this.#asked.delete(id);
      this.#fail(round.question, this.#unconfirmed(zones[0] ?? '', owner, 'it did not answer in time'));
    }
    const later = this.#later;
    this.#later = [];
    for (const each of later) {
      if (now.monoMs >= each.question.dueMs) this.#fail(each.question, each.problem);
      else if (now.monoMs >= each.atMs) this.#ask(each.question);
      else this.#later.push(each);
    }
  }

  #ask(question: Question): void {
    const { nodeId, ownProblem } = this.#options;
    const round: Round = { question, terms: new Map(), open: 0 };
    const byOwner = new Map<string, string[]>();
    const zones = question.zones();
    if (zones.length === 0) {
      return this.#fail(question, this.#unconfirmed('', '', 'no gateway has founded this datacenter'));
    }
    for (const { prefix, ownerId, term } of zones) {
      const prefixes = byOwner.get(ownerId);
      if (ownerId !== nodeId) {
        if (prefixes === undefined) byOwner.set(ownerId, [prefix]);
        else prefixes.push(prefix);
        continue;
      }
      const reason = ownProblem(prefix);
      if (reason !== undefined) return this.#retry(question, this.#unconfirmed(prefix, nodeId, reason));
      round.terms.set(prefix, term);
    }
    round.open = byOwner.size;
    if (round.open === 0) return this.#conclude(round);
    for (const [owner, prefixes] of byOwner) {
      if (!question.isOver) this.#askOwner({ round, owner, zones: prefixes });
    }
  }

  #askOwner(asked: Asked): void {
    const { owner, send, nodeId } = this.#options;
    const to = owner(asked.owner);
    const problem =
      to === undefined
        ? 'its gateway is not a member now'
        : !to.reachable
          ? `${to.name} is not reachable`
          : this.#asked.size >= askedMax
            ? 'too many reads wait for other gateways'
            : undefined;
    if (to === undefined || problem !== undefined) {
      return this.#fail(
        asked.round.question,
        this.#unconfirmed(asked.zones[0] ?? '', asked.owner, problem ?? ''),
      );
    }
    const id = this.#nextId++;
    this.#asked.set(id, asked);
    this.counts.asked += 1;
    return send(to.endpoint, { kind: 'confirm', id, from: nodeId, zones: asked.zones });
  }

  #serve(from: Endpoint, { id, zones }: Confirm): void {
    const { send, position, ownProblem, termOf } = this.#options;
    this.counts.served += 1;
    let refused: ConfirmReply['refused'] = null;
    for (const zone of zones) {
      const reason = ownProblem(zone);
      if (reason === undefined) continue;
      refused = { zone, reason };
      break;
    }
    const terms = refused === null ? zones.map(termOf) : [];
    send(from, { kind: 'confirm-reply', id, refused, terms, position: position() });
  }

  #settle({ id, refused, terms, position }: ConfirmReply): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    const { round, owner, zones } = asked;
    const { question } = round;
    if (question.isOver) return;
    if (refused !== null) {
      this.#retry(question, this.#unconfirmed(refused.zone, owner, refused.reason));
      return;
    }
    zones.forEach((zone, i) => round.terms.set(zone, terms[i] ?? 0));
    this.#options.waiters.add(position, question.dueMs, (reached) => {
      if (!reached) {
        this.#fail(question, this.#unconfirmed(zones[0] ?? '', owner, lateText));
        return;
      }
      round.open -= 1;
      if (round.open === 0) this.#conclude(round);
    });
  }

  /** All owners have answered, and what they logged is here. What those before them logged must be too. */
  #conclude(round: Round): void {
    const { question, terms } = round;
    if (question.isOver) return;
    const { hasZone } = this.#options;
    for (const [prefix, term] of terms) {
      if (term === 0 || hasZone(prefix, term)) continue;
      if (this.#nowMs < question.dueMs) this.#awaiting.push(round);
      else this.#fail(question, this.#unconfirmed(prefix, '', lateText));
      return;
    }
    const isAsked = ({ prefix, term }: ConfirmedZone): boolean => term === 0 || terms.get(prefix) === term;
    if (question.zones().every(isAsked)) {
      question.isOver = true;
      question.done(confirmed);
    } else {
      this.#ask(question);
    }
  }

  /** A zone is on its way to another owner: in a moment it will have arrived. */
  #retry(question: Question, problem: Unconfirmed): void {
    if (question.isOver) return;
    const delayMs = Math.min(retryMsMin * 2 ** question.retries, retryMsMax);
    question.retries += 1;
    this.#later.push({ atMs: Math.min(this.#nowMs + delayMs, question.dueMs), question, problem });
  }

  #fail(question: Question, problem: Unconfirmed): void {
    if (question.isOver) return;
    question.isOver = true;
    this.counts.unconfirmed += 1;
    question.done(problem);
  }

  #unconfirmed(zone: string, ownerId: string, reason: string): Unconfirmed {
    return { kind: 'unconfirmed', zone, owner: this.#options.owner(ownerId)?.name ?? ownerId, reason };
  }
}

const lateText = 'what it has did not arrive here in time';
