import { setTimeout } from 'node:timers/promises';
import type { Command } from 'commander';
import { parseGoDuration } from '../../compat/wire/go-duration.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { askJson, askShownJson, jsonFlag, withGateway, type JsonFlag } from './fleet-client.ts';
import { boolFlag, textFlag } from './flags.ts';
import { addClientFlags, type ClientFlags, type GatewayClient } from './http-client.ts';
import { renderStatus, type StatusView } from './render-status.ts';

interface StatusFlags extends ClientFlags, JsonFlag {
  readonly watch?: boolean;
  readonly interval?: string;
}

export function registerStatus(program: Command): void {
  addClientFlags(
    program
      .command('status')
      .summary('Show the fleet on one screen, as one gateway sees it')
      .description(
        'Shows this gateway, the members by region, the zones with their owners, how far behind each writer this\n' +
          'gateway is, and what needs a person: zones without a reachable owner, gaps, conflicts, quarantined records,\n' +
          'state that differed between gateways. Ask another gateway (-http-addr) for its own view.',
      )
      .addOption(boolFlag('watch', 'Show it again and again, until interrupted.'))
      .addOption(textFlag('interval', 'duration', 'How often with -watch. Default: 2s.'))
      .addOption(jsonFlag()),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine status
  $ grapevine status -watch -http-addr=gw-tokyo:8500

Exit codes: 0 all is well; 1 the gateway could not be asked; 3 something needs a person (it is listed last).`,
    )
    .action(async (flags: StatusFlags) => {
      process.exitCode = flags.watch === true ? await watch(flags) : await once(flags);
    });
}

/** Not well, though everything asked was answered. */
const attentionExitCode = 3;

async function once(flags: StatusFlags): Promise<number> {
  let attention = false;
  const code = await withGateway(flags, 'Error reading the status', async (client) => {
    if (flags.json === true) return askShownJson(client, '/v1/grapevine/status');
    const shown = await read(client);
    if (!shown.ok) return shown;
    ({ attention } = shown.value);
    return ok(shown.value.text);
  });
  return code === 0 && attention ? attentionExitCode : code;
}

async function read(client: GatewayClient): Promise<Result<ReturnType<typeof renderStatus>, string>> {
  const answer = await askJson<StatusView>(client, 'GET', '/v1/grapevine/status');
  return answer.ok ? ok(renderStatus(answer.value, Date.now())) : answer;
}

async function watch(flags: StatusFlags): Promise<number> {
  const interval = parseGoDuration(flags.interval ?? '2s');
  return withGateway(flags, 'Error reading the status', async (client) => {
    if (!interval.ok || interval.value <= 0)
      return err(`invalid -interval ${JSON.stringify(flags.interval)}`);
    const ended = new AbortController();
    const end = (): void => ended.abort();
    process.once('SIGINT', end).once('SIGTERM', end);
    while (!ended.signal.aborted) {
      const shown = await read(client);
      // A gateway that is away now may be back the next time.
      const text = shown.ok ? shown.value.text : `Error reading the status: ${shown.error}`;
      process.stdout.write(`${process.stdout.isTTY ? clearScreen : ''}${text}\n`);
      await setTimeout(interval.value / 1e6, undefined, { signal: ended.signal }).catch(() => undefined);
    }
    return ok('');
  });
}

/** Cursor to the top, and everything below it away (ECMA-48). */
const clearScreen = '\u001b[H\u001b[J';
