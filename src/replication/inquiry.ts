import type { Outbox } from './outbox.ts';
import type { OwnLog } from './own-log.ts';
import type { Links } from './rto.ts';
import type { Topology } from './topology.ts';

/**
 * So many are asked at the start, at most: of a large fleet those to whom this log goes first, and some more. Guess.
 */
const firstMax = 256;
/** Whom to ask, and who did not answer, is looked at so often; a few are asked at a time, all in one burst are lost. */
const everyMs = 50;
const perTurnMax = 64;
/** Who does not answer is asked again after so long and a round trip, then less often, and at last no more. */
const slackMs = 150;
const triesMax = 20;
/** Who is first heard of later than this is new, and knows no log of earlier runs. */
const newcomersMs = 20_000;

/**
 * Asks how far others know the log that this gateway writes. At the start one of them may be the only one that has its
 * last entries, so everybody is asked, by a small packet each. What anybody has of a log came to it through those whom
 * the writer hands its changes to: of very many members those are among the asked. Who could not be asked then is asked
 * when it comes back.
 */
export class Inquiry {
  readonly #own: OwnLog;
  readonly #topology: Topology;
  readonly #links: Links;
  readonly #outbox: Outbox;
  readonly #answered = new Set<string>();
  readonly #asked = new Map<string, { dueMs: number; tries: number }>();
  #nextMs = Number.POSITIVE_INFINITY;
  #hasChosen = false;
  readonly #startMs: number;

  constructor(own: OwnLog, topology: Topology, links: Links, outbox: Outbox, nowMs: number) {
    this.#startMs = nowMs;
    this.#own = own;
    this.#topology = topology;
    this.#links = links;
    this.#outbox = outbox;
  }

  get nextMs(): number {
    return this.#nextMs;
  }

  /** A member lives that did not, or of whom nothing was known. */
  lives(id: string, isNew: boolean, nowMs: number): void {
    if (this.#answered.has(id) || (isNew && nowMs > this.#startMs + newcomersMs)) return;
    // The first ones come all at once, and are chosen from once they are known.
    if (this.#hasChosen) this.#asked.set(id, { dueMs: nowMs, tries: 0 });
    this.#nextMs = Math.min(this.#nextMs, nowMs);
  }

  forget(id: string): void {
    this.#answered.delete(id);
    this.#asked.delete(id);
  }

  answered(by: string): void {
    this.#answered.add(by);
    this.#asked.delete(by);
  }

  /** Whether somebody answered, and all whom it matters to hear of. */
  isComplete(matters: (nodeId: string) => boolean): boolean {
    return this.#answered.size > 0 && !this.lacks(matters);
  }

  /** Whether somebody was asked and has not answered whom it matters to hear of. */
  lacks(matters: (nodeId: string) => boolean): boolean {
    for (const id of this.#asked.keys()) if (matters(id)) return true;
    return false;
  }

  tick(nowMs: number): void {
    if (nowMs < this.#nextMs) return;
    const { atStart } = this.#own;
    if (!this.#hasChosen) this.#choose(nowMs);
    if (atStart === undefined || this.#asked.size === 0) {
      this.#asked.clear();
      this.#nextMs = Number.POSITIVE_INFINITY;
      return;
    }
    const by = this.#topology.self.id;
    let turns = 0;
    for (const [id, asked] of this.#asked) {
      if (nowMs < asked.dueMs || turns >= perTurnMax) continue;
      const peer = this.#topology.peer(id);
      if (peer?.live !== true || asked.tries >= triesMax) {
        this.#asked.delete(id);
        continue;
      }
      turns += 1;
      asked.tries += 1;
      asked.dueMs = nowMs + slackMs * (1 + asked.tries / 4) + this.#links.roundTripMs(peer);
      this.#outbox.sendNow(peer.endpoint, 'packet', { kind: 'log-ask', by, ...atStart });
    }
    this.#nextMs = nowMs + everyMs;
  }

  #choose(nowMs: number): void {
    this.#hasChosen = true;
    const { peers, self } = this.#topology;
    const origin = this.#own.atStart?.origin ?? '';
    const chosen = new Set<string>();
    if (peers.size > firstMax) {
      for (const id of this.#topology.childrenOf(origin, self.id, self.id, true)) chosen.add(id);
      for (const region of this.#topology.regions()) {
        if (region === self.region) continue;
        for (const id of this.#topology.relays(origin, region)) chosen.add(id);
      }
    }
    for (const { id, live } of peers.values()) {
      if (chosen.size >= firstMax) break;
      if (live) chosen.add(id);
    }
    for (const id of chosen) this.#asked.set(id, { dueMs: nowMs, tries: 0 });
  }
}
