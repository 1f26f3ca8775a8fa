import { randomInt } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { outlastTombstones } from '../test/migration/live/proof/reaped.ts';
import { runMigrationChaos } from '../test/migration/live/proof/run.ts';

// `npm run chaos:migration`: a real Consul is moved to and fro under load and faults, until something is found.

interface Options {
  readonly minutes: number;
  readonly roundSeconds: number;
  readonly seed?: string;
  readonly reaped?: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0 is wanted.');
  return value;
}

const options = new Command('npm run chaos:migration --')
  .description(
    'Starts a real Consul of three servers, three gateways and live clients at all six doors; walks a prefix and the\n' +
      'rest of the keys through the phases to and fro, by the command line; kills gateways and leaders, cuts links,\n' +
      'freezes servers, restores snapshots, deletes much, takes rights away; and judges what every door shows by the\n' +
      'record of what clients were told.',
  )
  .option('--minutes <n>', 'how long in all', positive, 10)
  .option(
    '--round-seconds <n>',
    'how long there are faults before a prefix is walked to the end',
    positive,
    150,
  )
  .option('--seed <text>', 'of the first round; steps and faults follow from it, their exact moments do not')
  .option(
    '--reaped',
    'only this: keys are deleted while nobody looks, and Consul reaps its tombstones (17 minutes)',
  )
  .parse()
  .opts<Options>();

const endMs = Date.now() + options.minutes * 60_000;
let seed = options.seed ?? String(randomInt(1_000_000));
let startedMs = Date.now();
const log = (text: string): void =>
  console.log(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}`);
if (options.reaped === true) {
  const problems = await outlastTombstones(log);
  for (const problem of problems) console.log(`  ${problem}`);
  process.exit(problems.length === 0 ? 0 : 1);
}
while (Date.now() < endMs) {
  startedMs = Date.now();
  log(`seed ${seed}`);
  const ms = Math.min(options.roundSeconds * 1000, endMs - startedMs);
  const problems = await runMigrationChaos({ seed, ms, log });
  console.log(problems.length === 0 ? `seed ${seed}: nothing found` : `seed ${seed}: FOUND`);
  for (const problem of problems) console.log(`  ${problem}`);
  if (problems.length > 0) {
    process.exitCode = 1;
    break;
  }
  seed = String(randomInt(1_000_000));
}
