import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';
import {
  decode,
  encode,
  RECURSION_DESIRED,
  type Answer,
  type StringAnswer,
  type TxtAnswer,
} from 'dns-packet';
import type { DnsConfig } from '../config/agent-config.ts';
import type { DnsCounters } from './counters.ts';
import type { Transport } from './fit.ts';
import { MessageReader, withLength } from './framing.ts';
import { isEncodable } from './names.ts';
import { Rcode, type Rr } from './records.ts';
import { shuffled } from './shuffle.ts';

/** Another DNS server. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

const dnsPort = 53;
const messageBytesMax = 65_535;

/** `host`, `host:port`, `[v6]:port` or an IPv6 address without a port. */
export function parseServer(text: string): ServerAddress {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1] as string, port: Number(bracketed[2] ?? dnsPort) };
  if (isIP(text) === 6) return { host: text, port: dnsPort };
  const [host = '', port] = text.split(':');
  return { host, port: port === undefined ? dnsPort : Number(port) };
}

export interface RecursorOptions {
  readonly config: () => DnsConfig;
  readonly random: () => number;
  readonly counters: DnsCounters;
  /** Questions that may be under way at once: each holds a socket. */
  readonly inFlightMax: number;
}

/** Asks the configured recursors, one after the other until one answers. */
export class Recursor {
  readonly #options: RecursorOptions;
  readonly #cancels = new Set<() => void>();
  #closed = false;

  constructor(options: RecursorOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#cancels.size;
  }

  /** Ends what is under way: it counts as not answered. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
  }

  /**
   * The first answer that says that a name is there or is not; undefined where no recursor gave one. It is passed on
   * as it came, with the client's id.
   */
  async forward(query: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const { counters } = this.#options;
    counters.recursed += 1;
    for (const server of this.#servers()) {
      const answer = await this.#ask(server, query, transport);
      if (answer === undefined) continue;
      const rcode = answer.readUInt16BE(2) & 0xf;
      if (rcode !== Rcode.noError && rcode !== Rcode.nxDomain) continue;
      query.copy(answer, 0, 0, 2);
      return answer;
    }
    counters.recursionFailures += 1;
    return undefined;
  }

  /** The address records of a name, and what leads to them; none where no recursor answers. */
  async addressesOf(name: string): Promise<readonly Rr[]> {
    if (name === '' || !isEncodable(name)) return [];
    const query = encode({
      type: 'query',
      id: 0,
      flags: RECURSION_DESIRED,
      questions: [{ name, type: 'A' }],
    });
    for (const server of this.#servers()) {
      const answer = await this.#ask(server, query, 'udp');
      const records = answer === undefined ? undefined : followable(answer);
      if (records !== undefined) return records;
    }
    return [];
  }

  #servers(): readonly ServerAddress[] {
    const { recursors, recursorStrategy } = this.#options.config();
    const order = recursorStrategy === 'random' ? shuffled(recursors, this.#options.random) : recursors;
    return order.map(parseServer);
  }

  async #ask(server: ServerAddress, query: Buffer, transport: Transport): Promise<Buffer | undefined> {
    if (this.#closed) return undefined;
    if (this.#cancels.size >= this.#options.inFlightMax) {
      this.#options.counters.recursionOverloads += 1;
      return undefined;
    }
    // An id that nobody can guess, and a port of its own: what is not from this server does not pass for its answer.
    const sent = Buffer.from(query);
    sent.writeUInt16BE(randomInt(0x10000), 0);
    const { recursorMsMax } = this.#options.config();
    return new Promise((resolve) => {
      let stop = (): void => {};
      let timer: NodeJS.Timeout | undefined;
      const done = (answer: Buffer | undefined): void => {
        if (!this.#cancels.delete(cancel)) return;
        clearTimeout(timer);
        stop();
        resolve(answer);
      };
      const cancel = (): void => done(undefined);
      this.#cancels.add(cancel);
      timer = setTimeout(cancel, recursorMsMax);
      try {
        stop = transport === 'udp' ? askUdp(server, sent, done) : askTcp(server, sent, done);
      } catch {
        // An address that cannot be one: the configuration is taken as it is, as Consul takes it.
        cancel();
      }
    });
  }
}

type Done = (answer: Buffer | undefined) => void;

/** Both call `done` once or more, later; what they return closes the socket. */
function askUdp(server: ServerAddress, query: Buffer, done: Done): () => void {
  const socket = createSocket(isIP(server.host) === 6 ? 'udp6' : 'udp4');
  socket.on('error', () => done(undefined));
  socket.on('message', (answer) => {
    if (isAnswerTo(query, answer)) done(answer);
  });
  socket.once('connect', () => socket.send(query));
  try {
    // Without a callback, so that a name that cannot be looked up is an 'error' event.
    socket.connect(server.port, server.host);
  } catch (error) {
    socket.close();
    throw error;
  }
  return () => socket.close();
}

function askTcp(server: ServerAddress, query: Buffer, done: Done): () => void {
  const socket = connect({ host: server.host, port: server.port });
  const reader = new MessageReader(messageBytesMax);
  socket.on('error', () => done(undefined));
  socket.on('close', () => done(undefined));
  socket.on('data', (chunk) => {
    reader.push(chunk);
    const answer = reader.next();
    if (answer !== undefined) done(isAnswerTo(query, answer) ? answer : undefined);
  });
  socket.write(withLength(query));
  return () => socket.destroy();
}

/** The same id, a response, and the same question (names compare without case). */
function isAnswerTo(query: Buffer, answer: Buffer): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  if ((answer.readUInt16BE(2) & 0x8000) === 0) return false;
  if (answer.readUInt16BE(4) === 0) return true;
  let end = 12;
  while (end < query.length && query[end] !== 0) end += 1 + (query[end] as number);
  end += 5;
  if (answer.length < end) return false;
  const section = (packet: Buffer): string => packet.toString('latin1', 12, end).toLowerCase();
  return section(answer) === section(query);
}

/** The records that may be passed on beside a record that points to their name. */
function followable(packet: Buffer): readonly Rr[] | undefined {
  try {
    return (decode(packet).answers ?? []).filter(isFollowable);
  } catch {
    return undefined;
  }
}

function isFollowable(record: Answer): record is StringAnswer | TxtAnswer {
  return ['A', 'AAAA', 'CNAME', 'TXT'].includes(record.type);
}
