import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { emptyCheck } from '../../../compat/checks/definition.ts';
import { scriptProbe } from '../../../compat/checks/probe-script.ts';

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'script-check-'));
});

afterAll(() => rmSync(dir, { recursive: true }));

function probe(args: readonly string[], timeoutNs = 0, outputBytesMax = 4096) {
  return scriptProbe({ ...emptyCheck, args, timeoutNs }, outputBytesMax)(new AbortController().signal);
}

function shell(script: string, timeoutNs = 0, outputBytesMax = 4096) {
  return probe(['sh', '-c', script], timeoutNs, outputBytesMax);
}

function alive(pid: number): boolean {
  try {
    // A zombie is dead, and whether its parent has collected it is not ours to wait for.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a script', () => {
  test.each([
    ['echo hi', 'passing', 'hi\n'],
    ['echo warn >&2; exit 1', 'warning', 'warn\n'],
    ['echo bad; exit 2', 'critical', 'bad\n'],
    ['echo bad; kill -9 $$', 'critical', 'bad\n'],
  ])('%s is %s', async (script, status, output) => {
    expect(await shell(script)).toEqual({ status, output });
  });

  test('shows the end of a long output and how much there was', async () => {
    const { status, output } = await shell('seq 1 3000', 0, 30);
    expect(status).toBe('passing');
    expect(output).toBe('Captured 30 of 13893 bytes\n...\n2995\n2996\n2997\n2998\n2999\n3000\n');
  });

  test('that takes too long is killed with all that it started', async () => {
    const pidFile = join(dir, 'pid');
    const result = await shell(`echo part; sleep 300 & echo $! > ${pidFile}; wait`, 500e6);
    expect(result).toMatchObject({
      status: 'critical',
      output: 'Timed out (500ms) running check\n\npart\n',
    });
    await result.settled;
    const child = Number(readFileSync(pidFile, 'utf8'));
    // SIGKILL was sent to the whole group; the child's end is not ours to see, so look until it shows.
    while (alive(child)) await new Promise((resolve) => setImmediate(resolve));
    expect(child).toBeGreaterThan(0);
  });

  test('without output says only that it took too long', async () => {
    const { output } = await shell('exec sleep 300', 200e6);
    expect(output).toBe('Timed out (200ms) running check');
  });

  test('that leaves a child with its output open is waited for', async () => {
    const { status, output } = await shell('echo gone; sleep 300 & exit 0', 300e6);
    expect([status, output]).toEqual(['critical', 'Timed out (300ms) running check\n\ngone\n']);
  });

  test('that is cancelled ends', async () => {
    const controller = new AbortController();
    const running = scriptProbe({ ...emptyCheck, args: ['sleep', '300'] }, 100)(controller.signal);
    controller.abort();
    const result = await running;
    await result.settled;
    expect(result.status).toBe('critical');
  });

  test('that cannot be started says why in the words of Consul 1.8.7', async () => {
    const plain = join(dir, 'plain');
    writeFileSync(plain, 'x');
    const outputs = await Promise.all(
      [['/nonexistent'], [plain], ['no-such-command'], ['']].map(async (args) => (await probe(args)).output),
    );
    expect(outputs).toEqual([
      'fork/exec /nonexistent: no such file or directory',
      `fork/exec ${plain}: permission denied`,
      'exec: "no-such-command": executable file not found in $PATH',
      'fork/exec : no such file or directory',
    ]);
  });
});
