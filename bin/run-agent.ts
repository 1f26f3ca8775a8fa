import { rmSync, writeFileSync } from 'node:fs';
import type { AgentConfig } from '../compat/config/agent-config.ts';
import { laterKeys } from '../compat/config/later-keys.ts';
import { StartProblem } from '../src/kernel/start-problem.ts';
import { Logging, type Log } from '../src/io/logging.ts';
import { fatalDatabaseError, UnusableDatabaseError } from '../src/io/sqlite-open.ts';
import { packageVersion } from './cli/package-version.ts';
import { startGateway, type Gateway } from './gateway.ts';

/** Runs the gateway until it is told to stop, and ends the process: 0 after a stop, 1 after a failure. */
export async function runAgent(config: AgentConfig): Promise<never> {
  // Whatever still has a timer or a file open then must not hold up the end.
  process.exit(await run(config));
}

async function run(config: AgentConfig): Promise<number> {
  let logging: Logging;
  try {
    logging = await Logging.open(config.log);
  } catch (error) {
    console.error(`==> ${startProblem(error)}`);
    return 1;
  }
  const log = logging.log.child({ name: 'agent' });
  if (!config.log.json) printBanner(config);
  for (const warning of config.warnings) log.warn(warning);
  if (config.ignoredKeys.length > 0) {
    log.warn(
      { keys: config.ignoredKeys.join(', ') },
      'these configuration keys have no meaning here and are ignored',
    );
  }
  const later = laterKeys.filter((key) => isGiven(config.given, key));
  if (later.length > 0) log.warn({ keys: later.join(', ') }, 'these configuration keys have no effect yet');
  let finish: (code: number) => void = () => undefined;
  const finished = new Promise<number>((resolve) => {
    finish = resolve;
  });
  let gateway: Gateway | undefined;
  let stopping: string | undefined;
  const stop = (why: string): void => {
    if (stopping !== undefined) return finish(1);
    stopping = why;
    log.info({ why }, 'stopping');
    // While it starts there is nothing to stop yet: that is seen to once it runs.
    if (gateway !== undefined) void gateway.stop(leaves(why)).then(() => finish(0));
  };
  // As Consul: a stopped server stays a member, which others see fail, unless the configuration has it say goodbye.
  const leaves = (why: string): boolean =>
    (why === 'SIGINT' && !config.leave.skipOnInterrupt) ||
    (why === 'SIGTERM' && config.leave.onTerminate) ||
    why === leaveRequested;
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGHUP', () => void gateway?.reload());
  process.on('uncaughtException', (error) => {
    log.error({ err: error, stack: error.stack }, 'defect: an error that nobody handled; stopping');
    finish(1);
  });
  try {
    gateway = await startGateway({
      config,
      logging,
      version: packageVersion(),
      onFatal: (reason) => {
        log.error(reason);
        finish(1);
      },
      onLeave: () => stop(leaveRequested),
    });
  } catch (error) {
    log.error(startProblem(error));
    await logging.close();
    return 1;
  }
  if (stopping !== undefined) void gateway.stop(leaves(stopping)).then(() => finish(0));
  const { pidFile } = config;
  // Not before it runs: a start that fails must not touch the file of the one that does run.
  const hasPidFile = pidFile !== undefined && writePidFile(pidFile, log);
  if (pidFile !== undefined && !hasPidFile) {
    await gateway.stop(false);
    finish(1);
  } else if (stopping === undefined) {
    log.info('gateway is running');
  }
  const code = await finished;
  if (hasPidFile) rmSync(pidFile, { force: true });
  await logging.close();
  return code;
}

const leaveRequested = 'leave requested over HTTP';

function isGiven(given: object, key: string): boolean {
  let value: unknown = given;
  for (const name of key.split('.')) value = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  return value !== undefined;
}

function writePidFile(path: string, log: Log): boolean {
  try {
    writeFileSync(path, String(process.pid));
    return true;
  } catch (error) {
    log.error(`pid_file ${JSON.stringify(path)} cannot be written: ${(error as Error).message}`);
    return false;
  }
}

/** Why the gateway did not start, with what to do about it. */
function startProblem(error: unknown): string {
  if (error instanceof StartProblem || error instanceof UnusableDatabaseError) return error.message;
  const fatal = fatalDatabaseError(error);
  if (fatal !== undefined) return fatal;
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  if (syscall === 'listen' || syscall === 'bind') {
    const where = port === undefined ? (address ?? 'its socket') : `${address}:${port}`;
    const advice: Readonly<Record<string, string>> = {
      EADDRINUSE: 'something listens there already: stop it, or choose another port or address',
      EACCES: 'no permission: ports below 1024 need privileges',
      EADDRNOTAVAIL: 'this machine has no such address: check client_addr, addresses and bind_addr',
    };
    return `cannot listen on ${where}: ${advice[code ?? ''] ?? code}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function printBanner(config: AgentConfig): void {
  const rows: readonly (readonly [string, string])[] = [
    ['Version', packageVersion()],
    ['Node name', JSON.stringify(config.nodeName)],
    ['Datacenter', `${JSON.stringify(config.datacenter)} (region ${JSON.stringify(config.region)})`],
    ['Server', `${config.server} (bootstrap: ${config.bootstrap})`],
    ['Client Addr', `${config.clientAddrs.join(' ')} (HTTP: ${config.ports.http}, DNS: ${config.ports.dns})`],
    ['Cluster Addr', `${config.advertiseAddr} (LAN: ${config.ports.serfLan}, WAN: ${config.ports.serfWan})`],
    ['Data', config.stateInMemory ? 'in memory' : String(config.dataDir)],
  ];
  process.stdout.write('==> Starting Grapevine agent...\n');
  for (const [name, value] of rows) process.stdout.write(`${name.padStart(14)}: ${value}\n`);
  process.stdout.write('\n==> Log data will now stream in as it occurs:\n\n');
}
