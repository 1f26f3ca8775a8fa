import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { formatGoDuration, nsPerSecond } from '../wire/go-duration.ts';
import { startDeadline } from './deadline.ts';
import type { CheckDefinition } from './definition.ts';
import { TailBuffer } from './output.ts';
import type { Probe, ProbeResult } from './probe.ts';

const timeoutNsDefault = 30 * nsPerSecond;

/**
 * Runs `args` without a shell, in a process group of its own with the gateway's environment and directory.
 * Exit 0 passes, 1 warns, all else is critical. The run lasts until its pipes are closed, so a child that
 * keeps them open counts; the timeout (default 30 s) kills the group.
 */
export function scriptProbe(definition: CheckDefinition, outputBytesMax: number): Probe {
  const timeoutNs = definition.timeoutNs > 0 ? definition.timeoutNs : timeoutNsDefault;
  return async (outer) => {
    const deadline = startDeadline(outer, timeoutNs / 1e6);
    try {
      return await runOnce(definition.args, timeoutNs, outputBytesMax, deadline.signal);
    } finally {
      deadline.dispose();
    }
  };
}

async function runOnce(
  args: readonly string[],
  timeoutNs: number,
  outputBytesMax: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const [command = '', ...rest] = args;
  const started = await start(command, rest);
  if ('problem' in started) return { status: 'critical', output: started.problem };
  const { child } = started;
  const output = new TailBuffer(outputBytesMax);
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  child.on('error', () => undefined);
  // 'exit' may come long before 'close', or, when a descendant left the group, without it.
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  return new Promise((resolve) => {
    const kill = (): void => {
      killGroup(child);
      const text = output.textWithNote();
      const head = `Timed out (${formatGoDuration(timeoutNs)}) running check`;
      resolve({
        status: 'critical',
        output: text === '' ? head : `${head}\n\n${text}`,
        settled: release(child, exited),
      });
    };
    child.once('close', (code) => {
      signal.removeEventListener('abort', kill);
      const status = code === 0 ? 'passing' : code === 1 ? 'warning' : 'critical';
      resolve({ status, output: output.textWithNote() });
    });
    if (signal.aborted) kill();
    else signal.addEventListener('abort', kill, { once: true });
  });
}

/** Whoever escaped the group may hold the pipes; they are of no more use. */
async function release(child: ChildProcess, exited: Promise<void>): Promise<void> {
  await exited;
  child.stdout?.destroy();
  child.stderr?.destroy();
}

async function start(
  command: string,
  args: readonly string[],
): Promise<{ readonly child: ChildProcess } | { readonly problem: string }> {
  try {
    const child = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    return { child };
  } catch (error) {
    return { problem: startProblem(command, error) };
  }
}

/** Go's words: a bare name is looked up in PATH, anything with a slash is executed as it stands. */
function startProblem(command: string, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const bare = command !== '' && !command.includes('/');
  if (bare && code === 'ENOENT')
    return `exec: ${JSON.stringify(command)}: executable file not found in $PATH`;
  if (code === 'ENOENT' || command === '') return `fork/exec ${command}: no such file or directory`;
  if (code === 'EACCES') return `fork/exec ${command}: permission denied`;
  return `fork/exec ${command}: ${error instanceof Error ? error.message : String(error)}`;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}
