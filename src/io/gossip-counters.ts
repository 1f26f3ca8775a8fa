/** Why something that came in was not handed on. One for each packet, frame or connection. */
export type DropReason =
  /** No magic, or flags that nobody knows. */
  | 'garbage'
  | 'truncated'
  | 'oversized'
  | 'unknown-version'
  /** Not encrypted, where encryption is asked for. */
  | 'plaintext'
  /** Sealed with a key that is not in the keyring, or there is none. */
  | 'wrong-key'
  /** Sealed by who lacks the key, or altered on its way. */
  | 'unauthentic'
  /** A plain one whose checksum is wrong. */
  | 'corrupt'
  | 'replayed'
  /** An honest envelope whose body is none. */
  | 'malformed'
  /** From an address that the configuration does not allow. */
  | 'not-allowed'
  /** A stream that does not speak as streams do. */
  | 'protocol'
  | 'handshake-timeout'
  | 'half-open'
  | 'streams-limit';

/** Why a message that was to go out will not. One for each message. */
export type LossReason =
  | 'queue-full'
  | 'too-large'
  | 'unreachable'
  | 'disconnected'
  | 'bad-endpoint'
  | 'streams-limit'
  | 'send-failed'
  | 'closed';

/** Counts since the start. */
export interface GossipStats {
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly packetBytesIn: number;
  readonly packetBytesOut: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly streamBytesIn: number;
  readonly streamBytesOut: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  readonly lost: Readonly<Partial<Record<LossReason, number>>>;
  /** By the system's code: ENETUNREACH, EMSGSIZE… */
  readonly socketErrors: Readonly<Record<string, number>>;
  readonly connects: number;
  readonly connectsFailed: number;
  readonly accepts: number;
  readonly streamsOpen: number;
  readonly queueBytes: number;
  readonly queueMessages: number;
}

type Plain = Omit<
  GossipStats,
  'dropped' | 'lost' | 'socketErrors' | 'streamsOpen' | 'queueBytes' | 'queueMessages'
>;

/** What the parts of a transport count together. */
export class GossipCounters {
  readonly counts: { -readonly [K in keyof Plain]: number } = {
    packetsIn: 0,
    packetsOut: 0,
    packetBytesIn: 0,
    packetBytesOut: 0,
    framesIn: 0,
    framesOut: 0,
    streamBytesIn: 0,
    streamBytesOut: 0,
    messagesIn: 0,
    messagesOut: 0,
    connects: 0,
    connectsFailed: 0,
    accepts: 0,
  };
  readonly #dropped: Partial<Record<DropReason, number>> = {};
  readonly #lost: Partial<Record<LossReason, number>> = {};
  readonly #socketErrors: Record<string, number> = {};

  dropped(reason: DropReason): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + 1;
  }

  lost(reason: LossReason, messages: number): void {
    this.#lost[reason] = (this.#lost[reason] ?? 0) + messages;
  }

  socketError(error: Error): void {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    this.#socketErrors[code] = (this.#socketErrors[code] ?? 0) + 1;
  }

  read(): Omit<GossipStats, 'streamsOpen' | 'queueBytes' | 'queueMessages'> {
    return {
      ...this.counts,
      dropped: { ...this.#dropped },
      lost: { ...this.#lost },
      socketErrors: { ...this.#socketErrors },
    };
  }
}
