import type { ReadView } from '../../src/state/store.ts';
import type { DnsConfig, Listener } from '../config/agent-config.ts';
import { Answerer, type AnswererOptions } from './answerer.ts';
import { newCounters, type DnsCounters } from './counters.ts';
import { TcpFront, type TcpLimits } from './tcp-front.ts';
import { UdpFront } from './udp-front.ts';

export interface DnsServerOptions {
  /** TCP addresses: each is served over UDP and TCP. Port 0: any one that is free for both. */
  readonly listeners: readonly Listener[];
  readonly config: DnsConfig;
  readonly datacenter: string;
  readonly translateWanAddrs: boolean;
  readonly view: ReadView;
  /** As DriveLoop.onCommit: answers are kept until a commit touches what they depend on. */
  readonly onCommit: (listener: (touched: ReadonlySet<string>) => void) => () => void;
  readonly freshness: () => { readonly knownLeader: boolean; readonly lastContactMs: number };
  readonly random: () => number;
  readonly nowMs: () => number;
  /** See `AnswererOptions`. */
  readonly remote?: NonNullable<AnswererOptions['remote']>;
  /** A question made us fail: it was answered with SERVFAIL. */
  readonly onDefect: (error: unknown) => void;
  readonly limits?: Partial<TcpLimits>;
}

export interface DnsServer {
  /** In the order of the listeners. */
  readonly ports: readonly number[];
  counters(): Readonly<DnsCounters>;
  /** TCP connections and forwarded questions that are open now. */
  open(): { readonly connections: number; readonly forwarded: number };
  /** Takes what a reload of the configuration changed, recursors included. */
  reconfigure(config: DnsConfig): void;
  close(): Promise<void>;
}

/** Idle time as in Consul's DNS library; the other is a guess. */
const defaultLimits: TcpLimits = { connectionsMax: 1000, idleMsMax: 8000 };

/** Ports tried where any will do, until one is free for TCP and UDP both. */
const portTriesMax = 20;

/** Serves DNS on all listeners. Rejects with the system's error where one cannot be listened on. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const counters = newCounters();
  const answerer = new Answerer({ ...options, counters });
  const limits = { ...defaultLimits, ...options.limits };
  const udp = new UdpFront(answerer, counters);
  const tcp = new TcpFront(answerer, limits, counters);
  const stopListening = options.onCommit((touched) => answerer.touch(touched));
  const close = async (): Promise<void> => {
    stopListening();
    answerer.close();
    await Promise.all([udp.close(), tcp.close()]);
  };
  const ports: number[] = [];
  try {
    for (const listener of options.listeners) {
      if (listener.kind === 'unix') throw new Error('DNS address cannot be a unix socket');
      ports.push(await listenBoth(tcp, udp, listener.host, listener.port));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ports,
    counters: () => counters,
    open: () => ({ connections: tcp.connections, forwarded: answerer.inFlight }),
    reconfigure: (config) => answerer.reconfigure(config),
    close,
  };
}

async function listenBoth(tcp: TcpFront, udp: UdpFront, host: string, port: number): Promise<number> {
  for (let tries = 1; ; tries++) {
    const listening = await tcp.listen(host, port);
    try {
      await udp.listen(host, listening.port);
      return listening.port;
    } catch (error) {
      await listening.close();
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (port !== 0 || !taken || tries === portTriesMax) throw error;
    }
  }
}
