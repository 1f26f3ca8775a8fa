import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Region, WanNetwork } from './network.ts';
import type { OrderName, Orders, Seen, Told } from './orders.ts';

/** The benchmark's client in one region, as seen from here. */
export interface RegionClient {
  order<N extends OrderName>(name: N, ask: Orders[N]['ask']): Promise<Orders[N]['answer']>;
  /** Called for whatever a watch sees. */
  onSeen(listener: (seen: Seen) => void): void;
}

export function startClient(network: WanNetwork, region: Region, place: string): RegionClient {
  // The directory says whose process this is, should this run be killed.
  const args = [...process.execArgv, fileURLToPath(new URL('./region-client.ts', import.meta.url)), place];
  const child = network.spawn(region, process.execPath, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return new SpawnedClient(child);
}

class SpawnedClient implements RegionClient {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  readonly #listeners: ((seen: Seen) => void)[] = [];
  #orders = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message) => this.#told(message as Told));
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the client of a region has ended'));
      this.#waiting.clear();
    });
  }

  order<N extends OrderName>(name: N, ask: Orders[N]['ask']): Promise<Orders[N]['answer']> {
    const id = ++this.#orders;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, name, ask });
    });
  }

  onSeen(listener: (seen: Seen) => void): void {
    this.#listeners.push(listener);
  }

  #told(told: Told): void {
    if ('seen' in told) {
      for (const listener of this.#listeners) listener(told.seen);
      return;
    }
    const waiting = this.#waiting.get(told.id);
    this.#waiting.delete(told.id);
    if ('error' in told) waiting?.reject(new Error(told.error));
    else waiting?.resolve(told.answer as never);
  }
}
