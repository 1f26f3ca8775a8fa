import { randomInt } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { type FaultKind, faultKinds } from '../test/fleet/chaos/nemesis.ts';
import { runChaos } from '../test/fleet/chaos/run.ts';

// `npm run chaos`: real processes, real faults, and a look at all that clients saw, until something is found.

interface Options {
  readonly minutes: number;
  readonly roundSeconds: number;
  readonly seed?: string;
  readonly faults?: readonly FaultKind[];
  readonly keepGoing?: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0 is wanted.');
  return value;
}

function kinds(text: string): readonly FaultKind[] {
  return text.split(',').map((name) => {
    const kind = faultKinds.find((each) => each === name.trim());
    if (kind === undefined) {
      throw new InvalidArgumentError(`there is no fault "${name}". There are: ${faultKinds.join(', ')}.`);
    }
    return kind;
  });
}

const options = new Command('npm run chaos --')
  .description(
    'Runs five gateways in three regions as processes, with clients at all of them, over links with delay and loss;\n' +
      'kills and pauses them, cuts links and regions, fills disks and hands zones over; then heals all and checks that\n' +
      'nothing acknowledged was lost, that what clients saw was in order, and that all gateways are equal.',
  )
  .option('--minutes <n>', 'how long in all', positive, 10)
  .option('--round-seconds <n>', 'how long there are faults before all is healed and checked', positive, 90)
  .option('--seed <text>', 'of the first round; the faults follow from it, their exact moments do not')
  .option('--faults <list>', 'only these kinds, with commas', kinds)
  .option('--keep-going', 'do not stop at the first round that finds something')
  .addHelpText('after', `\nKinds of faults: ${faultKinds.join(', ')}.`)
  .parse()
  .opts<Options>();

const endMs = Date.now() + options.minutes * 60_000;
let seed = options.seed ?? String(randomInt(1_000_000));
while (Date.now() < endMs) {
  const startedMs = Date.now();
  const log = (text: string): void =>
    console.log(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  const { faults } = options;
  const problems = await runChaos({
    ...{ seed, log, ms: options.roundSeconds * 1000 },
    ...(faults === undefined ? {} : { faults }),
  }).then(
    (result) => {
      log(result.summary);
      return result.problems;
    },
    (error: unknown) => [error instanceof Error ? (error.stack ?? error.message) : String(error)],
  );
  console.log(problems.length === 0 ? `seed ${seed}: nothing found` : `seed ${seed}: FOUND`);
  for (const problem of problems) console.log(`  ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
  if (problems.length > 0 && options.keepGoing !== true) break;
  seed = String(randomInt(1_000_000));
}
