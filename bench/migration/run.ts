import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { findConsulBinary, startRealConsul } from '../../test/support/real-consul.ts';
import { SourceCluster } from '../../test/support/source-cluster.ts';
import type { Server } from '../wan/orders.ts';
import { measureBackfill, measureExportImport } from './backfill.ts';
import { fill, keyAt, prefix, valueOf } from './data.ts';
import { measureDualWrites } from './dual-writes.ts';
import { type Moving, pause, startMoving } from './moved.ts';
import { measureShadowReads, type ReadFigures } from './shadow-reads.ts';
import { printHead, printRow, seconds, times } from './table.ts';
import { measureTailLag } from './tail-lag.ts';

// `npm run bench:migration`: what moving a real Consul costs and how fast it is, beside what Consul itself does.
//
//   GRAPEVINE_BENCH_KEYS      how many keys are moved (100,000)
//   GRAPEVINE_BENCH_IMPORT    how many of them `consul kv import` is given (4,000); the rest of its time is reckoned
//   GRAPEVINE_BENCH_SECONDS   how long changes are made for the lag, for each kind of them (15)
//   GRAPEVINE_BENCH_ROUND     milliseconds of a round of writes or reads (1,000)
//   GRAPEVINE_BENCH_ONLY      `copy`, `writes` or `reads` alone

const keys = Number(process.env['GRAPEVINE_BENCH_KEYS'] ?? 100_000);
const imported = Number(process.env['GRAPEVINE_BENCH_IMPORT'] ?? 4000);
const secondsOfChanges = Number(process.env['GRAPEVINE_BENCH_SECONDS'] ?? 15);
const roundMs = Number(process.env['GRAPEVINE_BENCH_ROUND'] ?? 1000);
const only = process.env['GRAPEVINE_BENCH_ONLY'] ?? '';

const changesPerSecond = 500;
const keysPerService = 100;
const rounds = 5;

const ends: (() => Promise<void>)[] = [];
let closing: Promise<void> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void close().finally(() => process.exit(130)));
}
// Agents do not keep this process alive, not even while their end is waited for.
const alive = setInterval(() => undefined, 60_000);
try {
  const binary = findConsulBinary();
  if ('missing' in binary) throw new Error(binary.missing);
  console.log(
    `${cpus().length} cores, load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')}.`,
  );
  if (only === '' || only === 'copy') await copying();
  if (only !== 'copy') await serving();
  console.log(
    `\nLoad at the end: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')}.`,
  );
} finally {
  await close();
  clearInterval(alive);
}

function close(): Promise<void> {
  closing ??= endAll();
  return closing;
}

async function endAll(): Promise<void> {
  for (const end of ends.splice(0).toReversed()) await end();
}

/** One server of Consul, and one gateway that copies it. */
async function copying(): Promise<void> {
  const place = await mkdtemp(join(tmpdir(), 'grapevine-bench-migration-'));
  ends.push(() => rm(place, { recursive: true, force: true }));
  const [source, target] = await Promise.all([startRealConsul(), startRealConsul()]);
  ends.push(() => source.stop());
  await fill(source.url, keys);

  const { exportMs, importMs, imported: part } = await measureExportImport(source, target, place, imported);
  await target.stop();
  const theirMs = exportMs + (importMs * keys) / part;
  const moving = await started(source.url, { shadow: { percent: 0 } });
  const ourMs = await measureBackfill(moving, keys);
  printHead(`${keys} keys`, 'mirror', 'kv export | kv import');
  const reckoned = part === keys ? '' : ' reckoned';
  printRow('until all are there for good', seconds(ourMs), `${seconds(theirMs)}${reckoned}`, {
    ...{ text: '10 times as fast', value: (10 * ourMs) / theirMs, max: 1 },
  });
  printRow('how many times as fast', (theirMs / ourMs).toFixed(1), '');
  printRow(`    export of ${keys}, import of ${part}`, '', `${seconds(exportMs)}, ${seconds(importMs)}`);

  // Reads from here: what a client sees of a change is what the gateway has.
  await moving.walk(prefix, ['dual', 'shadow', 'local-reads']);
  printHead(`${changesPerSecond} changes/s at the source, seen here`, 'p50 / p99', 'changes/s, watched');
  const services = Math.max(1, Math.floor(keys / keysPerService));
  const kinds: readonly (readonly [string, (n: number) => number])[] = [
    // Steps that have no divisor with it in common: no key is changed twice.
    ['all over the keys', (n) => (n * 7919) % keys],
    [
      'within 20 services',
      (n) => (n % 20) * keysPerService * Math.floor(services / 20) + (Math.floor(n / 20) % 100),
    ],
  ];
  for (const [name, keyOf] of kinds) {
    const lag = await measureTailLag(serverOf(source), moving.gateway.url, keyOf, {
      perSecond: changesPerSecond,
      seconds: secondsOfChanges,
    });
    const told = `${Math.round(lag.perSecond)}, ${lag.watched}${lag.missing === 0 ? '' : `, ${lag.missing} never seen`}`;
    printRow(name, times(lag), told, {
      ...{ text: 'p99 ≤ 1,000 ms', value: lag.missing > 0 ? Infinity : lag.p99, max: 1000 },
    });
    await pause(2000);
  }
  await endAll();
}

