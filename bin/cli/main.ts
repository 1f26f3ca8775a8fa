import { Command, CommanderError, type Option } from 'commander';
import { closest } from '../../compat/config/closest.ts';
import { registerAgent } from './agent.ts';
import { normaliseArgv, type FlagKind } from './argv.ts';
import { registerInfo } from './info.ts';
import { registerForceLeave, registerJoin } from './join.ts';
import { registerKeygen } from './keygen.ts';
import { registerKeyring } from './keyring.ts';
import { registerLeave } from './leave.ts';
import { registerMembers } from './members.ts';
import { registerMigrate } from './migrate.ts';
import { registerReload } from './reload.ts';
import { registerReport } from './report.ts';
import { registerSnapshot } from './snapshot.ts';
import { registerStatus } from './status.ts';
import { registerValidate } from './validate.ts';
import { registerVersion } from './version.ts';
import { registerWhy } from './why.ts';
import { registerZone } from './zone.ts';

/** The command line could not be understood. What was asked and then failed exits with 1. */
const usageExitCode = 2;

/**
 * Runs one command line (without `node` and the program's name) and returns the exit code: 0 done, 1 failed,
 * 2 not understood. Commands load what they need when they run, so that the ones that need little start at once.
 */
export async function main(args: readonly string[]): Promise<number> {
  const program = buildProgram();
  process.exitCode = undefined;
  try {
    await program.parseAsync([...prepareArgs(args, program)], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    // Without a command, commander has shown the help already.
    if (error.code !== 'commander.help') console.error(explain(error, program, args));
    return usageExitCode;
  }
  return process.exitCode ?? 0;
}

export function buildProgram(): Command {
  const program = new Command('grapevine')
    .usage('<command> [flags]')
    .description("A gateway that speaks Consul's HTTP API over replicated SQLite, with no quorum anywhere.")
    .helpOption('-h, --help', 'Show this text.')
    .helpCommand('help [command]', 'Show the help of a command')
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({
      helpWidth: 110,
      sortSubcommands: true,
      subcommandTerm: (command) => command.name(),
      optionTerm: flagTerm,
    })
    .addHelpText(
      'after',
      `
Start here:
  $ grapevine agent -dev          # a gateway on 127.0.0.1:8500, in memory
  $ grapevine status
  $ grapevine help agent

Flags may be written with one dash or two. Exit codes: 0 done, 1 failed, 2 the command line was not understood.`,
    );
  for (const register of [
    registerAgent,
    registerForceLeave,
    registerInfo,
    registerJoin,
    registerKeygen,
    registerKeyring,
    registerLeave,
    registerMembers,
    registerMigrate,
    registerReload,
    registerReport,
    registerSnapshot,
    registerStatus,
    registerValidate,
    registerVersion,
    registerWhy,
    registerZone,
  ]) {
    register(program);
  }
  return program;
}

/** `-data-dir=<path>`, as Consul's help writes flags. */
function flagTerm(option: Option): string {
  if (option.short !== undefined) return option.flags;
  const argument = option.optional ? '' : option.flags.replace(/^\S+\s*/, '');
  return `-${option.name()}${argument === '' ? '' : `=${argument}`}`;
}

function prepareArgs(args: readonly string[], program: Command): readonly string[] {
  // As with consul, the version can be asked for without a command.
  if (['-v', '-version', '--version'].includes(args[0] ?? '')) return ['version', ...args.slice(1)];
  const command = findCommand(args, program);
  return normaliseArgv(args, (name) => kindOf(name, command));
}

/** The command that the leading words name: `snapshot save` is one below another. */
function findCommand(args: readonly string[], program: Command): Command {
  let command = program;
  for (const arg of args) {
    const next = command.commands.find((each) => each.name() === arg || each.aliases().includes(arg));
    if (next === undefined) return command;
    command = next;
  }
  return command;
}

function kindOf(name: string, command: Command): FlagKind | undefined {
  if (name === 'h' || name === 'help') return 'switch';
  const option = command.options.find((each) => each.name() === name || each.short === `-${name}`);
  if (option === undefined) return undefined;
  if (option.required) return 'value';
  return option.optional ? 'boolean' : 'switch';
}

/** What was not understood, the nearest thing that would be, and where to read on. */
function explain(error: CommanderError, program: Command, args: readonly string[]): string {
  const command = findCommand(args, program);
  const path = command === program ? '' : ` ${commandPath(command)}`;
  const readOn = `Run \`grapevine help${path}\` for what there is.`;
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'commander.unknownCommand':
      return `Unknown command ${JSON.stringify(quoted)}.${suggest(
        quoted,
        command.commands.map((each) => each.name()),
      )} ${readOn}`;
    case 'commander.unknownOption': {
      const name = quoted.replace(/^-+/, '').replace(/=.*$/s, '');
      const names = command.options.map((option) => option.name());
      return `flag provided but not defined: -${name}.${suggest(name, names, '-')} ${readOn}`;
    }
    case 'commander.optionMissingArgument':
      return `flag needs an argument: -${flagName(quoted)}. ${readOn}`;
    case 'commander.invalidArgument': {
      const [, flags = '', value = '', why = ''] =
        /option '(.*?)' argument '(.*?)' is invalid\. (.*)/s.exec(error.message) ?? [];
      return `invalid value ${JSON.stringify(value)} for flag -${flagName(flags)}: ${why}`;
    }
    case 'commander.excessArguments': {
      const operands = command.args.map((arg) => JSON.stringify(arg)).join(', ');
      return `Unexpected extra arguments: ${operands}. ${readOn}`;
    }
    case 'commander.missingMandatoryOptionValue':
      return `-${flagName(quoted)} is needed. ${readOn}`;
    case 'commander.missingArgument':
      return command.name() === 'validate'
        ? `Must specify at least one config file or directory. ${readOn}`
        : `${error.message.replace(/^error: /, '')}. ${readOn}`;
    default:
      return `${error.message.replace(/^error: /, '')}. ${readOn}`;
  }
}

function flagName(flags: string): string {
  return (/--([\w-]+)/.exec(flags) ?? /-(\w)/.exec(flags))?.[1] ?? flags;
}

function suggest(word: string, known: readonly string[], prefix = ''): string {
  const near = closest(word, known);
  return near === undefined ? '' : ` Did you mean ${JSON.stringify(prefix + near)}?`;
}

function commandPath(command: Command): string {
  const above =
    command.parent === null || command.parent.parent === null ? '' : `${commandPath(command.parent)} `;
  return above + command.name();
}
