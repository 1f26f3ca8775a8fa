import { createServer, isIPv4, type Server } from 'node:net';
import { StartProblem } from '../kernel/start-problem.ts';
import { endpointText, type Endpoint } from '../wire/endpoint.ts';
import type { CloseReason } from './gossip-connection.ts';
import { GossipCounters, type GossipStats, type LossReason } from './gossip-counters.ts';
import { Packets } from './gossip-packets.ts';
import { Streams } from './gossip-streams.ts';
import type { Keyring } from './keyring.ts';
import type { Log } from './logging.ts';

/**
 * - `packet`: may be lost, duplicated and reordered; what does not fit goes over the stream by itself.
 * - `stream`: in order while a connection lives; what is under way when it ends is lost.
 */
export type Lane = 'packet' | 'stream';

export interface Received {
  /**
   * Where to answer: of a packet, the address it came from; of a stream, whom it was dialled to, or what who dialled
   * says that its own endpoint is. Answers take the stream that a message came over while it is open.
   */
  readonly from: Endpoint;
  /** The sender's, '' when it belongs to none yet. */
  readonly cluster: string;
  readonly lane: Lane;
  /** Views of one buffer: who keeps a part for long copies it. */
  readonly messages: readonly Uint8Array[];
}

export interface TransportOptions {
  /** Port 0: any free one, the same for UDP and TCP. */
  readonly bind: Endpoint;
  /** Where others reach it; port 0: the one that was bound. */
  readonly advertise: Endpoint;
  readonly keyring: Keyring | undefined;
  /** Name of the pool, 'gossip' by default: pools that share a keyring do not open what another one sealed. */
  readonly pool?: string | undefined;
  /** 16 hex digits, or '' while this gateway belongs to no cluster. */
  readonly cluster: () => string;
  readonly onReceived: (received: Received) => void;
  /** Messages that are known not to arrive. Of others, nothing is known. */
  readonly onLost?: ((to: Endpoint, messages: number, reason: LossReason) => void) | undefined;
  readonly log: Log;
  /** The operator says that gossip may go unencrypted beyond this machine. */
  readonly allowPlaintext?: boolean | undefined;
  /** Whether packets and connections are taken from an address (`serf_lan_allowed_cidrs`). */
  readonly allowed?: ((address: string) => boolean) | undefined;
  /** Largest datagram sent: 1200 by default, which the Internet carries whole everywhere (RFC 9000, 14). */
  readonly packetBytesMax?: number | undefined;
  /** Largest message: 72 MiB by default, above 128 registers of Consul's largest value. */
  readonly frameBytesMax?: number | undefined;
  /** 3 s by default: TCP and greetings. */
  readonly connectMsMax?: number | undefined;
  /** 5 s by default: who connects and does not say who it is is cut off. */
  readonly greetingMsMax?: number | undefined;
  /** 5 s by default: a silent stream is asked for a sign, and given up after three times as long. */
  readonly silenceMsMax?: number | undefined;
  /** A minute by default: streams without messages for so long are closed. */
  readonly idleMs?: number | undefined;
  /** What waits for one stream of one peer at most, or one message: 16 MiB by default. The newest is dropped. */
  readonly queueBytesMax?: number | undefined;
  /** What waits for all streams: 256 MiB by default. */
  readonly queueBytesTotalMax?: number | undefined;
  /** Connections at once: 4096 by default. */
  readonly streamsMax?: number | undefined;
}

export interface GossipTransport {
  /** Bound. */
  readonly local: Endpoint;
  readonly advertise: Endpoint;
  /** Room for messages in one packet, with `bytesInBody` of each. */
  readonly packetBodyBytesMax: number;
  /**
   * Never throws or waits. Messages sent to one endpoint in one turn of the loop share packets.
   * @param bulk of a stream: large, and nobody waits for it; it goes over a stream of its own
   */
  send(to: Endpoint, lane: Lane, message: Uint8Array, bulk?: boolean): void;
  /** Sends the packets now that would go at the end of this turn. */
  flush(): void;
  stats(): GossipStats;
  /** Sends what is queued, for half a second at most, and ends all connections. */
  close(): Promise<void>;
}

