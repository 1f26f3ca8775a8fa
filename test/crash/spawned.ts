import { type ChildProcess, spawn } from 'node:child_process';
import { gatewayCommand } from '../support/gateway-process.ts';
import type { PortBlock } from '../support/port-block.ts';

/** A gateway that is expected to end by itself, or is killed before it serves. */
export interface Spawned {
  readonly url: string;
  output(): string;
  /** The exit code; -1 for a signal. */
  readonly exited: Promise<number>;
  kill(): Promise<void>;
}

export interface SpawnOptions {
  readonly dataDir: string;
  readonly ports: PortBlock;
  /** A command that runs the one after it: a limit, another user. */
  readonly wrapper?: readonly string[];
  readonly args?: readonly string[];
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) signalGroup(child);
});

function signalGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended between the look and the signal.
  }
}

export function spawnGateway({ dataDir, ports, wrapper = [], args = [] }: SpawnOptions): Spawned {
  const [command, ...rest] = [
    ...wrapper,
    ...gatewayCommand(),
    'agent',
    '-server',
    '-bootstrap',
    '-node=crash',
    '-bind=127.0.0.1',
    '-client=127.0.0.1',
    `-data-dir=${dataDir}`,
    `-http-port=${ports.port(0)}`,
    '-dns-port=-1',
    `-server-port=${ports.port(2)}`,
    `-serf-lan-port=${ports.port(3)}`,
    `-serf-wan-port=${ports.port(4)}`,
    ...args,
  ] as [string, ...string[]];
  const child = spawn(command, rest, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      running.delete(child);
      resolve(code ?? -1);
    });
  });
  return {
    url: `http://127.0.0.1:${ports.port(0)}`,
    output: () => output,
    exited,
    kill: async () => {
      signalGroup(child);
      await exited;
    },
  };
}

/** Resolves when the gateway answers; rejects when it ends before. */
export async function untilServing(gateway: Spawned): Promise<void> {
  const gone = gateway.exited.then(() => true);
  for (;;) {
    try {
      await (await fetch(`${gateway.url}/v1/kv/?keys`)).text();
      return;
    } catch {
      const soon = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 20));
      if (await Promise.race([gone, soon])) {
        throw new Error(`it ended before it served:\n${gateway.output()}`);
      }
    }
  }
}
