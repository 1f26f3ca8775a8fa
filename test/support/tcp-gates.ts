import { createServer, type Server, type AddressInfo } from 'node:net';
import { type CarriedConnection, carryConnection } from './link-relay-tcp.ts';

/** A TCP port that leads to another one, until it is cut: then nothing passes, and nobody is told. */
export interface TcpGate {
  readonly port: number;
  cut(): void;
  /** What stood still goes on. */
  heal(): void;
  /** Whoever calls from now on gets there; what is open ends. */
  lead(toPort: number): void;
  close(): Promise<void>;
}

export async function openTcpGate(port: number): Promise<TcpGate> {
  const open = new Set<CarriedConnection>();
  let isCut = false;
  let toPort = port;
  const none = (): number => 0;
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const carried = carryConnection({
      ...{ socket, to: { address: '127.0.0.1', port: toPort }, isCut: () => isCut },
      ...{ delayForthMs: none, delayBackMs: none, queueForthMs: none, queueBackMs: none },
      ended: () => open.delete(carried),
    });
    open.add(carried);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      isCut = true;
    },
    heal: () => {
      isCut = false;
      for (const carried of open) carried.resume();
    },
    lead: (to) => {
      toPort = to;
      for (const carried of open) carried.destroy();
    },
    close: async () => {
      for (const carried of open) carried.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
