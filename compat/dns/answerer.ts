import type { ReadView } from '../../src/state/store.ts';
import type { DnsConfig } from '../config/agent-config.ts';
import { dnsCatalog, type DnsCatalog } from './catalog.ts';
import type { DnsCounters } from './counters.ts';
import { answersWanted, followedWanted, renderFitting, type Transport } from './fit.ts';
import { readQuery, renderReply, type Query, type Reply } from './message.ts';
import { Recursor } from './recursor.ts';
import { Rcode, type Rr } from './records.ts';
import { RemoteCatalogs, RemoteReading, type RemoteAsk } from './remote-catalog.ts';
import { resolve, type Resolution } from './resolver.ts';
import { TopicMemo } from './topic-memo.ts';

export interface AnswererOptions {
  readonly config: DnsConfig;
  readonly datacenter: string;
  readonly translateWanAddrs: boolean;
  readonly view: ReadView;
  /** How this gateway's state compares with what the owners have. */
  readonly freshness: () => { readonly knownLeader: boolean; readonly lastContactMs: number };
  /** From 0 up to but without 1. */
  readonly random: () => number;
  readonly nowMs: () => number;
  readonly counters: DnsCounters;
  readonly onDefect: (error: unknown) => void;
  /**
   * Who holds a datacenter's catalog where this gateway does not: another datacenter's gateways, or the source that this
   * one is moved away from. Undefined: this gateway, or nobody.
   */
  readonly remote?: (datacenter: string) => RemoteAsk | undefined;
}

/** Rows of the catalog that are kept decoded. Guess. */
const memoRowsMax = 100_000;
/** Questions that may be with recursors at once. Guess. */
const recursionsMax = 512;
/** Names outside that are followed for one answer. Guess. */
const outsideMax = 32;
/** Rounds of asking other catalogs for one answer: what they say may lead to more of their names. */
const remoteRoundsMax = 4;

type Outside = ReadonlyMap<string, readonly Rr[]>;

/** From packet to packet: what a server does with a question, whichever socket it came from. */
export class Answerer {
  readonly #options: AnswererOptions;
  readonly #memo = new TopicMemo(memoRowsMax);
  readonly #recursor: Recursor;
  readonly #own: DnsCatalog;
  readonly #remote: RemoteCatalogs;
  #config: DnsConfig;

