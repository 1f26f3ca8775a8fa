import type { Command } from 'commander';
import { addClientFlags, openClient, type ClientFlags } from './http-client.ts';

export function registerReload(program: Command): void {
  addClientFlags(
    program
      .command('reload')
      .summary('Read the configuration again')
      .description(
        'Makes a running gateway read its configuration files again: services, checks, log level. SIGHUP does the same.',
      ),
  ).action(async (flags: ClientFlags) => {
    process.exitCode = await put(
      flags,
      '/v1/agent/reload',
      'Error reloading',
      'Configuration reload triggered',
    );
  });
}

/** Sends a PUT without a body, and says in one line what came of it. */
export async function put(flags: ClientFlags, path: string, failed: string, done: string): Promise<number> {
  const client = openClient(flags);
  if (!client.ok) {
    console.error(client.error);
    return 1;
  }
  const answer = await client.value.expectOk('PUT', path);
  if (!answer.ok) {
    console.error(`${failed}: ${answer.error}`);
    return 1;
  }
  console.log(done);
  return 0;
}
