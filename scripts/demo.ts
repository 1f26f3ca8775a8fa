import { join } from 'node:path';
import { askJson } from './demo-client.ts';
import { showCopy } from './demo-copy.ts';
import { startFleet } from './demo-fleet.ts';
import { showMigration, sourceSettings } from './demo-migration.ts';
import { capture, grapevine, root, startAgent, stopAll, type Agent } from './demo-processes.ts';
import { failureCount, heading, say } from './demo-terminal.ts';

// `npm run demo`: the main job at its smallest, on this machine, in one go. A real Consul with clients at work is moved
// to three gateways in three regions, and back. Where no Consul can be had, a gateway plays it, and is copied and
// compared; GRAPEVINE_DEMO=copy shows that with a real one.

interface Source {
  readonly agent: Agent;
  /** Its command line too. Undefined where no Consul can be had. */
  readonly consul: readonly [string] | undefined;
}

async function startSource(): Promise<Source> {
  const found = await capture(['bash', join(root, 'scripts/real-consul.sh')]);
  const consul = found.code === 0 ? ([found.output.split('\n').at(-1) ?? ''] as const) : undefined;
  const agent = await startAgent({
    name: 'source',
    program: consul ?? grapevine,
    // Everything in the demo comes from one address, of which Consul takes 200 connections by default.
    config: {
      bootstrap: true,
      ...(consul === undefined ? {} : { limits: { http_max_conns_per_client: 2000 } }),
    },
    ready: async (url) => (await askJson<string>(`${url}/v1/status/leader`)) !== '',
  });
  const version = consul === undefined ? '' : (await capture(consul, ['version'])).output.split('\n')[0];
  say(
    consul === undefined
      ? `No Consul binary can be had here (scripts/real-consul.sh says why), so a gateway plays the source: ${agent.url}`
      : `A real Consul (${version}) serves on ${agent.url}`,
  );
  return { agent, consul };
}

async function main(): Promise<number> {
  const startMs = performance.now();
  heading('A source Consul');
  const { agent: source, consul } = await startSource();
  const next =
    consul === undefined || process.env['GRAPEVINE_DEMO'] === 'copy'
      ? await showCopy(source, consul)
      : await showMigration(source, consul, () => startFleet(sourceSettings(source.url)));

  heading('What to try next');
  say(next);
  const failures = failureCount();
  say(
    failures === 0
      ? `\nAll of it was as said. It took ${Math.round((performance.now() - startMs) / 1000)} s.`
      : `\n${failures} of the steps did not do what they say: see above.`,
  );
  return failures === 0 ? 0 : 1;
}

let interrupted = false;
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => {
    interrupted = true;
    void stopAll().finally(() => process.exit(code));
  });
}
let code = 1;
try {
  code = await main();
} catch (error) {
  if (!interrupted) console.error(error instanceof Error ? error.message : error);
}
await stopAll();
// The links between the regions have sockets open still. An interrupted demo ends with the code of its signal.
if (!interrupted) process.exit(code);
