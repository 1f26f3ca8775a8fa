import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type PortBlock, takePortBlock } from './port-block.ts';

/** What a test asks of an agent, be it a real Consul or a gateway. */
export interface AgentOptions {
  /** Merged (objects deeply) over the configuration that the support code makes. */
  readonly config?: object;
  /** Kept after `stop`. Without it the agent gets a directory of its own, removed by `stop`. */
  readonly dataDir?: string;
  /** Further arguments of `agent`. */
  readonly args?: readonly string[];
}

export interface CommandResult {
  /** The exit code; -1 where a signal ended the command. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly cwd?: string;
}

/** A running agent. It does not outlive this process, however this process ends. */
export interface AgentProcess {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly httpPort: number;
  /** Of the present run: `restart` changes it. */
  readonly pid: number;
  readonly dataDir: string;
  readonly nodeName: string;
  readonly ports: AgentPorts;
  /** All that it printed so far, in all its runs. */
  output(): string;
  /** Waits for its end, however that comes about; gives the exit code, -1 for a signal. */
  exited(): Promise<number>;
  /** SIGTERM, waits for the end, and frees what belongs to this agent. */
  stop(): Promise<void>;
  /** SIGKILL, and waits for the end. Data and ports stay, for `restart`. */
  kill(): Promise<void>;
  /** Starts it again (killing it first where it still runs), with the same data, ports and name. */
  restart(): Promise<void>;
}

export interface AgentPorts {
  readonly http: number;
  readonly dns: number;
  readonly server: number;
  readonly serfLan: number;
  readonly serfWan: number;
  readonly grpc: number;
}

export interface AgentProgram {
  readonly command: string;
  /** Arguments before those of the options; the path of the configuration file is known by then. */
  readonly args: (configFile: string) => readonly string[];
  readonly config: (place: { ports: AgentPorts; dataDir: string; nodeName: string }) => object;
  readonly namePrefix: string;
  readonly startMsMax: number;
  /** Whether it serves, where its own node's health does not tell. */
  readonly isServing?: (url: string, signal: AbortSignal) => Promise<boolean>;
}

/** Starts the program and waits until it serves: a leader is known and its node's serfHealth is there. */
export async function startAgent(program: AgentProgram, options: AgentOptions = {}): Promise<AgentProcess> {
  const place = await mkdtemp(join(tmpdir(), `grapevine-test-${program.namePrefix}-`));
  const block = await takePortBlock();
  try {
    const agent = new RunningAgent(program, options, place, block);
    await agent.prepare();
    await agent.restart();
    return agent;
  } catch (error) {
    await block.release();
    await rm(place, { recursive: true, force: true });
    throw error;
  }
}

class RunningAgent implements AgentProcess {
  readonly url: string;
  readonly httpPort: number;
  readonly dataDir: string;
  readonly nodeName: string;
  readonly ports: AgentPorts;
  readonly #program: AgentProgram;
  readonly #options: AgentOptions;
  readonly #place: string;
  readonly #block: PortBlock;
  readonly #configFile: string;
  #child: ChildProcess | undefined;
  #exit: Promise<number> = Promise.resolve(0);
  #output = '';
  #stopped = false;