  constructor(options: AnswererOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#own = dnsCatalog(options.view, this.#memo);
    this.#remote = new RemoteCatalogs(options.nowMs);
    this.#recursor = new Recursor({
      config: () => this.#config,
      random: options.random,
      counters: options.counters,
      inFlightMax: recursionsMax,
    });
  }

  /** Forwarded questions that wait for their answers. */
  get inFlight(): number {
    return this.#recursor.inFlight;
  }

  reconfigure(config: DnsConfig): void {
    this.#config = config;
  }

  /** A commit touched these topics. */
  touch(topics: Iterable<string>): void {
    this.#memo.touch(topics);
  }

  close(): void {
    this.#recursor.close();
  }

  /** The packet to send back, if any; at once unless recursors are asked. Never throws and never rejects. */
  answer(packet: Buffer, transport: Transport): Buffer | undefined | Promise<Buffer | undefined> {
    const { counters } = this.#options;
    if (transport === 'udp') counters.queriesUdp += 1;
    else counters.queriesTcp += 1;
    const received = readQuery(packet);
    if (received.kind !== 'query') {
      counters.malformed += 1;
      return received.kind === 'rejected' ? received.reply : undefined;
    }
    const { query } = received;
    try {
      const answered = this.#answerQuery(query, transport);
      return answered instanceof Promise
        ? answered.catch((error: unknown) => this.#defect(query, error))
        : answered;
    } catch (error) {
      return this.#defect(query, error);
    }
  }

  #answerQuery(query: Query, transport: Transport): Buffer | Promise<Buffer> {
    const reading = new RemoteReading(this.#remote);
    const resolution = this.#resolve(query, transport, reading, undefined);
    if (resolution.kind !== 'names-wanted' && !reading.wants) {
      return this.#render(query, resolution, transport);
    }
    return this.#answerLater(query, transport, reading, resolution);
  }

  /** As `#answerQuery`, where others must be asked first. */
  async #answerLater(
    query: Query,
    transport: Transport,
    reading: RemoteReading,
    first: Resolution,
  ): Promise<Buffer> {
    let resolution = first;
    let outside: Outside | undefined;
    for (let round = 0; reading.wants && round < remoteRoundsMax; round += 1) {
      await reading.bring();
      resolution = this.#resolve(query, transport, reading, outside);
    }
    if (reading.failed || reading.wants) {
      return this.#render(query, { kind: 'answer', ...failed(Rcode.servFail) }, transport);
    }
    if (resolution.kind === 'names-wanted') {
      outside = await this.#lookUp(resolution.names);
      resolution = this.#resolve(query, transport, reading, outside);
    }
    return this.#render(query, resolution, transport);
  }

  #resolve(
    query: Query,
    transport: Transport,
    reading: RemoteReading,
    outside: Outside | undefined,
  ): Resolution {
    const { datacenter, translateWanAddrs, random, nowMs, remote } = this.#options;
    let isRemote = false;
    const resolution = resolve(query.question, {
      config: this.#config,
      datacenter,
      translateWanAddrs,
      catalogOf: (asked) => {
        const ask = remote?.(asked);
        if (ask === undefined) return asked === datacenter ? this.#own : undefined;
        isRemote = true;
        return reading.catalog(asked, ask);
      },
      random,
      nowMs: nowMs(),
      answersMax: answersWanted(query, transport, this.#config),
      followedMax: followedWanted(this.#config),
      outside,
    });
    const ours = resolution.kind === 'answer' || resolution.kind === 'names-wanted';
    return ours && !isRemote && !this.#mayAnswer()
      ? { kind: 'answer', ...failed(Rcode.servFail) }
      : resolution;
  }

  /** State that may be too old is answered from only while the owners are reachable. */
  #mayAnswer(): boolean {
    const { knownLeader, lastContactMs } = this.#options.freshness();
    return knownLeader || (this.#config.allowStale && lastContactMs <= this.#config.staleMsMax);
  }

  async #lookUp(names: readonly string[]): Promise<Outside> {
    const asked = names.slice(0, outsideMax);
    const records = await Promise.all(asked.map((name) => this.#recursor.addressesOf(name)));
    return new Map(asked.map((name, i) => [name, records[i] ?? []]));
  }

  #render(query: Query, resolution: Resolution, transport: Transport): Buffer | Promise<Buffer> {
    const recursionAvailable = this.#config.recursors.length > 0;
    switch (resolution.kind) {
      case 'answer': {
        const reply: Reply = {
          ...resolution,
          authoritative: true,
          recursionAvailable,
          truncated: false,
          edns: true,
        };
        return renderFitting(query, reply, transport, this.#config);
      }
      case 'refused':
        this.#options.counters.refused += 1;
        return this.#plain(query, Rcode.refused, false);
      case 'recurse':
        return this.#recurse(query, transport);
      case 'names-wanted':
        throw new Error('names outside were asked for twice');
    }
  }

  #recurse(query: Query, transport: Transport): Buffer | Promise<Buffer> {
    if (this.#config.recursors.length === 0) return this.#plain(query, Rcode.servFail, true);
    return this.#recursor
      .forward(query.packet, transport)
      .then((answer) => answer ?? this.#plain(query, Rcode.servFail, true));
  }

  /** A reply without records, not in our own authority. */
  #plain(query: Query, rcode: number, recursion: boolean): Buffer {
    return renderReply(
      query,
      {
        ...failed(rcode),
        authoritative: false,
        recursionAvailable: recursion,
        truncated: false,
        edns: recursion,
      },
      !this.#config.disableCompression,
    );
  }

  #defect(query: Query, error: unknown): Buffer {
    this.#options.counters.defects += 1;
    this.#options.onDefect(error);
    return this.#plain(query, Rcode.servFail, false);
  }
}

function failed(rcode: number): Pick<Reply, 'rcode' | 'answers' | 'authorities' | 'additionals'> {
  return { rcode, answers: [], authorities: [], additionals: [] };
}