/** Three servers of Consul, and one gateway before them. */
async function serving(): Promise<void> {
  const cluster = await SourceCluster.start(3);
  ends.push(() => cluster.stop());
  await cluster.untilLed();
  const leader = await cluster.leader();
  const follower = cluster.servers.find((server) => server !== leader) ?? leader;
  await fill(leader.agent.url, 1000);
  if (only === '' || only === 'writes') {
    const moving = await started(leader.agent.url);
    await moving.walk(prefix, ['mirror', 'dual']);
    printHead('PUT, three servers of Consul', 'through the gateway', 'straight at Consul');
    for (const clients of [1, 16]) {
      const { through, direct, ratio, bare, bareRatio } = await measureDualWrites(
        serverOf(moving.gateway),
        serverOf(leader.agent),
        prefix,
        { clients, rounds, roundMs },
      );
      printRow(`${clients} at once, p50 / p99`, times(through), times(direct));
      printRow('    times as long, p50, median of the rounds', ratio.toFixed(2), '', {
        ...{ text: 'at most 1.3', value: ratio, max: 1.3 },
      });
      printRow('    times as long, p99', (through.p99 / direct.p99).toFixed(2), '');
      printRow('    limit: a proxy of node:http that does nothing', times(bare), '');
      printRow('    times as long, p50, median of the rounds', bareRatio.toFixed(2), '');
    }
    await moving.stop();
  }
  if (only === '' || only === 'reads') {
    const moving = await started(follower.agent.url, { shadow: { percent: 100 } });
    await moving.walk(prefix, ['mirror', 'dual', 'shadow']);
    for (let n = 0; n < 100; n++) await cluster.first.client.putKey(`o${keyAt(n)}`, valueOf('passed on '));
    for (const clients of [1, 16]) {
      const { shadowed, passed } = await measureShadowReads(
        serverOf(moving.gateway),
        { shadowed: (n) => keyAt(n % 100), passed: (n) => `o${keyAt(n % 100)}` },
        { clients, rounds: 2 * rounds, roundMs: roundMs / 2 },
      );
      printHead(`GET, ${clients} at once`, 'compared, every one', 'only passed on');
      printRow('p50 / p99', times(shadowed), times(passed));
      printRow('requests/s (slowest to fastest round)', rates(shadowed), rates(passed));
      printRow('    times as long, p50', (shadowed.p50 / passed.p50).toFixed(2), '');
    }
    await moving.stop();
  }
  await endAll();
}

async function started(source: string, config: object = {}): Promise<Moving> {
  const moving = await startMoving(source, config);
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (!stopped) await moving.stop();
    stopped = true;
  };
  ends.push(stop);
  return { ...moving, stop };
}

function rates({ perSecond, slowest, fastest }: ReadFigures): string {
  return `${Math.round(perSecond)} (${Math.round(slowest)} to ${Math.round(fastest)})`;
}

function serverOf({ httpPort }: { readonly httpPort: number }): Server {
  return { host: '127.0.0.1', port: httpPort };
}
