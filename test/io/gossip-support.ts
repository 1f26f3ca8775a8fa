import { pino } from 'pino';
import {
  openTransport,
  type GossipTransport,
  type Received,
  type TransportOptions,
} from '../../src/io/gossip-transport.ts';
import { Keyring } from '../../src/io/keyring.ts';

export const silentLog = pino({ level: 'silent' });

export function keyOf(byte: number, bytes = 32): string {
  return Buffer.alloc(bytes, byte).toString('base64');
}

export function ringOf(...keys: readonly string[]): Keyring {
  return new Keyring({ keys });
}

export const loopback = { address: '127.0.0.1', port: 0 };

/** A transport that keeps what it receives, and can be waited for. */
export interface Station {
  readonly transport: GossipTransport;
  readonly received: Received[];
  readonly lost: { messages: number; reason: string }[];
  /** Resolves when `holds` of what was received and lost so far. */
  until(holds: () => boolean): Promise<void>;
  texts(): string[];
}

const opened: GossipTransport[] = [];
const polls: NodeJS.Timeout[] = [];

export async function closeStations(): Promise<void> {
  for (const poll of polls.splice(0)) clearInterval(poll);
  await Promise.all(opened.splice(0).map((transport) => transport.close()));
}

export async function station(options: Partial<TransportOptions> = {}): Promise<Station> {
  const received: Received[] = [];
  const lost: { messages: number; reason: string }[] = [];
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const each of waiting) each();
  };
  const transport = await openTransport({
    bind: loopback,
    advertise: loopback,
    keyring: undefined,
    cluster: () => '',
    log: silentLog,
    ...options,
    onReceived: (what) => {
      // As a receiver would that keeps them.
      received.push({ ...what, messages: what.messages.map((message) => Uint8Array.from(message)) });
      look();
    },
    onLost: (_, messages, reason) => {
      lost.push({ messages, reason });
      look();
    },
  });
  opened.push(transport);
  return {
    transport,
    received,
    lost,
    texts: () =>
      received.flatMap(({ messages }) => messages.map((message) => Buffer.from(message).toString())),
    until: (holds) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!holds()) return;
          waiting.delete(check);
          clearInterval(poll);
          resolve();
        };
        // Counters have no events.
        const poll = setInterval(check, 5);
        polls.push(poll);
        waiting.add(check);
        check();
      }),
  };
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}