  constructor(program: AgentProgram, options: AgentOptions, place: string, block: PortBlock) {
    this.#program = program;
    this.#options = options;
    this.#place = place;
    this.#block = block;
    this.#configFile = join(place, 'agent.json');
    this.httpPort = block.port(0);
    this.url = `http://127.0.0.1:${this.httpPort}`;
    this.dataDir = options.dataDir ?? join(place, 'data');
    this.ports = {
      http: block.port(0),
      dns: block.port(1),
      server: block.port(2),
      serfLan: block.port(3),
      serfWan: block.port(4),
      grpc: block.port(5),
    };
    const named: { readonly node_name?: string } | undefined = options.config;
    this.nodeName = named?.node_name ?? `${program.namePrefix}-${this.httpPort}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async prepare(): Promise<void> {
    const made = this.#program.config({ ports: this.ports, dataDir: this.dataDir, nodeName: this.nodeName });
    await writeFile(this.#configFile, JSON.stringify(mergeDeep(made, this.#options.config ?? {}), null, 2));
  }

  output(): string {
    return this.#output;
  }

  exited(): Promise<number> {
    return this.#exit;
  }

  async restart(): Promise<void> {
    if (this.#stopped) throw new Error('the agent was stopped: its ports and data are gone');
    await this.kill();
    const args = [...this.#program.args(this.#configFile), ...(this.#options.args ?? [])];
    // A process group of its own, so that whatever it starts can be ended with it.
    const child = spawn(this.#program.command, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#output += `${error.message}\n`;
        resolve(-1);
      });
      child.once('close', (code) => resolve(code ?? -1));
    });
    // A test that forgets to stop its agent must still end, which is when the watchdog ends the agent.
    child.unref();
    for (const stream of [child.stdout, child.stderr]) {
      (stream as Socket | null)?.unref();
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => (this.#output += text));
    }
    if (child.pid !== undefined) {
      const watchdog = startWatchdog(child.pid, this.#place);
      void this.#exit.then(() => watchdog.dismiss());
    }
    await this.#untilServing();
  }

  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.#exit;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#signal('SIGTERM');
    const late = setTimeout(() => this.#signal('SIGKILL'), 10_000);
    await this.#exit;
    clearTimeout(late);
    await this.#block.release();
    await rm(this.#place, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  #signal(signal: NodeJS.Signals): void {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      // The group, where everything must go; the process alone, where it is to leave in its own way.
      process.kill(signal === 'SIGKILL' ? -child.pid : child.pid, signal);
    } catch {
      // It ended between the look and the signal.
    }
  }

  async #untilServing(): Promise<void> {
    const gone = new AbortController();
    const deadline = AbortSignal.timeout(this.#program.startMsMax);
    void this.#exit.then(() => gone.abort());
    const signal = AbortSignal.any([gone.signal, deadline]);
    const path = `/v1/health/node/${encodeURIComponent(this.nodeName)}`;
    let index = '0';
    for (;;) {
      if (signal.aborted) {
        const why = gone.signal.aborted ? 'ended before it served' : 'did not serve in time';
        await this.kill();
        throw new Error(`${this.#program.command} ${why}; it printed:\n${this.#output}`);
      }
      try {
        const { isServing } = this.#program;
        if (isServing !== undefined) {
          if (await isServing(this.url, signal)) return;
          await new Promise((resolve) => setTimeout(resolve, 50));
          continue;
        }
        const response = await fetch(`${this.url}${path}?wait=2s&index=${index}`, { signal });
        const text = await response.text();
        if (response.ok) {
          const checks = JSON.parse(text) as { CheckID: string; Status: string }[];
          if (checks.some((check) => check.CheckID === 'serfHealth' && check.Status === 'passing')) return;
          index = response.headers.get('x-consul-index') ?? '0';
          continue;
        }
      } catch {
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/**
 * A shell that ends the process group `pid` and removes `place` when this process is gone. It learns that
 * from the end of its stdin, which the system closes for us even on SIGKILL, when no exit handler runs.
 */
function startWatchdog(pid: number, place: string): { dismiss(): void } {
  const script =
    'trap "" INT TERM HUP; read -r line || { kill -9 -"$1"; sleep 0.2; rm -rf "$2"; } 2>/dev/null';
  const shell = spawn('/bin/sh', ['-c', script, 'watchdog', String(pid), place], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  shell.stdin.on('error', () => {});
  (shell.stdin as Socket).unref();
  return { dismiss: () => shell.stdin.end('done\n') };
}

/** Runs a command to its end. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const abort = (): void => void child.kill('SIGKILL');
    options.signal?.addEventListener('abort', abort, { once: true });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => {
      options.signal?.removeEventListener('abort', abort);
      resolve({ code: code ?? -1, stdout, stderr });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.stdin ?? '');
  });
}

/** The directory of this project's package.json, found from the working directory. */
export function projectRoot(): string {
  for (let dir = process.cwd(); ; dir = dirname(dir)) {
    const manifest = join(dir, 'package.json');
    if (
      existsSync(manifest) &&
      (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'grapevine'
    ) {
      return dir;
    }
    if (dir === dirname(dir)) throw new Error(`${process.cwd()} is not inside the project`);
  }
}

function mergeDeep(base: object, over: object): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isPlain(old) && isPlain(value) ? mergeDeep(old, value) : value;
  }
  return merged;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