const flushMsMax = 500;
/** Above this a message goes the way of bulk: others do not wait for it. */
const bulkBytesMin = 256 * 1024;
/** The same trouble is told once in a minute. */
const sayAgainMs = 60_000;

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** @throws StartProblem when the port cannot be had, or gossip would go unencrypted over a network unasked */
export async function openTransport(options: TransportOptions): Promise<GossipTransport> {
  refuseOpenPlaintext(options);
  const { keyring, cluster, log, onReceived, bind, packetBytesMax = 1200 } = options;
  const counters = new GossipCounters();
  const tell = troubleTeller(log);
  const shared = {
    keyring,
    pool: options.pool ?? 'gossip',
    cluster,
    counters,
    allowed: options.allowed ?? ((): boolean => true),
    onLost: options.onLost ?? ((): void => undefined),
    onTrouble: tell,
  };
  const { server, packets, port } = await listen(bind, (at) =>
    Packets.open(at, {
      ...shared,
      packetBytesMax,
      onReceived: (from, of, messages) => onReceived({ from, cluster: of, lane: 'packet', messages }),
    }),
  );
  const local = { address: bind.address, port };
  const advertise = { address: options.advertise.address, port: options.advertise.port || port };
  const streams = new Streams({
    ...shared,
    advertise: () => advertise,
    localAddress: isWildcard(bind.address) ? undefined : bind.address,
    frameBytesMax: options.frameBytesMax ?? 72 * 1024 * 1024,
    connectMsMax: options.connectMsMax ?? 3000,
    greetingMsMax: options.greetingMsMax ?? 5000,
    silenceMsMax: options.silenceMsMax ?? 5000,
    idleMs: options.idleMs ?? 60_000,
    queueBytesMax: options.queueBytesMax ?? 16 * 1024 * 1024,
    queueBytesTotalMax: options.queueBytesTotalMax ?? 256 * 1024 * 1024,
    streamsMax: options.streamsMax ?? 4096,
    onReceived: (from, of, messages) => onReceived({ from, cluster: of, lane: 'stream', messages }),
  });
  streams.accept(server);
  server.on('error', (error) => counters.socketError(error));
  let closing: Promise<void> | undefined;
  return {
    local,
    advertise,
    packetBodyBytesMax: packets.bodyBytesMax,
    send: (to, lane, message, bulk = false) => {
      if (lane === 'packet' && packets.fits(message.length)) packets.send(to, message);
      else streams.send(to, message, bulk || message.length >= bulkBytesMin);
    },
    flush: () => packets.flush(),
    stats: () => ({
      ...counters.read(),
      streamsOpen: streams.open,
      queueBytes: streams.queueBytes,
      queueMessages: streams.queueMessages,
    }),
    close: () => {
      closing ??= (async (): Promise<void> => {
        const ended = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        await Promise.all([packets.close(), streams.close(flushMsMax)]);
        await ended;
      })();
      return closing;
    },
  };
}

/** UDP and TCP on the same port. */
async function listen(
  { address, port }: Endpoint,
  openPackets: (at: Endpoint) => Promise<Packets>,
): Promise<{ server: Server; packets: Packets; port: number }> {
  // Any free port: what TCP got may be taken for UDP.
  for (let attempt = 1; ; attempt++) {
    const server = createServer({ allowHalfOpen: false });
    try {
      // eslint-disable-next-line no-await-in-loop
      const bound = await listenTcp(server, address, port);
      // eslint-disable-next-line no-await-in-loop
      return { server, packets: await openPackets({ address, port: bound }), port: bound };
    } catch (error) {
      server.close();
      const { code, message } = error as NodeJS.ErrnoException;
      if (port === 0 && code === 'EADDRINUSE' && attempt < 10) continue;
      throw new StartProblem(
        `cannot listen for gossip on ${endpointText({ address, port })}: ${
          code === 'EADDRINUSE'
            ? 'something listens there already: stop it, or choose another port or address'
            : `${message}: choose another address or port`
        }`,
      );
    }
  }
}

function listenTcp(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

export function isLoopback(address: string): boolean {
  return address === '::1' || (isIPv4(address) && address.startsWith('127.'));
}

/** What is bound to loopback neither hears nor reaches another machine. */
function refuseOpenPlaintext({ keyring, allowPlaintext, bind }: TransportOptions): void {
  if (keyring !== undefined || allowPlaintext === true || isLoopback(bind.address)) return;
  throw new StartProblem(
    `gossip on ${endpointText(bind)} would go unencrypted over the network: set encrypt to a key that all gateways share ` +
      '(`grapevine keygen` makes one), bind to a loopback address, or, if the network is to be trusted with all that is ' +
      'stored here, say grapevine.allow_plaintext_gossip = true',
  );
}

const advice: Partial<Record<CloseReason, string>> = {
  'wrong-key': 'it uses a key that is not in this keyring: compare `grapevine keyring list` on both',
  plaintext: 'it does not encrypt its gossip: give it the key of the others (encrypt)',
  unauthentic: 'it was altered on its way, or sealed without the key',
  'unknown-version': 'it speaks another version of gossip: run versions of grapevine that know each other',
};

/** Says what an operator can put right, and how often it happened, without filling the log. */
function troubleTeller(log: Log): (address: string, reason: CloseReason) => void {
  const told = new Map<CloseReason, { atMs: number; since: number }>();
  return (address, reason) => {
    const nowMs = performance.now();
    const before = told.get(reason);
    if (before !== undefined && nowMs - before.atMs < sayAgainMs) {
      before.since++;
      return;
    }
    told.set(reason, { atMs: nowMs, since: 0 });
    const what = { address, reason, since: before?.since ?? 0 };
    const why = advice[reason];
    if (why === undefined) log.debug(what, 'gossip dropped');
    else log.warn(what, `gossip dropped: ${why}`);
  };
}
