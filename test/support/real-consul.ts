import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { describe as jestDescribe, test as jestTest } from '@jest/globals';
import {
  type AgentOptions,
  type AgentProcess,
  type CommandOptions,
  type CommandResult,
  projectRoot,
  runCommand,
  startAgent,
} from './agent-process.ts';

/** A real Consul server of one node, with everything that it needs of its own. */
export interface RealConsul extends AgentProcess {
  /** Runs the `consul` CLI of the same binary against this server. */
  cli(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}

/** Where the binary is, or why it cannot be had. Asked once per process. */
export function findConsulBinary(): { readonly path: string } | { readonly missing: string } {
  found ??= look();
  return found;
}

let found: { readonly path: string } | { readonly missing: string } | undefined;

function look(): { readonly path: string } | { readonly missing: string } {
  try {
    const stdout = execFileSync(join(projectRoot(), 'scripts/real-consul.sh'), {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return { path: stdout.trim() };
  } catch (error) {
    const stderr = (error as { stderr?: unknown }).stderr;
    const said =
      typeof stderr === 'string' ? stderr.split('\n').filter((line) => line.startsWith('real-consul:')) : [];
    return { missing: said.length === 0 ? String(error) : said.join(' ').replaceAll('real-consul: ', '') };
  }
}

/** The binary's path. Throws where it cannot be had. */
export function consulBinary(): string {
  const binary = findConsulBinary();
  if ('missing' in binary) throw new Error(binary.missing);
  return binary.path;
}

/**
 * Starts a durable (not `-dev`) server that elects itself, and waits until it has a leader and the
 * serfHealth check of its own node, which is when sessions and health queries begin to work.
 */
export async function startRealConsul(options: AgentOptions = {}): Promise<RealConsul> {
  const binary = consulBinary();
  const agent = await startAgent(
    {
      command: binary,
      namePrefix: 'consul',
      startMsMax: 60_000,
      args: (configFile) => ['agent', '-server', '-bootstrap', `-config-file=${configFile}`],
      config: ({ ports, dataDir, nodeName }) => ({
        node_name: nodeName,
        data_dir: dataDir,
        bind_addr: '127.0.0.1',
        client_addr: '127.0.0.1',
        disable_update_check: true,
        // The shortest election that Consul offers; the default suits slow machines and takes seconds.
        performance: { raft_multiplier: 1 },
        // The default of 200 is per client address, and all clients of a test have the same.
        limits: { http_max_conns_per_client: 15_000 },
        ports: {
          http: ports.http,
          dns: ports.dns,
          server: ports.server,
          serf_lan: ports.serfLan,
          serf_wan: ports.serfWan,
          grpc: -1,
        },
      }),
    },
    options,
  );
  return Object.assign(agent, {
    cli: (args: readonly string[], cliOptions: CommandOptions = {}): Promise<CommandResult> =>
      runCommand(binary, args, {
        ...cliOptions,
        env: { CONSUL_HTTP_ADDR: agent.url, ...cliOptions.env },
      }),
  });
}

/**
 * `describe` for tests that need a real Consul. Where the binary cannot be had they are skipped, with the
 * reason in the title; with GRAPEVINE_REQUIRE_CONSUL=1 that is an error instead.
 */
export function describeRealConsul(title: string, fn: () => void): void {
  // Taken from jest's globals, not imported: demo and benchmarks use this module too, outside of jest.
  const { describe, test } = globalThis as unknown as {
    describe: typeof jestDescribe;
    test: typeof jestTest;
  };
  const binary = findConsulBinary();
  if ('path' in binary) {
    describe(title, fn);
    return;
  }
  if (process.env['GRAPEVINE_REQUIRE_CONSUL'] === '1') throw new Error(`${title}: ${binary.missing}`);
  describe(title, () => {
    test.todo(`needs a real Consul, which cannot be had: ${binary.missing}`);
  });
}
