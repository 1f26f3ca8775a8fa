import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, endpointText } from '../../src/wire/endpoint.ts';
import { carryConnection, type CarriedConnection } from './link-relay-tcp.ts';

// Long, lossy and cuttable links between processes of one machine, without root. Every process binds a loopback
// address of its own and tells the others an address of the relay, its *face*. What X sends to the face of Y
// reaches Y, later, as coming from the face of X; so answers to where a packet came from find their way too, and
// the relay knows by addresses alone which link it is playing. Linux only: elsewhere 127.0.0.2 is no address.
//
// What differs from a real network: TCP is not packets here. Nothing of it is lost, a cut freezes connections and
// a healed link resumes them at once (a real one after a retransmission timeout); a connection to behind a cut is
// accepted and then silent, since the listener cannot refuse one caller only.

/** A process that is to be reached over links. */
export interface LinkedNode {
  readonly name: string;
  /** The loopback address that its sockets are bound to (those of outgoing connections too), of it alone. */
  readonly address: string;
  /** The loopback address at which the others reach it, of it alone; the relay listens there. */
  readonly advertiseAddress: string;
  /** Ports to relay, each for UDP and TCP. The first is the one that `advertiseFor` names. */
  readonly ports: readonly number[];
}

export interface LinksOptions {
  readonly nodes: readonly LinkedNode[];
  /** One-way delay. Asked for every datagram, so it may vary; datagrams then overtake each other. */
  readonly delayMs: (from: string, to: string) => number;
  /** The share of datagrams lost, 0 to 1. Asked for every datagram. */
  readonly lossShare?: (from: string, to: string) => number;
  /** Shared by all that goes from one node to another. Unlimited without it. */
  readonly megabitsPerSecond?: (from: string, to: string) => number;
  /** Decides about loss: from 0 up to 1. */
  readonly random?: () => number;
}

export interface Links {
  /** What a node has to advertise so that the others reach it over these links. */
  advertiseFor(name: string): Endpoint;
  /** Nothing goes from either of the two to the other any more; what is on its way is lost. */
  cut(a: string, b: string): void;
  heal(a: string, b: string): void;
  readonly counters: LinkCounters;
  /** Closes all sockets of the relay. What is on its way is lost. */
  close(): Promise<void>;
}

export interface LinkCounters {
  readonly datagramsCarried: number;
  /** By chance, by a cut, or because a slow link's queue was full. */
  readonly datagramsLost: number;
  /** Datagrams from an address of no node: nobody knows which link they are on. They are lost. */
  readonly datagramsOfStrangers: number;
  readonly connectionsCarried: number;
}

/** The relay's socket that stands for one UDP endpoint of a node. */
interface Face {
  readonly real: Endpoint;
  readonly socket: UdpSocket;
}

/** A slow link keeps at most so much waiting, as routers do. */
const queueMsMax = 200;
/** Endpoints of one node beyond its ports (outgoing sockets with a port of their own). */
const passingFacesMax = 256;
const socketBufferBytes = 4 * 1024 * 1024;

/** Opens links between all the nodes. Rejects where an advertised address or port is taken. */
export async function openLinks(options: LinksOptions): Promise<Links> {
  const relay = new LinkRelay(options);
  try {
    await relay.open();
  } catch (error) {
    await relay.close();
    throw error;
  }
  return relay;
}

