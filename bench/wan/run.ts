import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { findConsulBinary } from '../../test/support/real-consul.ts';
import { type RegionClient, startClient } from './client.ts';
import { startConsulFleet } from './consul-fleet.ts';
import { type Figures, figures } from './figures.ts';
import type { Fleet, Ground } from './fleet.ts';
import { startGatewayFleet } from './gateway-fleet.ts';
import { type Keeper, openKeeper } from './keeper.ts';
import {
  changeBothSides,
  type CutOff,
  type Healed,
  kinds,
  measureCut,
  measureHealing,
  prepareCut,
} from './measure-cut.ts';
import { measureForeignPuts, measureOwnPuts, measureVisibility, type Visibility } from './measure-writes.ts';
import { openNamespaces } from './namespaces.ts';
import { delayMs, directions, ports, type Region, regions, type WanNetwork } from './network.ts';
import { openRelays } from './relays.ts';
import { printAside, printHead, printShare, printText, printTimes, printUntil, shortened } from './table.ts';

// `npm run bench:wan`: three regions, far from each other; three Consul servers and three gateways in them, and the
// same work for both, in one run. As root in network namespaces, else over relays on the loopback.
//
//   GRAPEVINE_BENCH_SAMPLES   how many writes each figure is of (200)
//   GRAPEVINE_BENCH_SECONDS   how long a region is cut off (60)
//   GRAPEVINE_BENCH_CHANGES   how much is written on each side meanwhile (10,000)
//   GRAPEVINE_BENCH_CUT       which region: A, B or C (C)
//   GRAPEVINE_BENCH_ONLY      `gateway` or `consul` alone
//   GRAPEVINE_BENCH_NETWORK   `relays` for those, root or not

const samples = Number(process.env['GRAPEVINE_BENCH_SAMPLES'] ?? 200);
const seconds = Number(process.env['GRAPEVINE_BENCH_SECONDS'] ?? 60);
const changes = Number(process.env['GRAPEVINE_BENCH_CHANGES'] ?? 10_000);
const cutOff = regions.find((region) => region === process.env['GRAPEVINE_BENCH_CUT']) ?? 'C';
const only = process.env['GRAPEVINE_BENCH_ONLY'] ?? '';
const asRoot = process.getuid?.() === 0 && process.env['GRAPEVINE_BENCH_NETWORK'] !== 'relays';

/** What was measured of one fleet. */
interface Measured {
  ownPuts?: Readonly<Record<Region, Figures>>;
  visibility?: ReadonlyMap<string, Visibility>;
  foreignPuts?: ReadonlyMap<string, Figures>;
  cut?: CutOff;
  healed?: Healed;
}

const keeper = await openKeeper();
let network: WanNetwork | undefined;
let closing: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void close().finally(() => process.exit(130)));
}
try {
  network = (asRoot ? await triedNamespaces(keeper) : undefined) ?? (await openRelays(keeper));
  await run(keeper, network);
} finally {
  await close();
}

