import { type AgentProcess, type CommandOptions, runCommand } from '../support/agent-process.ts';
import { ClientProcess } from '../support/client-process.ts';
import { consulBinary, describeRealConsul, findConsulBinary } from '../support/real-consul.ts';
import { describeServers } from './servers.ts';

/** As `describeServers`, for tests of the `consul` command: without its binary there is no client either. */
export function describeCli(title: string, define: (server: () => AgentProcess) => void): void {
  if ('path' in findConsulBinary()) describeServers(title, define);
  else describeRealConsul(title, () => {});
}

/** Runs commands to their end. Gives stdout; rejects with what was printed where the exit code is not 0. */
export function cliOf(
  server: AgentProcess,
): (args: readonly string[], options?: CommandOptions) => Promise<string> {
  return async (args, options = {}) => {
    const env = { CONSUL_HTTP_ADDR: server.url, ...options.env };
    const { code, stdout, stderr } = await runCommand(consulBinary(), args, { ...options, env });
    if (code !== 0) throw new Error(`consul ${args.join(' ')}: exit code ${code}: ${stderr}${stdout}`);
    return stdout;
  };
}

/** Starts a command that goes on. */
export function startCli(server: AgentProcess, args: readonly string[]): ClientProcess {
  return new ClientProcess(consulBinary(), args, { CONSUL_HTTP_ADDR: server.url });
}
