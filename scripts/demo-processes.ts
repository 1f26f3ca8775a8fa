import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sayCommand } from './demo-terminal.ts';

// The processes of the demo: none outlives it.

export const root = process.cwd();
export const grapevine = [process.execPath, join(root, 'dist/bin/grapevine.js')] as const;

const place = mkdtempSync(join(tmpdir(), 'grapevine-demo-'));
const running = new Set<ChildProcess>();
let stopping = false;
/** Then an agent that does not stop is killed. */
const stopMsMax = 5000;

export interface Ran {
  readonly code: number;
  readonly output: string;
}

/** Runs a command and says so; its output is shown as it comes. Answers the exit code. */
export async function show(
  program: readonly [string, ...string[]],
  args: readonly string[],
): Promise<number> {
  const [command, ...before] = program;
  sayCommand(
    [program === grapevine ? 'grapevine' : command.split('/').at(-1), ...args.map(quoted)].join(' '),
  );
  return new Promise((resolve, reject) => {
    const child = keep(spawn(command, [...before, ...args], { stdio: 'inherit' }));
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function quoted(arg: string): string {
  return /^[\w./:=,@%+-]+$/.test(arg) ? arg : `'${arg}'`;
}

/** Runs a command silently; what it printed, on both of its outputs. */
export async function capture(
  program: readonly [string, ...string[]],
  args: readonly string[] = [],
): Promise<Ran> {
  const [command, ...before] = program;
  return new Promise((resolve) => {
    const child = execFile(command, [...before, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, output: `${stdout}${stderr}`.trim() });
    });
    keep(child);
  });
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

export interface Agent {
  readonly name: string;
  readonly url: string;
  /** SIGKILL: as when its machine loses power. */
  kill(): Promise<void>;
  /** Starts it again, with the same ports and data. */
  restart(): Promise<void>;
}

export interface AgentPlan {
  readonly name: string;
  readonly program: readonly [string, ...string[]];
  /** Over what every agent of the demo gets; `ports` are merged. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whether it serves already, by its URL. */
  readonly ready: (url: string) => Promise<boolean>;
}

/** Starts an agent, of Consul or of Grapevine, on loopback and free ports, and waits until it is ready. */
export async function startAgent({ name, program, config, ready }: AgentPlan): Promise<Agent> {
  const [http, dns, lan, wan, server] = await Promise.all([1, 2, 3, 4, 5].map(freePort));
  const file = join(place, `${name}.json`);
  const ports = {
    http,
    dns,
    serf_lan: lan,
    serf_wan: wan,
    server,
    grpc: -1,
    ...(config['ports'] as object | undefined),
  };
  const common = { node_name: name, data_dir: join(place, name), bind_addr: '127.0.0.1', server: true };
  // It may hold a key of gossip.
  writeFileSync(file, JSON.stringify({ ...common, ...config, ports }), { mode: 0o600 });
  const url = `http://127.0.0.1:${http}`;
  const [command, ...before] = program;
  const start = async (): Promise<ChildProcess> => {
    let output = '';
    const child = keep(
      spawn(command, [...before, 'agent', `-config-file=${file}`], { stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)));
    }
    for (const deadline = Date.now() + 30_000; Date.now() < deadline;) {
      if (child.exitCode !== null) break;
      if (await ready(url).catch(() => false)) return child;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${name} did not start:\n${output}`);
  };
  let child = await start();
  return {
    name,
    url,
    kill: () => end(child, 'SIGKILL'),
    restart: async () => {
      child = await start();
    },
  };
}

/** Ends everything that the demo started, and removes what it wrote. */
export async function stopAll(): Promise<void> {
  stopping = true;
  await Promise.all([...running].map((child) => end(child, 'SIGTERM')));
  rmSync(place, { recursive: true, force: true });
}

function keep<Child extends ChildProcess>(child: Child): Child {
  if (stopping) child.kill('SIGKILL');
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
  await gone;
  clearTimeout(late);
}
