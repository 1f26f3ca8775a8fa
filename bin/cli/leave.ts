import type { Command } from 'commander';
import { addClientFlags, type ClientFlags } from './http-client.ts';
import { put } from './reload.ts';

export function registerLeave(program: Command): void {
  addClientFlags(
    program
      .command('leave')
      .summary('Leave the cluster and stop')
      .description(
        'Makes a running gateway leave the cluster and stop. The others then drop its node instead of waiting for it;\n' +
          'to stop a gateway that will be back, send SIGTERM.',
      ),
  ).action(async (flags: ClientFlags) => {
    process.exitCode = await put(flags, '/v1/agent/leave', 'Error leaving', 'Graceful leave complete');
  });
}
