import { spawnSync } from 'node:child_process';
import { Command } from 'commander';

const program = new Command('soak')
  .description(
    'Runs the property tests again and again with fresh seeds, until one fails or the time is over.',
  )
  .option('--minutes <n>', 'how long', '10')
  .option(
    '--paths <regex>',
    'test files, as jest selects them',
    'test/(crdt|state|node|swim|replication|wire|io|compat)',
  )
  .addHelpText('after', '\nA failure prints its seed: GRAPEVINE_SEED=<seed> npx jest <file> repeats it.');

const { minutes, paths } = program.parse().opts<{ minutes: string; paths: string }>();
const endMs = Date.now() + Number(minutes) * 60_000;
for (let round = 1; Date.now() < endMs; round++) {
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`round ${round}: GRAPEVINE_SEED=${seed}`);
  const { status } = spawnSync('npx', ['jest', '--silent', paths], {
    env: { ...process.env, GRAPEVINE_SEED: String(seed) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) {
    console.error(`failed with GRAPEVINE_SEED=${seed}`);
    process.exit(1);
  }
}
