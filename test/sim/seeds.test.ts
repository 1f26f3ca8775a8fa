import { describe, expect, test } from '@jest/globals';
import { runSeed } from './lib/run-seed.ts';

// Small fleets in every kind of trouble. A seed that fails prints how to run it again.

const seedsPerTest = 10;
const seeds = 200;

describe('fleets of 3 to 9 gateways keep every promise', () => {
  const firsts = Array.from({ length: seeds / seedsPerTest }, (_, i) => 1 + i * seedsPerTest);
  test.each(firsts)(
    'seeds from %i',
    (first) => {
      const failures: string[] = [];
      for (let seed = first; seed < first + seedsPerTest; seed++) {
        const { problems } = runSeed(String(seed));
        if (problems.length > 0) {
          failures.push(`npm run sim -- --seed ${seed} --trace /tmp/sim-${seed}.txt\n${problems.join('\n')}`);
        }
      }
      expect(failures.join('\n\n')).toBe('');
    },
    120_000,
  );
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
