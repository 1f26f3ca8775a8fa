import type { Command } from 'commander';
import type { ConfigFormat } from '../../compat/config/config-sources.ts';
import type { LoadOptions } from '../../compat/config/load-options.ts';
import { agentOptions, flagsToFragment } from './agent-flags.ts';
import { boolFlag, listFlag } from './flags.ts';
import { formatFlag } from './validate.ts';

const configuration = 'Configuration:';

export function registerAgent(program: Command): void {
  // One list for both flags: their order among each other decides which file wins.
  const paths: string[] = [];
  const collect = (path: string): readonly string[] => {
    paths.push(path);
    return paths;
  };
  const command = program
    .command('agent')
    .summary('Run a gateway')
    .description(
      'Runs a gateway until it is stopped. It takes the flags and the configuration files of `consul agent`; a key\n' +
        'without meaning here is accepted and named once in the log, a wrong one stops the start.\n' +
        'SIGHUP reloads services and checks, SIGINT and SIGTERM stop it.',
    )
    .addOption(
      boolFlag('dev', 'Try things out: on 127.0.0.1, everything in memory, verbose.').helpGroup(
        configuration,
      ),
    )
    .addOption(
      listFlag('config-file', 'path', 'A .json or .hcl file, laid over the ones before.')
        .argParser(collect)
        .helpGroup(configuration),
    )
    .addOption(
      listFlag(
        'config-dir',
        'path',
        'A directory whose *.json and *.hcl files are read in order of their names.',
      )
        .argParser(collect)
        .helpGroup(configuration),
    )
    .addOption(formatFlag().helpGroup(configuration))
    .addOption(
      listFlag('hcl', 'text', 'Configuration in HCL; wins over files and flags.').helpGroup(configuration),
    );
  for (const option of agentOptions()) command.addOption(option);
  command
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine agent -dev
  $ grapevine agent -bootstrap -server -data-dir=/var/lib/grapevine -bind=10.0.0.1
  $ grapevine agent -data-dir=/var/lib/grapevine -retry-join=10.0.0.1 -encrypt="$(cat gossip.key)"
  $ grapevine agent -config-dir=/etc/consul.d     # the files of a Consul agent, as they are

Flags may be written with one dash or two, with a space or =. \`grapevine validate\` checks configuration files
without starting anything.`,
    )
    .action(async (options: Readonly<Record<string, unknown>>) => {
      process.exitCode = await start(options, paths);
    });
}

async function start(options: Readonly<Record<string, unknown>>, paths: readonly string[]): Promise<number> {
  const { loadAgentConfig } = await import('../../compat/config/load-config.ts');
  const loaded = await loadAgentConfig(loadOptions(options, paths));
  if (!loaded.ok) {
    const { renderProblems } = await import('../../compat/config/problems.ts');
    for (const warning of loaded.error.warnings) console.error(`==> ${warning}`);
    console.error(`==> ${renderProblems(loaded.error.problems)}`);
    return 1;
  }
  const { runAgent } = await import('../run-agent.ts');
  return runAgent(loaded.value);
}

function loadOptions(options: Readonly<Record<string, unknown>>, paths: readonly string[]): LoadOptions {
  return {
    devMode: options['dev'] === true,
    paths,
    format: options['configFormat'] as ConfigFormat | undefined,
    hcl: (options['hcl'] as readonly string[] | undefined) ?? [],
    flags: flagsToFragment(options),
  };
}
