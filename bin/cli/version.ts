import { InvalidArgumentError, type Command } from 'commander';
import { textFlag } from './flags.ts';
import { packageVersion } from './package-version.ts';

/** The Consul whose agent and API the behaviour is checked against. */
const consulReference = '1.8.7';

export function registerVersion(program: Command): void {
  program
    .command('version')
    .summary('Print the version')
    .description('Prints the version of Grapevine, and of the Consul that it is measured against.')
    .addOption(
      textFlag('format', 'format', 'pretty or json.')
        .default('pretty')
        .argParser((value: string) => {
          if (value === 'pretty' || value === 'json') return value;
          throw new InvalidArgumentError('it must be pretty or json.');
        }),
    )
    .action((options: { readonly format: 'pretty' | 'json' }) => {
      console.log(versionText(packageVersion(), options.format));
    });
}

function versionText(version: string, format: 'pretty' | 'json'): string {
  if (format === 'json')
    return JSON.stringify({ Version: version, ConsulReference: consulReference }, null, 3);
  return `Grapevine v${version}\nSpeaks Consul's HTTP API, measured against Consul ${consulReference}`;
}
