import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { projectRoot, runCommand } from '../../support/agent-process.ts';
import { describeServers, type ServerUnderTest } from './servers.ts';

// The system's own: the package comes from the distribution (python3-consul), not into some other Python.
const python = '/usr/bin/python3';

/**
 * As `describeServers`, for python-consul. Where the package is not installed the tests are skipped, with
 * the reason in the title; with GRAPEVINE_REQUIRE_CONSUL=1 that is an error instead.
 */
export function describePythonConsul(title: string, define: (server: ServerUnderTest) => void): void {
  const missing = whyMissing();
  if (missing === undefined) {
    describeServers(title, define);
    return;
  }
  if (process.env['GRAPEVINE_REQUIRE_CONSUL'] === '1') throw new Error(`${title}: ${missing}`);
  describe(`${title}, left out`, () => {
    test.todo(`needs python-consul (the package python3-consul): ${missing}`);
  });
}

function whyMissing(): string | undefined {
  try {
    execFileSync(python, ['-c', 'import consul'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return (error as Error).message.trim().split('\n').at(-1);
  }
}

/** Runs a scenario of test/clients/python; gives what it tells. */
export async function tellsPython(server: ServerUnderTest, scenario: string): Promise<unknown> {
  const script = join(projectRoot(), 'test/clients/python', `${scenario}.py`);
  // No compiled copies beside the scripts.
  const result = await runCommand(python, ['-B', script, String(server.agent.httpPort)]);
  if (result.code !== 0) throw new Error(`${scenario}.py ended with ${result.code}:\n${result.stderr}`);
  return JSON.parse(result.stdout) as unknown;
}
