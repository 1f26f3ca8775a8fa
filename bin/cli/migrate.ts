import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { CompareFlags } from '../../migration/terminal/compare-command.ts';
import type { CopyFlags } from '../../migration/terminal/copy-command.ts';
import type { Host } from '../../migration/terminal/host.ts';
import { boolFlag, intFlag, listFlag, textFlag } from './flags.ts';
import { registerMigrateLive } from './migrate-live.ts';
import { packageVersion } from './package-version.ts';

export function registerMigrate(program: Command): void {
  const migrate = program
    .command('migrate')
    .summary('Bring an existing Consul across: once, or while its clients live')
    .description(
      'Brings a running Consul into a gateway. `copy` and `compare` do it once, from anywhere. The others move a Consul\n' +
        'over whose clients go on working, prefix by prefix and with a way back (docs/migration.md): they are ordered of\n' +
        'a gateway that has the source in its configuration (migration.source).',
    )
    .usage('<command> [flags]');
  registerCopy(migrate);
  registerCompare(migrate);
  registerMigrateLive(migrate);
}

function registerCopy(migrate: Command): void {
  addCommonFlags(
    migrate
      .command('copy')
      .summary("Copy a Consul's KV and catalog into a gateway")
      .description(
        'Copies keys with their flags, nodes, services and checks. The source is only read. Run again, it copies\n' +
          'what changed; interrupted, it goes on where it was. What is gone at the source is deleted here only when\n' +
          'the source proves it. Held locks, sessions, values above 512 KiB and odd keys are listed.',
      )
      .addOption(boolFlag('dry-run', 'Read and decide everything, write nothing.'))
      .addOption(
        boolFlag(
          'allow-deletes',
          'Let deletes of more than 50 entries and 5 % of a leaf through without asking.',
        ),
      )
      .addOption(boolFlag('start-over', 'Forget the place of an interrupted run.'))
      .addOption(
        textFlag(
          'source-id',
          'id',
          'Identity of the source cluster. Default: a hash of its datacenter and the ids of its servers.',
        ),
      )
      .addOption(textFlag('list', 'file', 'Append everything that was listed, one JSON object a line.'))
      .addOption(boolFlag('json', 'Print the summary as JSON.')),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine migrate copy -from=http://10.0.0.1:8500 -dry-run
  $ grapevine migrate copy -from=https://consul.example:8501 -ca-file=ca.pem -from-token-file=token -prefix=app/

Exit codes: 0 copied; 1 copied, and something was withheld or refused; 2 usage or I/O; 130 interrupted.`,
    )
    .action(async (flags: CopyFlags) => {
      const { copyCommand } = await import('../../migration/terminal/copy-command.ts');
      await runOn((host) => copyCommand(flags, host));
    });
}

function registerCompare(migrate: Command): void {
  addCommonFlags(
    migrate
      .command('compare')
      .summary('Compare a Consul and a gateway, both ways')
      .description(
        'Reads every key and every catalog entry of both sides (source, gateway, source), looks at differences\n' +
          'again, prints the verdict and writes a report (docs/report-schema/readconsistency-1.schema.json).',
      )
      .addOption(textFlag('out', 'file', 'Where the report goes. Default: ./report.json.'))
      .addOption(
        textFlag('recheck', 'delays', 'When differences are looked at again, or `none`. Default: 1s,5s,30s.'),
      )
      .addOption(boolFlag('reveal', 'Show keys and values in clear in the report; it is marked so.'))
      .addOption(
        textFlag(
          'secret-file',
          'file',
          'Secret under which keys are hashed, to match keys of several reports. Default: new for every run.',
        ),
      )
      .addOption(boolFlag('json', 'Print the report instead of the ten lines.')),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine migrate compare -from=http://10.0.0.1:8500 -to=http://10.0.0.2:8500
  $ grapevine migrate compare -from=http://10.0.0.1:8500 -recheck=none -out=/tmp/report.json

Exit codes: 0 equal; 1 different, or not shown to be equal; 2 usage or I/O; 130 interrupted.
3 (not comparable) and 4 (too little data) are reserved.`,
    )
    .action(async (flags: CompareFlags) => {
      const { compareCommand } = await import('../../migration/terminal/compare-command.ts');
      await runOn((host) => compareCommand(flags, host));
    });
}

function addCommonFlags(command: Command): Command {
  const source = [
    textFlag('from', 'address', 'The source Consul: host:port, https://host:port or unix:///path. Required.'),
    textFlag('token', 'token', 'Token for the source. Default: $CONSUL_HTTP_TOKEN.'),
    textFlag('from-token-file', 'file', 'File that holds the token for the source.'),
    textFlag('ca-file', 'file', 'CA that signed the certificate of the source.'),
    textFlag('client-cert', 'file', 'Certificate to show to the source.'),
    textFlag('client-key', 'file', 'Key of that certificate.'),
    textFlag('tls-server-name', 'name', "Name that the source's certificate must carry."),
    boolFlag('tls-skip-verify', "Do not check the source's certificate."),
    textFlag('timeout', 'duration', 'Time for one answer. Default: 30s.'),
    intFlag('rps', 'number', 'Requests per second at the source, at most. Default: 200.'),
    intFlag('concurrency', 'number', 'Requests in flight, at most. Default: 8.'),
  ];
  const gateway = [
    textFlag(
      'to',
      'address',
      'The gateway. Default: $GRAPEVINE_HTTP_ADDR, $CONSUL_HTTP_ADDR or 127.0.0.1:8500.',
    ),
    textFlag('to-token', 'token', 'Token for the gateway. Default: $GRAPEVINE_HTTP_TOKEN.'),
    textFlag('to-ca-file', 'file', 'CA that signed the certificate of the gateway.'),
  ];
  const selection = [
    listFlag('prefix', 'prefix', 'Keys under this prefix only; the catalog is not affected.'),
    boolFlag('kv-only', 'Leave the catalog out.'),
    boolFlag('catalog-only', 'Leave the keys out.'),
  ];
  for (const flag of source) command.addOption(flag.helpGroup('The source:'));
  for (const flag of gateway) command.addOption(flag.helpGroup('The gateway:'));
  for (const flag of selection) command.addOption(flag.helpGroup('What:'));
  return command;
}

/** Gives a command the process: its streams, its signals, its exit code. */
async function runOn(command: (host: Host) => Promise<number>): Promise<void> {
  const [{ systemClock }, { progressDisplay }] = await Promise.all([
    import('../../migration/clock.ts'),
    import('../../migration/terminal/progress-display.ts'),
  ]);
  const abort = new AbortController();
  const interrupt = (): void => {
    // The second time the user means it.
    if (abort.signal.aborted) process.exit(130);
    abort.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const interactive = process.stdin.isTTY && process.stderr.isTTY;
  try {
    process.exitCode = await command({
      env: process.env,
      clock: systemClock,
      signal: abort.signal,
      print: (text) => console.log(text),
      complain: (text) => console.error(text),
      progress: progressDisplay({ isTTY: process.stderr.isTTY, stream: process.stderr }, systemClock),
      ...(interactive ? { confirm } : {}),
      args: process.argv.slice(2),
      version: packageVersion(),
    });
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
