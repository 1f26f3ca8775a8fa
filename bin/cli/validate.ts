import { InvalidArgumentError, type Command } from 'commander';
import type { ConfigFormat } from '../../compat/config/config-sources.ts';
import { noOptions } from '../../compat/config/load-options.ts';
import { boolFlag, textFlag } from './flags.ts';

export function registerValidate(program: Command): void {
  program
    .command('validate')
    .summary('Check configuration files')
    .description(
      'Reads configuration as the agent would and says whether it is valid, without starting anything. Give all\n' +
        'files that the agent would be given: a part of them alone may lack what another holds.\n' +
        'Exits with 0 if the configuration is valid, with 1 if not.',
    )
    .argument('<path...>', 'files, or directories whose *.json and *.hcl files are read')
    .addOption(formatFlag())
    .addOption(boolFlag('quiet', 'Print nothing when the configuration is valid.'))
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine validate /etc/consul.d          # will this gateway take over a Consul agent's configuration?
  $ grapevine validate -quiet gateway.hcl && systemctl reload grapevine`,
    )
    .action(async (paths: readonly string[], options: ValidateOptions) => {
      process.exitCode = await validate(paths, options);
    });
}

interface ValidateOptions {
  readonly configFormat?: ConfigFormat;
  readonly quiet?: boolean;
}

export function formatFlag() {
  return textFlag(
    'config-format',
    'format',
    'Read all files as hcl or json, whatever their names end in.',
  ).argParser((value: string): ConfigFormat => {
    if (value === 'hcl' || value === 'json') return value;
    throw new InvalidArgumentError('it must be hcl or json.');
  });
}

async function validate(paths: readonly string[], options: ValidateOptions): Promise<number> {
  const { loadAgentConfig } = await import('../../compat/config/load-config.ts');
  const loaded = await loadAgentConfig({ ...noOptions, paths, format: options.configFormat });
  if (!loaded.ok) {
    const { renderProblems } = await import('../../compat/config/problems.ts');
    for (const warning of loaded.error.warnings) console.error(warning);
    console.error(`Config validation failed: ${renderProblems(loaded.error.problems)}`);
    return 1;
  }
  if (options.quiet === true) return 0;
  for (const warning of loaded.value.warnings) console.log(warning);
  if (loaded.value.ignoredKeys.length > 0) {
    console.log(`Accepted, without effect in Grapevine: ${loaded.value.ignoredKeys.join(', ')}`);
  }
  console.log('Configuration is valid!');
  return 0;
}
