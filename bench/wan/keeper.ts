import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Everything that a run of the benchmark leaves in the system carries this name and the run's identity, and goes
// when the run ends, however it ends: the run itself takes it away, else a shell that outlives it, else the next run.
const prefix = 'grapevine-wan-';

/** Owns what a run makes outside of its process: a directory, processes, network namespaces. */
export interface Keeper {
  /** A directory of this run. */
  readonly place: string;
  /** What the names of this run's namespaces begin with. */
  readonly namespacePrefix: string;
  /** Starts a process that ends no later than this run. */
  spawn(command: string, args: readonly string[], options: SpawnOptions): ChildProcess;
  /** SIGTERM, and SIGKILL where that does not help within 5 s. */
  stop(child: ChildProcess): Promise<void>;
  /** Ends and removes everything. */
  close(): Promise<void>;
}

export async function openKeeper(): Promise<Keeper> {
  await removeLeftovers();
  const identity = `${prefix}${process.pid}-${startTicks(process.pid)}-`;
  const place = mkdtempSync(join(tmpdir(), identity));
  const running = new Map<number, ChildProcess>();
  const shell = startWatchdog(place, identity);
  const tell = (line: string): void => void shell.stdin?.write(`${line}\n`);
  return {
    place,
    namespacePrefix: identity,
    spawn(command, args, options) {
      const child = spawn(command, args, options);
      const { pid } = child;
      child.once('error', (error) => console.error(`${command}: ${error.message}`));
      if (pid !== undefined) {
        running.set(pid, child);
        tell(`+${pid}`);
        child.once('exit', () => {
          running.delete(pid);
          tell(`-${pid}`);
        });
      }
      return child;
    },
    stop,
    async close() {
      await Promise.all([...running.values()].map(stop));
      await removeNamespaces((name) => name.startsWith(identity));
      rmSync(place, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
      shell.stdin?.end('done\n');
    },
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(late);
}

/** A shell that does what `close` does when this process is gone, of which the end of its stdin tells it. */
function startWatchdog(place: string, identity: string): ChildProcess {
  const script = `trap "" INT TERM HUP
pids=" "
while read -r line; do
  case "$line" in
    done) exit 0 ;;
    +*) pids="$pids\${line#+} " ;;
    -*) pids="\${pids%% \${line#-} *} \${pids#* \${line#-} }" ;;
  esac
done
for pid in $pids; do kill -9 "$pid"; done
for name in $(ls /run/netns); do
  case "$name" in "$2"*) kill -9 $(ip netns pids "$name"); ip netns del "$name" ;; esac
done
sleep 0.2
rm -rf "$1"`;
  const shell = spawn('/bin/sh', ['-c', script, 'watchdog', place, identity], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  shell.stdin.on('error', () => {});
  (shell.stdin as Socket).unref();
  return shell;
}

/** Ends and removes what runs left that are no longer there. */
async function removeLeftovers(): Promise<void> {
  const places = readdirSync(tmpdir())
    .filter(isLeftover)
    .map((name) => join(tmpdir(), name));
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const args = readProc(pid, 'cmdline').split('\0');
    // The shell of a run that has just ended is at work on the same.
    if (args.includes('watchdog')) continue;
    if (places.some((place) => args.some((arg) => arg.includes(place)))) kill(Number(pid));
  }
  // What another user left is not ours to remove, nor in the way.
  await removeNamespaces(isLeftover).catch(() => {});
  for (const place of places) {
    try {
      rmSync(place, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    } catch {
      continue;
    }
  }
}

/** Is it named by a run whose process is gone? Process ids come again, so the time of its start counts too. */
function isLeftover(name: string): boolean {
  const [, pid, ticks] = /^grapevine-wan-(\d+)-(\d+)-/.exec(name) ?? [];
  return pid !== undefined && startTicks(Number(pid)) !== ticks;
}

/** When a process started, in clock ticks since the system did; '' where there is none. */
function startTicks(pid: number): string {
  // The name of the program, in parentheses, may hold spaces; this is the 20th field after it.
  const fields = readProc(String(pid), 'stat').split(') ').at(-1)?.split(' ') ?? [];
  return fields[19] ?? '';
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

async function removeNamespaces(which: (name: string) => boolean): Promise<void> {
  let names: readonly string[];
  try {
    names = readdirSync('/run/netns').filter(which);
  } catch {
    return;
  }
  for (const name of names) {
    for (const pid of (await run('ip', ['netns', 'pids', name])).split('\n')) {
      if (pid !== '') kill(Number(pid));
    }
    await run('ip', ['netns', 'del', name]);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

/** Runs a command to its end; gives what it printed, and rejects with what it said where it failed. */
export function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(new Error(`${command} ${args.join(' ')}: ${stderr === '' ? error.message : stderr.trim()}`));
    });
  });
}
