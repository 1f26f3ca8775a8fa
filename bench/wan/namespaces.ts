import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Keeper, run } from './keeper.ts';
import { delayMs, directions, type Region, regions, type WanNetwork } from './network.ts';

const device = 'wan0';

/**
 * A network namespace for each region, and `wan-delay.c`, compiled here and now, between them: real TCP and UDP of
 * the kernel, that see nothing but a long way. Needs root.
 */
export async function openNamespaces(keeper: Keeper): Promise<WanNetwork> {
  const program = join(keeper.place, 'wan-delay');
  await run('cc', ['-O2', '-o', program, join(import.meta.dirname, 'wan-delay.c')]);
  const name = (region: Region): string => `${keeper.namespacePrefix}${region}`;
  const address = (region: Region): string => `10.77.0.${regions.indexOf(region) + 1}`;
  for (const region of regions) {
    const inside = ['-n', name(region)];
    await run('ip', ['netns', 'add', name(region)]);
    await run('ip', [...inside, 'link', 'set', 'lo', 'up']);
    await run('ip', [...inside, 'tuntap', 'add', 'dev', device, 'mode', 'tun']);
    await run('ip', [...inside, 'address', 'add', `${address(region)}/24`, 'dev', device]);
    await run('ip', [...inside, 'link', 'set', device, 'txqueuelen', '10000', 'up']);
  }
  const delayer = new Delayer(
    keeper.spawn(
      program,
      regions.flatMap((region) => [name(region), device, address(region)]),
      { stdio: ['pipe', 'pipe', 'inherit'] },
    ),
  );
  await delayer.ready();
  const order = (what: string, from: Region, to: Region, more = ''): Promise<string> =>
    delayer.order(`${what} ${regions.indexOf(from)} ${regions.indexOf(to)}${more}`);
  for (const [from, to] of directions) await order('delay', from, to, ` ${delayMs(from, to) * 1000}`);
  const forLinksOf = async (what: string, region: Region): Promise<void> => {
    await Promise.all(
      directions.filter((link) => link.includes(region)).map(([from, to]) => order(what, from, to)),
    );
  };
  return {
    how: 'network namespaces',
    bindAddress: address,
    advertiseAddress: address,
    spawn: (region, command, args, options) =>
      keeper.spawn('ip', ['netns', 'exec', name(region), command, ...args], options),
    cutOff: (region) => forLinksOf('cut', region),
    heal: (region) => forLinksOf('heal', region),
    report: async () => {
      const [carried, lost, lateMicros] = (await delayer.order('stats')).split(' ').map(Number);
      return `${carried} packets carried, ${lost} lost, none later than ${((lateMicros ?? NaN) / 1000).toFixed(2)} ms after its time`;
    },
    close: async () => {
      await delayer.close();
    },
  };
}

/** The running delay program. It answers each order with one line, in order. */
class Delayer {
  readonly #process: ChildProcess;
  readonly #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = [];
  readonly #ended: Promise<void>;

  constructor(child: ChildProcess) {
    this.#process = child;
    const { stdin, stdout } = child;
    if (stdin === null || stdout === null) throw new Error('the delay program has no pipes');
    stdin.on('error', () => {});
    createInterface(stdout).on('line', (line) => {
      const waiting = this.#waiting.shift();
      if (line === 'ready') waiting?.resolve('');
      else if (line.startsWith('ok')) waiting?.resolve(line.slice(3));
      else waiting?.reject(new Error(`wan-delay: ${line}`));
    });
    this.#ended = new Promise((resolve) => {
      child.once('close', () => {
        for (const { reject } of this.#waiting.splice(0)) reject(new Error('the delay program has ended'));
        resolve();
      });
    });
  }

  ready(): Promise<string> {
    return this.#answer();
  }

  order(line: string): Promise<string> {
    const answer = this.#answer();
    this.#process.stdin?.write(`${line}\n`);
    return answer;
  }

  async close(): Promise<void> {
    this.#process.stdin?.end();
    await this.#ended;
  }

  #answer(): Promise<string> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}
