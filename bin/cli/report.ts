import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import type {
  DiffFlags,
  GateFlags,
  HtmlFlags,
  ReportHost,
  ShowFlags,
} from '../../migration/report/command.ts';
import { boolFlag, textFlag } from './flags.ts';

export function registerReport(program: Command): void {
  const report = program
    .command('report')
    .summary('Read, compare and judge read-consistency reports')
    .description(
      'Works on report files alone (readconsistency/1), on any machine: those of `migrate compare`, and those that\n' +
        'gateways make while they compare reads. FILE may be - for standard input.',
    )
    .usage('<command> [flags]');
  registerShow(report);
  registerHtml(report);
  registerDiff(report);
  registerGate(report);
}

function registerShow(report: Command): void {
  report
    .command('show')
    .summary('The verdict and what it rests on, in about ten lines')
    .description('Prints a report: the verdict first, what is worst, and what to do next.')
    .argument('<file>', 'the report')
    .addOption(
      textFlag('samples', 'file', 'Also write the single differences there, one JSON object a line.'),
    )
    .addOption(boolFlag('json', 'Print the report as JSON, as it was understood.'))
    .addHelpText('after', '\nExit codes: 0 shown; 2 usage, I/O, or not a report.')
    .action(async (file: string, flags: ShowFlags) => {
      const { showCommand } = await import('../../migration/report/command.ts');
      process.exitCode = await showCommand(file, flags, host);
    });
}

function registerHtml(report: Command): void {
  report
    .command('html')
    .summary('One self-contained page, to open, send or print')
    .description('Writes a report as one HTML file with its plots. It needs no network and no other file.')
    .argument('<file>', 'the report')
    .addOption(textFlag('out', 'file', 'Where the page goes. Default: FILE with .html.'))
    .addHelpText('after', '\nExit codes: 0 written; 2 usage, I/O, or not a report.')
    .action(async (file: string, flags: HtmlFlags) => {
      const { htmlCommand } = await import('../../migration/report/command.ts');
      process.exitCode = await htmlCommand(file, flags, host);
    });
}

function registerDiff(report: Command): void {
  report
    .command('diff')
    .summary('What changed from one report to another')
    .description(
      'First whether they are comparable: rules, prefixes, sampling, re-checks, phases, gateways and load must be alike.\n' +
        'Then each metric with its interval: better, same, worse or unknown.',
    )
    .argument('<a>', 'the report before')
    .argument('<b>', 'the report after')
    .addOption(boolFlag('force', 'Compare what is not comparable; the result is stamped.'))
    .addOption(textFlag('html', 'file', 'Write a page there, with the curves of both over each other.'))
    .addOption(thresholdsFlag())
    .addOption(textFlag('junit', 'file', 'Write the result there as JUnit XML.'))
    .addOption(boolFlag('json', 'Print the result as JSON.'))
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine report diff monday.json tuesday.json
  $ grapevine report diff -thresholds=limits.json -junit=diff.xml -html=diff.html base.json new.json

Exit codes: 0 no regression; 1 regression; 2 usage or I/O; 3 not comparable; 4 too little data.`,
    )
    .action(async (a: string, b: string, flags: DiffFlags) => {
      const { diffCommand } = await import('../../migration/report/command.ts');
      process.exitCode = await diffCommand(a, b, flags, host);
    });
}

function registerGate(report: Command): void {
  report
    .command('gate')
    .summary('Whether a report allows a cutover')
    .description(
      'Holds a report against thresholds, as `migrate phase` does before a cutover. What is unknown does not pass.',
    )
    .argument('<file>', 'the report')
    .addOption(thresholdsFlag())
    .addOption(textFlag('junit', 'file', 'Write the gates there as JUnit XML.'))
    .addOption(boolFlag('json', 'Print the gates as JSON.'))
    .addHelpText('after', '\nExit codes: 0 all green; 1 red; 2 usage or I/O; 4 none red, some unknown.')
    .action(async (file: string, flags: GateFlags) => {
      const { gateCommand } = await import('../../migration/report/command.ts');
      process.exitCode = await gateCommand(file, flags, host);
    });
}

function thresholdsFlag() {
  return textFlag(
    'thresholds',
    'file',
    'Limits as JSON (docs/report-schema/readconsistency-thresholds-1.schema.json). Default: those of docs/report.md.',
  );
}

const host: ReportHost = {
  print: (line) => console.log(line),
  complain: (line) => console.error(line),
  nowMs: () => Date.now(),
  stdin: () => text(process.stdin),
};