class LinkRelay implements Links {
  readonly counters = {
    datagramsCarried: 0,
    datagramsLost: 0,
    datagramsOfStrangers: 0,
    connectionsCarried: 0,
  };
  readonly #options: LinksOptions;
  readonly #random: () => number;
  readonly #byAddress: ReadonlyMap<string, LinkedNode>;
  readonly #byName: ReadonlyMap<string, LinkedNode>;
  /** By the real endpoint that they stand for. */
  readonly #faces = new Map<string, Face>();
  readonly #passingFaces = new Map<string, Face>();
  readonly #servers: Server[] = [];
  readonly #connections = new Set<CarriedConnection>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #cuts = new Set<string>();
  /** When a link has sent all that it took so far, by link, for those of limited bandwidth. */
  readonly #busyUntilMs = new Map<string, number>();

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#byAddress = new Map(options.nodes.map((node) => [node.address, node]));
    this.#byName = new Map(options.nodes.map((node) => [node.name, node]));
    const addresses = options.nodes.flatMap((node) => [node.address, node.advertiseAddress]);
    if (new Set(addresses).size !== addresses.length || this.#byName.size !== options.nodes.length) {
      throw new Error('every node needs a name, an address and an advertised address of its own');
    }
  }

  async open(): Promise<void> {
    for (const node of this.#options.nodes) {
      for (const port of node.ports) {
        const face = this.#openFace(node, { address: node.address, port }, port);
        this.#faces.set(endpointText(face.real), face);
        await new Promise<void>((resolve, reject) => {
          face.socket.once('listening', resolve).once('error', reject);
        });
        face.socket.on('error', () => {});
        await this.#listen(node, port);
      }
    }
  }

  advertiseFor(name: string): Endpoint {
    const node = this.#node(name);
    return { address: node.advertiseAddress, port: node.ports[0] ?? 0 };
  }

  cut(a: string, b: string): void {
    this.#cuts.add(linkName(this.#node(a).name, this.#node(b).name));
    this.#cuts.add(linkName(b, a));
  }

  heal(a: string, b: string): void {
    this.#cuts.delete(linkName(this.#node(a).name, this.#node(b).name));
    this.#cuts.delete(linkName(b, a));
    for (const connection of this.#connections) connection.resume();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const connection of this.#connections) connection.destroy();
    const faces = [...this.#faces.values(), ...this.#passingFaces.values()];
    this.#faces.clear();
    this.#passingFaces.clear();
    await Promise.all([
      ...faces.map(({ socket }) => closeUdp(socket)),
      ...this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))),
    ]);
  }

  #node(name: string): LinkedNode {
    const node = this.#byName.get(name);
    if (node === undefined) throw new Error(`no node of these links is called ${name}`);
    return node;
  }

  #openFace(node: LinkedNode, real: Endpoint, port: number): Face {
    const socket = createSocket({ type: 'udp4', recvBufferSize: socketBufferBytes });
    const face = { real, socket };
    socket.on('message', (bytes, from) => this.#carryDatagram(bytes, from, node, face));
    socket.bind({ address: node.advertiseAddress, port, exclusive: true });
    return face;
  }

  #carryDatagram(bytes: Buffer, from: RemoteInfo, to: LinkedNode, face: Face): void {
    const sender = this.#byAddress.get(from.address);
    if (sender === undefined) {
      this.counters.datagramsOfStrangers++;
      return;
    }
    const lossShare = this.#options.lossShare?.(sender.name, to.name) ?? 0;
    const queuedMs = this.#queue(sender.name, to.name, bytes.length, queueMsMax);
    if (
      queuedMs === undefined ||
      this.#isCut(sender.name, to.name) ||
      (lossShare > 0 && this.#random() < lossShare)
    ) {
      this.counters.datagramsLost++;
      return;
    }
    const delayMs = this.#options.delayMs(sender.name, to.name) + queuedMs;
    this.#after(delayMs, () => {
      if (this.#isCut(sender.name, to.name)) {
        this.counters.datagramsLost++;
        return;
      }
      this.counters.datagramsCarried++;
      const { socket } = this.#faceOf(sender, { address: from.address, port: from.port });
      // An error means that nobody listens there; a datagram that finds nobody is gone.
      socket.send(bytes, face.real.port, face.real.address, () => {});
    });
  }

  /** The face of an endpoint that sends, opened for it where it is none of the node's known ports. */
  #faceOf(node: LinkedNode, real: Endpoint): Face {
    const name = endpointText(real);
    const known = this.#faces.get(name) ?? this.#passingFaces.get(name);
    if (known !== undefined) return known;
    const face = this.#openFace(node, real, 0);
    face.socket.on('error', () => {});
    this.#passingFaces.set(name, face);
    const oldest = this.#passingFaces.entries().next().value;
    if (this.#passingFaces.size > passingFacesMax && oldest !== undefined) {
      this.#passingFaces.delete(oldest[0]);
      void closeUdp(oldest[1].socket);
    }
    return face;
  }

  async #listen(node: LinkedNode, port: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#carry(socket, node, port),
    );
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: node.advertiseAddress, port, exclusive: true }, () => resolve());
    });
  }

  #carry(socket: Socket, to: LinkedNode, port: number): void {
    this.counters.connectionsCarried++;
    const sender = this.#byAddress.get(socket.remoteAddress ?? '');
    // Some programs leave the source address of connections to the system. Which link such a one is on cannot be
    // told: it gets the longest way there is, and stands still while any link of its destination is cut.
    const senders = sender === undefined ? this.#others(to) : [sender.name];
    const slowestMs = (delayMs: (name: string) => number): number => Math.max(0, ...senders.map(delayMs));
    const connection = carryConnection({
      socket,
      to: { address: to.address, port },
      ...(sender === undefined ? {} : { localAddress: sender.advertiseAddress }),
      delayForthMs: () => slowestMs((name) => this.#options.delayMs(name, to.name)),
      delayBackMs: () => slowestMs((name) => this.#options.delayMs(to.name, name)),
      queueForthMs: (bytes) => this.#queue(senders[0] ?? to.name, to.name, bytes) ?? 0,
      queueBackMs: (bytes) => this.#queue(to.name, senders[0] ?? to.name, bytes) ?? 0,
      isCut: () => senders.some((name) => this.#isCut(name, to.name)),
      ended: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
  }

  #others(node: LinkedNode): readonly string[] {
    return this.#options.nodes.filter((other) => other !== node).map(({ name }) => name);
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.has(linkName(from, to));
  }

  /** Takes the link for so many bytes; how long until the last of them has left. Undefined: the queue is full. */
  #queue(from: string, to: string, bytes: number, msMax = Number.POSITIVE_INFINITY): number | undefined {
    const rate = this.#options.megabitsPerSecond?.(from, to);
    if (rate === undefined) return 0;
    const link = linkName(from, to);
    const now = performance.now();
    const startMs = Math.max(now, this.#busyUntilMs.get(link) ?? 0);
    if (startMs - now > msMax) return undefined;
    const untilMs = startMs + (bytes * 8) / (rate * 1000);
    this.#busyUntilMs.set(link, untilMs);
    return untilMs - now;
  }

  #after(ms: number, run: () => void): void {
    if (ms <= 0) {
      run();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }
}

function linkName(from: string, to: string): string {
  return `${from} ${to}`;
}

function closeUdp(socket: UdpSocket): Promise<void> {
  return new Promise((resolve) => {
    try {
      socket.close(() => resolve());
    } catch {
      // It never opened.
      resolve();
    }
  });
}