/** Root in a container may not make network namespaces; relays need nothing. */
async function triedNamespaces(kept: Keeper): Promise<WanNetwork | undefined> {
  try {
    return await openNamespaces(kept);
  } catch (error) {
    console.log(`No network namespaces: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function close(): Promise<void> {
  // Servers first: without a network they would only wait.
  closing ??= keeper.close().then(() => network?.close());
  return closing;
}

async function run(kept: Keeper, wan: WanNetwork): Promise<void> {
  const clients = Object.fromEntries(
    regions.map((region) => [region, startClient(wan, region, kept.place)]),
  ) as Record<Region, RegionClient>;
  const ground: Ground = { keeper: kept, network: wan, clients };
  await printNetwork(ground);
  printDisk(kept.place);
  const { gateway, consul } = await startFleets(ground);
  try {
    await measure(ground, gateway, consul);
  } catch (error) {
    for (const fleet of [gateway, consul]) if (fleet !== undefined) console.log(fleet.logs());
    throw error;
  }
  console.log(`Network: ${await wan.report()}.`);
}

async function measure(ground: Ground, gateway: Fleet | undefined, consul: Fleet | undefined): Promise<void> {
  const fleets = [gateway, consul].filter((fleet) => fleet !== undefined);
  for (const fleet of fleets) console.log(`${fleet.name}: ${await fleet.describe()}.`);
  console.log('Times are p50 / p99.');
  const measured: Record<Fleet['name'], Measured> = { Grapevine: {}, Consul: {} };
  const of = { gateway: measured.Grapevine, consul: measured.Consul };

  printHead('PUT');
  for (const fleet of fleets) measured[fleet.name].ownPuts = await measureOwnPuts(ground, fleet, samples);
  for (const region of regions) {
    const name = `in ${region}, to keys that it owns`;
    printTimes(name, of.gateway.ownPuts?.[region], of.consul.ownPuts?.[region], { p50Max: 2 });
  }
  if (gateway !== undefined) {
    of.gateway.foreignPuts = await measureForeignPuts(ground, gateway, Math.ceil(samples / 2));
  }
  for (const [from, to] of directions) {
    // In Consul nobody owns a key: all PUTs of a region are alike.
    const name = `in ${from}, to keys that ${to} owns (${2 * delayMs(from, to)} ms there and back)`;
    const p50Max = 2 * delayMs(from, to) + 10;
    printTimes(name, of.gateway.foreignPuts?.get(`${from} ${to}`), of.consul.ownPuts?.[from], { p50Max });
  }

  printHead('A change, from its PUT to the blocking query there');
  for (const fleet of fleets)
    measured[fleet.name].visibility = await measureVisibility(ground, fleet, samples);
  for (const [from, to] of directions) {
    const oneWayMs = delayMs(from, to);
    const [ours, theirs] = [of.gateway, of.consul].map(({ visibility }) => visibility?.get(`${from} ${to}`));
    const goal = { p50Max: oneWayMs + 10, p99Max: oneWayMs + 40 };
    printTimes(`of ${from}, seen in ${to} (${oneWayMs} ms away)`, ours?.usual, theirs?.usual, goal);
    printAside('    by a query with ?stale', ours?.stale, theirs?.stale);
  }

  await measureCutOff(ground, fleets, measured);
  printCutOff(of.gateway, of.consul);
  for (const fleet of fleets) console.log(`\n${fleet.name}: ${await fleet.describe()}.`);
}

async function printNetwork({ clients, network: wan }: Ground): Promise<void> {
  for (const region of regions) {
    await clients[region].order('echo', { address: wan.bindAddress(region), port: ports.echo });
  }
  const measured = await Promise.all(
    directions
      .filter(([from, to]) => from < to)
      .map(async ([from, to]) => {
        const ask = { address: wan.advertiseAddress(to), port: ports.echo, count: 20 };
        const { p50 } = figures(await clients[from].order('ping', ask));
        return `${from}-${to} ${p50.toFixed(1)} ms (${2 * delayMs(from, to)} wanted)`;
      }),
  );
  console.log(`Three regions in ${wan.how}; round trips between them: ${measured.join(', ')}.`);
}

/** Every write of either fleet waits for the disk at least once: its time is part of theirs. */
function printDisk(place: string): void {
  const file = openSync(join(place, 'disk'), 'w');
  const tookMs: number[] = [];
  for (let n = 0; n < 100; n++) {
    writeSync(file, Buffer.alloc(4096));
    const startedMs = performance.now();
    fdatasyncSync(file);
    tookMs.push(performance.now() - startedMs);
  }
  closeSync(file);
  const { p50, p99 } = figures(tookMs);
  console.log(`The disk takes 4 KiB for good in ${p50.toFixed(1)} / ${p99.toFixed(1)} ms.`);
}

async function startFleets(
  ground: Ground,
): Promise<{ gateway: Fleet | undefined; consul: Fleet | undefined }> {
  const binary = findConsulBinary();
  if ('missing' in binary && only !== 'gateway') console.log(`Without a Consul beside it: ${binary.missing}`);
  const withConsul = only !== 'gateway' && 'path' in binary;
  const [consul, gateway] = await Promise.all([
    withConsul ? startConsulFleet(ground) : undefined,
    only === 'consul' ? undefined : startGatewayFleet(ground),
  ]);
  return { gateway, consul };
}

/** One cut for both fleets: they are in the same regions. */
async function measureCutOff(
  ground: Ground,
  fleets: readonly Fleet[],
  measured: Record<Fleet['name'], Measured>,
): Promise<void> {
  for (const fleet of fleets) await prepareCut(ground, fleet);
  await ground.network.cutOff(cutOff);
  await Promise.all(
    fleets.map(async (fleet) => {
      measured[fleet.name].cut = await measureCut(ground, fleet, seconds * 1000);
    }),
  );
  const taken = new Map<Fleet, Healed['taken']>();
  for (const fleet of fleets) taken.set(fleet, await changeBothSides(ground, fleet, cutOff, changes));
  await ground.network.heal(cutOff);
  await Promise.all(
    fleets.map(async (fleet) => {
      const written = taken.get(fleet) ?? { cutOff: 0, others: 0 };
      measured[fleet.name].healed = await measureHealing(ground, fleet, cutOff, written);
    }),
  );
}

function printCutOff(gateway: Measured, consul: Measured): void {
  const [ours, theirs] = [gateway.cut?.fared, consul.cut?.fared];
  for (const region of [cutOff, ...regions.filter((name) => name !== cutOff)]) {
    const where =
      region === cutOff ? `${cutOff} is cut off for ${seconds} s: in ${cutOff}` : `meanwhile in ${region}`;
    printHead(`${where}, answered well`);
    for (const kind of Object.values(kinds)) {
      printShare(kind, ours?.[region][kind], theirs?.[region][kind], 'all');
    }
    const failed = Object.entries(theirs?.[region] ?? {}).find(([, { failure }]) => failure !== '');
    if (failed !== undefined) console.log(`    Consul's ${failed[0]}: ${shortened(failed[1].failure)}`);
  }
  printHead(`${cutOff} is back`);
  const taken = ({ healed }: Measured, side: 'cutOff' | 'others'): string | undefined =>
    healed === undefined ? undefined : String(healed.taken[side]);
  printText(
    `changes that ${cutOff} took while it was cut off`,
    taken(gateway, 'cutOff'),
    taken(consul, 'cutOff'),
  );
  printText('changes that the others took', taken(gateway, 'others'), taken(consul, 'others'));
  const until = ({ healed }: Measured, what: 'firstMs' | 'equalMs' | 'writableMs') =>
    healed === undefined ? undefined : { ms: healed[what] };
  printUntil(
    `${cutOff} has the first of the others' changes after`,
    until(gateway, 'firstMs'),
    until(consul, 'firstMs'),
  );
  printUntil('all servers hold the same after', until(gateway, 'equalMs'), until(consul, 'equalMs'), 5);
  printUntil(`${cutOff} takes a write after`, until(gateway, 'writableMs'), until(consul, 'writableMs'));
}
