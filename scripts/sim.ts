import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { faultKinds, type FaultKind, type PlanLimits } from '../test/sim/lib/plan.ts';
import { runSeed, type RunResult } from '../test/sim/lib/run-seed.ts';

// `npm run sim`: seeds of the simulator one after the other, until one of them finds something.

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: string;
  readonly gateways?: number;
  readonly seconds?: number;
  readonly faults?: readonly FaultKind[];
  readonly lent?: boolean;
  readonly soak?: boolean;
  readonly keepGoing?: boolean;
  readonly trace?: string;
  readonly verify?: boolean;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is wanted.');
  return value;
}

function kinds(text: string): readonly FaultKind[] {
  const names = text === 'none' ? [] : text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !faultKinds.some((kind) => kind === name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`there is no fault "${unknown}". There are: ${faultKinds.join(', ')}.`);
  }
  return names as readonly FaultKind[];
}

const program = new Command('npm run sim --')
  .description(
    'Runs fleets of real gateway machines on a virtual network and clock, with clients at work and faults of many\n' +
      'kinds, and checks what must always, eventually and finally hold. A seed stands for one world: its fleet, its\n' +
      'network, its faults, its clients. The same seed always gives the same run, to the byte.',
  )
  .option('--seeds <n>', 'how many seeds to run', whole, 50)
  .option('--from <n>', 'the first of them', whole, 1)
  .option('--seed <text>', 'run this one only, which may be any text')
  .option('--gateways <n>', 'fleets of this size instead of 3 to 9', whole)
  .option('--seconds <n>', 'virtual seconds under fault, at most', whole)
  .option('--faults <list>', 'only these kinds, with commas, or "none"', kinds)
  .option('--lent', 'with a migration: zones that are lent to a source Consul and taken back')
  .option('--soak', 'fresh seeds, without end')
  .option('--keep-going', 'do not stop at the first seed that finds something')
  .option('--trace <file>', 'write what happened, line by line (with --seed)')
  .option('--verify', 'run each seed twice and compare')
  .addHelpText(
    'after',
    `
Kinds of faults: ${faultKinds.join(', ')}.

Examples:
  npm run sim                                  fifty seeds; says what each of them did
  npm run sim -- --seed 17 --trace /tmp/17.txt one seed, and everything that happened in it
  npm run sim -- --seeds 20 --gateways 30      larger fleets
  npm run sim -- --faults crash,partition-set  only these
  npm run sim -- --soak --keep-going           until you stop it

Exit code: 0 when all seeds passed, 1 when one found something; its seed and how to run it again are printed.`,
  );

function limitsOf({ gateways, seconds, faults, lent }: Options): PlanLimits {
  return {
    ...(lent === true && { lent }),
    ...(gateways !== undefined && { gatewaysMin: gateways, gatewaysMax: gateways }),
    ...(seconds !== undefined && { activeMsMax: Math.max(8000, seconds * 1000) }),
    ...(faults !== undefined && { faults }),
  };
}

/** The command that runs this seed again. */
function again(seed: string, { gateways, seconds, faults, lent }: Options): string {
  const flags = [
    `--seed ${seed}`,
    lent === true ? '--lent' : '',
    gateways === undefined ? '' : `--gateways ${gateways}`,
    seconds === undefined ? '' : `--seconds ${seconds}`,
    faults === undefined ? '' : `--faults ${faults.join(',') || 'none'}`,
  ];
  return `npm run sim -- ${flags.filter((flag) => flag !== '').join(' ')}`;
}

function report(result: RunResult, wallMs: number, options: Options): void {
  const { plan, seed, problems, events, operations, virtualMs, faults, lent, settledMs } = result;
  const happened = Object.entries({ ...faults, ...lent });
  const faultText = happened.map(([kind, count]) => `${kind} ${count}`);
  const settled = settledMs === undefined ? 'never equal' : `equal after ${(settledMs / 1000).toFixed(0)} s`;
  console.log(
    `seed ${seed}: ${problems.length === 0 ? 'ok' : 'FAILED'}  ${plan.gateways} gateways, ${plan.regions} regions, ` +
      `${(virtualMs / 1000).toFixed(0)} s in ${wallMs.toFixed(0)} ms, ${events} events, ${operations} operations, ` +
      `${settled}; ${faultText.join(', ') || 'no faults'}`,
  );
  if (problems.length === 0) return;
  for (const problem of problems) console.log(`  ${problem.replaceAll('\n', '\n  ')}`);
  console.log(`\n  run it again: ${again(seed, options)} --trace /tmp/sim-${seed}.txt\n`);
}

function main(options: Options): number {
  const endless = options.soak === true;
  const first = endless ? Date.now() : options.from;
  const seeds = options.seed === undefined ? undefined : [options.seed];
  const started = performance.now();
  let failed = 0;
  let done = 0;
  for (let i = 0; seeds === undefined ? endless || i < options.seeds : i < seeds.length; i++) {
    const seed = seeds?.[i] ?? String(first + i);
    const begun = performance.now();
    const settings = { limits: limitsOf(options), freeze: true, verbose: options.trace !== undefined };
    const result = runSeed(seed, settings);
    const verdict =
      options.verify === true && runSeed(seed, settings).digest !== result.digest
        ? { ...result, problems: [...result.problems, 'a second run went otherwise'] }
        : result;
    report(verdict, performance.now() - begun, options);
    done += 1;
    if (options.trace !== undefined) writeFileSync(options.trace, `${result.trace.join('\n')}\n`);
    if (verdict.problems.length === 0) continue;
    failed += 1;
    if (options.keepGoing !== true) break;
  }
  const minutes = (performance.now() - started) / 60_000;
  console.log(`${done} seeds, ${failed} failed, ${(done / minutes).toFixed(0)} seeds a minute`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = main(program.parse().opts<Options>());
