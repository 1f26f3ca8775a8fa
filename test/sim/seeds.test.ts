import { execFile } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { projectRoot } from '../support/agent-process.ts';
import { runSeed } from './lib/run-seed.ts';

// Small fleets in every kind of trouble. A seed that fails prints how to run it again.

const shares = 2;
const seedsPerShare = 100;

describe('fleets of 3 to 9 gateways keep every promise', () => {
  // In processes of their own: they use all cores, and Jest's module wrapping makes a simulation take twice as long.
  test.concurrent.each(Array.from({ length: shares }, (_, i) => 1 + i * seedsPerShare))(
    'seeds from %i',
    async (first) => {
      const { code, output } = await simulate(
        '--from',
        `${first}`,
        '--seeds',
        `${seedsPerShare}`,
        '--keep-going',
      );
      const others = output.split('\n').filter((line) => !/^seed \d+: ok/.test(line));
      expect(others.join('\n')).toMatch(new RegExp(`^${seedsPerShare} seeds, 0 failed.*\n$`));
      expect(code).toBe(0);
    },
    900_000,
  );
});

describe('zones that are lent to a source Consul and taken back under load, while stragglers go on relaying,', () => {
  test.concurrent('come to one state, lose no acknowledged write, and are as the source is where it decides', async () => {
    const args = ['--lent', '--gateways', '4', '--seconds', '8', '--seeds', '50', '--keep-going'];
    const { code, output } = await simulate(...args);
    const lines = output.split('\n');
    const others = lines.filter((line) => !/^seed \d+: ok/.test(line));
    expect(others.join('\n')).toMatch(/^50 seeds, 0 failed.*\n$/);
    expect(code).toBe(0);
    // They are about something.
    expect(lines.filter((line) => /cutover \d/.test(line)).length).toBeGreaterThan(40);
    expect(lines.filter((line) => /local-reads \d/.test(line)).length).toBeGreaterThan(25);
  }, 900_000);
});

describe('a seed stands for one run', () => {
  test.each(['1', '2', '3', 'any text'])(
    '%s goes the same way twice, to the byte',
    (seed) => {
      const [first, second] = [runSeed(seed), runSeed(seed)];
      expect(second.digest).toBe(first.digest);
      expect(second.events).toBe(first.events);
    },
    60_000,
  );

  test('other seeds go other ways', () => {
    expect(runSeed('1').digest).not.toBe(runSeed('2').digest);
  }, 60_000);

  test('no machine changes what it was sent or has sent: thousands share these objects', () => {
    expect(runSeed('4', { freeze: true }).digest).toBe(runSeed('4').digest);
  }, 60_000);
});

/** `npm run sim`, to its end. */
function simulate(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  const command = ['--import', 'tsx', 'scripts/sim.ts', ...args];
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      command,
      { cwd: projectRoot(), maxBuffer: 64 << 20 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    );
  });
}
