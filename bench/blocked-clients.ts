import { connect, type Socket } from 'node:net';

/** How long it took until all blocked clients had their answer, in milliseconds from the write that woke them. */
export interface Woken {
  readonly firstMs: number;
  readonly medianMs: number;
  readonly allMs: number;
}

/**
 * Opens `count` connections to the server at `port`, blocks each on the same key, changes the key once and waits
 * for all the answers. Plain sockets: the client must cost as little as it can, since it shares the machine.
 */
export async function blockedClients(port: number, count: number): Promise<Woken> {
  const base = `http://127.0.0.1:${port}/v1/kv/bench/blocked`;
  await fetch(base, { method: 'PUT', body: `before-${performance.now()}` });
  const index = (await fetch(base)).headers.get('x-consul-index') ?? '1';
  const request = Buffer.from(
    `GET /v1/kv/bench/blocked?index=${index}&wait=300s HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
  );
  const answeredAt: number[] = [];
  let finish: () => void;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const answered = (): void => {
    answeredAt.push(performance.now());
    if (answeredAt.length === count) finish();
  };
  const sockets: Socket[] = [];
  // In slices, so that the listener's backlog holds them.
  for (let opened = 0; opened < count; opened += 200) {
    const slice = Array.from({ length: Math.min(200, count - opened) }, () => connected(port, answered));
    for (const socket of await Promise.all(slice)) {
      sockets.push(socket);
      socket.write(request);
    }
  }
  await untilQuiet();
  const startedAt = performance.now();
  await fetch(base, { method: 'PUT', body: `after-${startedAt}` });
  await finished;
  for (const socket of sockets) socket.destroy();
  const took = answeredAt.map((at) => at - startedAt).toSorted((a, b) => a - b);
  return { firstMs: took[0] ?? 0, medianMs: took[Math.floor(count / 2)] ?? 0, allMs: took[count - 1] ?? 0 };
}

/** All sockets read into this one buffer: what they read is not looked at, and streams would cost as much as a server. */
const shared = Buffer.alloc(4096);

async function connected(port: number, answered: () => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let first = true;
    const callback = (): boolean => {
      if (first) answered();
      first = false;
      return true;
    };
    const onread = { buffer: shared, callback };
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** The servers need a moment to park the last requests; nothing in the protocol says when they have. */
async function untilQuiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
