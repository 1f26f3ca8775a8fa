import { afterAll, beforeAll, describe } from '@jest/globals';
import {
  type AgentOptions,
  type AgentProcess,
  type CommandOptions,
  type CommandResult,
  runCommand,
} from '../../support/agent-process.ts';
import { startGateway } from '../../support/gateway-process.ts';
import { consulBinary, describeRealConsul, startRealConsul } from '../../support/real-consul.ts';
import { RunningCommand } from './running-command.ts';

/**
 * What the tests of clients run against: a gateway, or the real Consul that shows that the test itself
 * tells the truth about Consul.
 */
export interface ServerUnderTest {
  readonly kind: 'gateway' | 'Consul';
  /** The running process. Throws outside of tests and their hooks. */
  readonly agent: AgentProcess;
  /** Runs the real `consul` CLI against the server, to its end. */
  cli(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  /** Starts the real `consul` CLI against the server; it is ended with the server at the latest. */
  startCli(args: readonly string[]): RunningCommand;
}

/** The same on both sides, so that outputs can be compared and lists come in the same order. */
const nodeName = 'agent-one';
const startMsMax = 90_000;

/** Defines the same tests twice: against a gateway and, where one can be had, against a real Consul. */
export function describeServers(
  title: string,
  define: (server: ServerUnderTest) => void,
  config: object = {},
): void {
  describe(`${title}: a gateway`, () => {
    define(serverUnderTest('gateway', config));
  });
  describeRealConsul(`${title}: a real Consul`, () => {
    define(serverUnderTest('Consul', config));
  });
}

/** As `describeServers`, for tests that use the `consul` CLI, which comes with a real Consul. */
export function describeServersWithCli(
  title: string,
  define: (server: ServerUnderTest) => void,
  config: object = {},
): void {
  describeRealConsul(title, () => {
    describe('against a gateway', () => {
      define(serverUnderTest('gateway', config));
    });
    describe('against a real Consul', () => {
      define(serverUnderTest('Consul', config));
    });
  });
}

/** Starts a server for the enclosing describe, and ends it and all commands with that. */
export function serverUnderTest(kind: ServerUnderTest['kind'], config: object = {}): ServerUnderTest {
  let agent: AgentProcess | undefined;
  const commands: RunningCommand[] = [];

  const running = (): AgentProcess => {
    if (agent === undefined) throw new Error('the server runs while its tests do');
    return agent;
  };

  beforeAll(async () => {
    const options: AgentOptions = { config: { node_name: nodeName, enable_script_checks: true, ...config } };
    agent = await (kind === 'gateway' ? startGateway(options) : startRealConsul(options));
  }, startMsMax);

  afterAll(async () => {
    await Promise.all(commands.map((command) => command.end()));
    await agent?.stop();
  }, startMsMax);

  return {
    kind,
    get agent() {
      return running();
    },
    cli: (args, options = {}) =>
      runCommand(consulBinary(), args, {
        ...options,
        env: { CONSUL_HTTP_ADDR: running().url, ...options.env },
      }),
    startCli: (args) => {
      const command = new RunningCommand(consulBinary(), args, { CONSUL_HTTP_ADDR: running().url });
      commands.push(command);
      return command;
    },
  };
}
