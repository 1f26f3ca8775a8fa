import { join } from 'node:path';
import { askJson, until } from './demo-client.ts';
import { fillWithBelievableData, releaseLock } from './demo-data.ts';
import { gatewayName, regions, startFleet, type Fleet } from './demo-fleet.ts';
import { showOutage, showReturn } from './demo-outage.ts';
import { capture, grapevine, root, show, startAgent, stopAll, type Agent } from './demo-processes.ts';
import { failureCount, heading, say, sayCommand, seen } from './demo-terminal.ts';
import { removeDemoKeys, showLock, showWrites } from './demo-writes.ts';

// `npm run demo`: the main job at its smallest, on this machine, in one go. A source Consul is filled; three gateways
// in three regions are started; everything is copied into one of them and read at all; writes, a lock and an outage
// show who decides what; and at the end the source and the fleet are compared.

interface Source {
  readonly agent: Agent;
  /** Its command line too, for reading from the gateways. Undefined where no Consul can be had. */
  readonly consul: readonly [string] | undefined;
}

async function startSource(): Promise<Source> {
  const found = await capture(['bash', join(root, 'scripts/real-consul.sh')]);
  const consul = found.code === 0 ? ([found.output.split('\n').at(-1) ?? ''] as const) : undefined;
  const agent = await startAgent({
    name: 'source',
    program: consul ?? grapevine,
    config: { bootstrap: true },
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

async function showFleet({ gateways, links, delayMs }: Fleet): Promise<void> {
  say(
    links === undefined
      ? 'Three processes on loopback; this system has no further addresses there for links with delays.'
      : `Three processes, as far apart as Frankfurt, Virginia and Tokyo (one way: ${[
          ['eu', 'us'] as const,
          ['us', 'ap'] as const,
          ['eu', 'ap'] as const,
        ]
          .map(([from, to]) => `${from}-${to} ${delayMs(from, to)} ms`)
          .join(', ')}).`,
  );
  say(
    'Gossip is encrypted with a key made just now. Zones eu/, us/ and ap/ are placed by rule, features/ is delegated.',
  );
  await show(grapevine, ['members', `-http-addr=${gateways.us.url}`]);
  const code = await show(grapevine, [
    'zone',
    'delegate',
    'features/',
    gatewayName('us'),
    `-http-addr=${gateways.ap.url}`,
  ]);
  if (code !== 0) seen(false, 'the delegation was refused');
  await show(grapevine, ['zone', 'list', `-http-addr=${gateways.ap.url}`]);
}

/** The copy went in at one gateway; it is to be at all three. */
async function showReads({ gateways }: Fleet, consul: Source['consul']): Promise<void> {
  let counts: readonly number[] = [];
  const tookMs = await until(async () => {
    const lists = await Promise.all(
      regions.map((region) => askJson<string[]>(`${gateways[region].url}/v1/kv/?keys`)),
    );
    counts = lists.map(({ length }) => length);
    return new Set(lists.map((list) => list.join('\n'))).size === 1;
  }, 10_000);
  seen(
    tookMs !== undefined,
    `Keys at ${regions.map((region, i) => `${gatewayName(region)}: ${counts[i]}`).join(', ')}`,
  );
  if (consul === undefined) {
    await show(['curl'], ['-s', '-w', '\\n', `${gateways.ap.url}/v1/kv/app/checkout/limits/max_items?raw`]);
    return;
  }
  const get = await show(consul, [
    'kv',
    'get',
    `-http-addr=${gateways.ap.url}`,
    'app/checkout/limits/max_items',
  ]);
  if (get !== 0) seen(false, 'consul kv get failed');
  const list = ['catalog', 'services', `-http-addr=${gateways.us.url}`];
  sayCommand(['consul', ...list].join(' '));
  const services = await capture(consul, list);
  seen(services.code === 0 && services.output.includes('checkout'), services.output.replaceAll('\n', ' '));
}

async function main(): Promise<number> {
  const startMs = performance.now();
  // They need no source yet, and take their time to start.
  const starting = startFleet();
  starting.catch(() => undefined);
  heading('A source Consul');
  const { agent: source, consul } = await startSource();
  const filled = await fillWithBelievableData(source.url);
  say(
    `Filled with ${filled.keys} keys, ${filled.nodes} nodes, ${filled.services} service instances, one held lock.`,
  );

  heading('Three gateways in three regions');
  const fleet = await starting;
  await showFleet(fleet);

  heading('Copy everything in at one gateway');
  const copy = ['migrate', 'copy', '--from', source.url, '--to', fleet.gateways.eu.url];
  if ((await show(grapevine, copy)) !== 0) return 1;

  heading('An unmodified client reads it at the others');
  await showReads(fleet, consul);

  heading('Write through any gateway: each key has one owner');
  await showWrites(fleet);

  heading('A lock, asked for through two gateways');
  await showLock(fleet);

  await showOutage(fleet);
  await showReturn(fleet);

  heading('Compare the source with the fleet');
  await removeDemoKeys(fleet);
  await releaseLock(source.url, filled.session);
  say('The holder of the lock released it at the source; what was skipped is copied now:');
  const again = await capture(grapevine, copy);
  seen(again.code === 0, again.output.split('\n')[0] ?? '');
  const compared = await show(grapevine, [
    ...['migrate', 'compare', '--from', source.url, '--to', fleet.gateways.ap.url],
    ...['--out', join(root, 'report.json'), '--recheck', '1s'],
  ]);
  if (compared !== 0) seen(false, `the comparison ended with exit code ${compared}`);

  heading('What to try next');
  say(`  less report.json                           the comparison, in the published schema (docs/report-schema/)
  node dist/bin/grapevine.js agent -dev      a gateway of your own on port 8500: point any Consul client at it
  node dist/bin/grapevine.js migrate --help  copy and compare your own Consul
  less docs/zones.md                         who owns which keys, and what happens when gateways fail
  less docs/operations.md                    running a fleet`);
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
