import { join } from 'node:path';
import { askJson, until } from './demo-client.ts';
import { fillWithBelievableData, releaseLock } from './demo-data.ts';
import { gatewayName, regions, startFleet, type Fleet } from './demo-fleet.ts';
import { showOutage, showReturn } from './demo-outage.ts';
import { capture, grapevine, root, show, type Agent } from './demo-processes.ts';
import { heading, say, sayCommand, seen } from './demo-terminal.ts';
import { removeDemoKeys, showLock, showWrites } from './demo-writes.ts';

// What the demo shows where there is no Consul to be moved: everything is copied into one of three gateways and read
// at all; writes, a lock and an outage show who decides what; and at the end the source and the fleet are compared.

/** Answers what users would do next. */
export async function showCopy(source: Agent, consul?: readonly [string]): Promise<string> {
  // They need no source yet, and take their time to start.
  const starting = startFleet();
  starting.catch(() => undefined);
  const filled = await fillWithBelievableData(source.url);
  say(
    `Filled with ${filled.keys} keys, ${filled.nodes} nodes, ${filled.services} service instances, one held lock.`,
  );

  heading('Three gateways in three regions');
  const fleet = await starting;
  await showFleet(fleet);

  heading('Copy everything in at one gateway');
  const copy = ['migrate', 'copy', '--from', source.url, '--to', fleet.gateways.eu.url];
  const copied = await show(grapevine, copy);
  if (copied !== 0) throw new Error(`the copy ended with exit code ${copied}`);

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
  return `  less report.json                           the comparison, in the published schema (docs/report-schema/)
  node dist/bin/grapevine.js agent -dev      a gateway of your own on port 8500: point any Consul client at it
  node dist/bin/grapevine.js migrate --help  copy and compare your own Consul
  less docs/zones.md                         who owns which keys, and what happens when gateways fail
  less docs/operations.md                    running a fleet`;
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
async function showReads({ gateways }: Fleet, consul: readonly [string] | undefined): Promise<void> {
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
