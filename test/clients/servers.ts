import { afterAll, beforeAll, describe } from '@jest/globals';
import type { AgentProcess } from '../support/agent-process.ts';
import { startGateway } from '../support/gateway-process.ts';
import { describeRealConsul, startRealConsul } from '../support/real-consul.ts';

/**
 * Defines tests of a client twice: against a gateway, which is what they are for, and against a real Consul,
 * which shows that a test asks nothing that Consul would not give.
 */
export function describeServers(title: string, define: (server: () => AgentProcess) => void): void {
  describe(`${title} with a gateway`, () => defineWith(startGateway, define));
  describeRealConsul(`${title} with a real Consul`, () => defineWith(startRealConsul, define));
}

function defineWith(
  start: (options: { config: object }) => Promise<AgentProcess>,
  define: (server: () => AgentProcess) => void,
): void {
  let agent: AgentProcess | undefined;

  beforeAll(async () => {
    agent = await start({ config: { enable_script_checks: true } });
  }, 90_000);

  afterAll(() => agent?.stop(), 60_000);

  define(() => {
    if (agent === undefined) throw new Error('the server did not start');
    return agent;
  });
}
