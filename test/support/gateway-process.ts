import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentOptions, type AgentProcess, projectRoot, startAgent } from './agent-process.ts';

/** A gateway in a process of its own, started as a user would start it. */
export type GatewayProcess = AgentProcess;

/**
 * Starts a gateway that founds its datacenter (`-bootstrap`), from the built program where that is newer
 * than the sources (or where GRAPEVINE_DIST=1 says so), else from the sources through tsx.
 */
export function startGateway(options: AgentOptions = {}): Promise<GatewayProcess> {
  const [command, ...before] = gatewayCommand();
  return startAgent(
    {
      command,
      namePrefix: 'gateway',
      startMsMax: 30_000,
      // The catalog of one that migrates is the source's, which knows nothing of this node.
      ...(options.config !== undefined && 'migration' in options.config ? { isServing: isMigrating } : {}),
      args: (configFile) => [...before, 'agent', '-server', '-bootstrap', `-config-file=${configFile}`],
      config: ({ ports, dataDir, nodeName }) => ({
        node_name: nodeName,
        data_dir: dataDir,
        bind_addr: '127.0.0.1',
        client_addr: '127.0.0.1',
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
}

/** Whether it has heard of its rules; until then it answers nothing that one may be about. */
async function isMigrating(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/v1/grapevine/migration/status`, { signal });
    return answer.ok && ((await answer.json()) as { rules: unknown[] }).rules.length > 0;
  } catch {
    return false;
  }
}

/** The command line that runs `grapevine`, for tests of its other subcommands. */
export function gatewayCommand(): readonly [string, ...string[]] {
  const root = projectRoot();
  const built = join(root, 'dist/bin/grapevine.js');
  if (process.env['GRAPEVINE_DIST'] === '1' || isFresh(built, root)) return [process.execPath, built];
  // By path: the working directory of the command may be anywhere.
  const tsx = `file://${join(root, 'node_modules/tsx/dist/loader.mjs')}`;
  return [process.execPath, '--import', tsx, join(root, 'bin/grapevine.ts')];
}

function isFresh(built: string, root: string): boolean {
  if (!existsSync(built)) return false;
  const builtAt = statSync(built).mtimeMs;
  return ['bin', 'src', 'compat', 'migration'].every((dir) => newestIn(join(root, dir)) < builtAt);
}

function newestIn(dir: string): number {
  if (!existsSync(dir)) return 0;
  const times = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs);
  return Math.max(0, ...times);
}
