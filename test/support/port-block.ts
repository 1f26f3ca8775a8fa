import { createSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';

/** Some consecutive free ports of 127.0.0.1, kept from other test processes until `release`. */
export interface PortBlock {
  /** The n-th port of the block, n from 0 to 8. */
  port(n: number): number;
  release(): Promise<void>;
}

const blockSize = 10;
// Below the range from which the system takes the ports of outgoing connections (Linux: from 32768), so
// that a client's own port never takes one of ours between a stop and a restart.
const firstPort = 20_000;
const blockCount = 1_200;

/**
 * Takes a block of ports. The first port of the block is listened on for as long as the block is held: that
 * is the lock which keeps parallel test processes apart, and the system drops it when this process dies.
 */
export async function takePortBlock(): Promise<PortBlock> {
  const start = Math.floor(Math.random() * blockCount);
  for (let i = 0; i < blockCount; i++) {
    const base = firstPort + ((start + i) % blockCount) * blockSize;
    const guard = await listen(base);
    if (guard === undefined) continue;
    if (await allFree(base + 1, blockSize - 1)) {
      guard.unref();
      return {
        port(n) {
          if (n < 0 || n >= blockSize - 1) throw new Error(`a port block has no port ${n}`);
          return base + 1 + n;
        },
        release: () => new Promise((resolve) => guard.close(() => resolve())),
      };
    }
    await new Promise((resolve) => guard.close(resolve));
  }
  throw new Error('no free block of ports on 127.0.0.1');
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

async function allFree(first: number, count: number): Promise<boolean> {
  for (let port = first; port < first + count; port++) {
    const server = await listen(port);
    if (server === undefined) return false;
    await new Promise((resolve) => server.close(resolve));
    if (!(await udpFree(port))) return false;
  }
  return true;
}

function udpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => socket.close(() => resolve(true)));
  });
}
