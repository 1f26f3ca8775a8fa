import type { OriginId } from '../crdt/dot.ts';
import { contiguousHead } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { contradicted, predates } from './contradiction.ts';
import type { Inquiry } from './inquiry.ts';
import type { ReplicatedLog } from './log.ts';
import type { DotsMessage } from './messages.ts';
import type { OriginTable } from './origins.ts';
import type { Outbox } from './outbox.ts';
import type { OwnLog } from './own-log.ts';
import type { ReplicationStats } from './stats.ts';
import type { LogAskMessage, LogTellMessage } from './sync-messages.ts';
import type { Topology } from './topology.ts';
import type { Wants } from './want.ts';

export interface LogTalkParts {
  readonly log: ReplicatedLog;
  readonly topology: Topology;
  readonly origins: OriginTable;
  readonly outbox: Outbox;
  readonly own: OwnLog;
  readonly inquiry: Inquiry;
  readonly wants: Wants;
  readonly stats: ReplicationStats;
}

/** What gateways tell each other about each other's logs: how far they go, and whether their numbers are used twice. */
export class LogTalk {
  readonly #parts: LogTalkParts;

  constructor(parts: LogTalkParts) {
    this.#parts = parts;
  }

  /** Numbers that come a second time, for something else: told to who writes them. */
  checkContents(origin: OriginId, writerId: string, dots: DotsMessage['dots']): void {
    const { log, topology, outbox, stats } = this.#parts;
    const seen = log.originLog(origin)?.seen ?? [];
    const head = contradicted(log, origin, seen, dots);
    const writer = head === undefined ? undefined : topology.peer(writerId);
    if (head === undefined || writer === undefined) return;
    stats.contradictions += 1;
    const by = topology.self.id;
    outbox.sendNow(writer.endpoint, 'packet', { kind: 'log-tell', by, origin, head, forked: true });
  }

  /** `head`: how far the log is known to go, here or elsewhere. */
  answer(from: Endpoint, message: LogAskMessage, head: number): void {
    const { log, topology, outbox } = this.#parts;
    const by = topology.self.id;
    const { origin } = message;
    const forked = predates(log, message);
    outbox.sendNow(from, 'packet', { kind: 'log-tell', by, origin, head, forked });
  }

  told({ by, origin, head, forked }: LogTellMessage, now: Instant): void {
    const { log, origins, own, inquiry, wants } = this.#parts;
    inquiry.answered(by);
    if (origin === log.origin) {
      if (forked) own.contradicted(head);
      else own.check(head);
      return;
    }
    const row = origins.find(origin);
    if (row === undefined) return;
    origins.learnHead(row, head);
    wants.check(row, contiguousHead(origins.seen(row)), undefined, now.monoMs);
  }
}
