import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, askJson, readKey, until, writeKey } from './demo-client.ts';
import { fillWithBelievableData } from './demo-data.ts';
import { gatewayName, isShort, regions, type Fleet, type Region } from './demo-fleet.ts';
import { LiveClients, Watcher } from './demo-live-clients.ts';
import { capture, grapevine, root, show, type Agent } from './demo-processes.ts';
import { heading, ms, say, sayCommand, seen } from './demo-terminal.ts';

// A live Consul is moved over: one prefix, from passthrough to a cutover and back again, while clients go on working.

const prefix = 'app/';
const base = '/v1/grapevine/migration';
/** What `migrate phase` passes over in a demo, and says so. */
const reason = 'a demo has minutes, not a day of evidence';
const stepMsMax = 60_000;
const settleMsMax = 45_000;

/** How much clients do where evidence is gathered. */
const comparedWanted = isShort ? 60 : 1100;
const gatherMsMax = isShort ? 8000 : 40_000;
const thinkMs = isShort ? 80 : 35;
const keysWritten = isShort ? 30 : 150;

export const sourceSettings = (source: string): Readonly<Record<string, unknown>> => ({
  migration: {
    source,
    report_window: '10s',
    limits: { requests_per_second: 400, lag: '10s', ...(isShort ? { hold: '8s' } : {}) },
    shadow: { percent: 100, requests_per_second: 400 },
  },
  ...(isShort ? { performance: { rpc_hold_timeout: '2s' } } : {}),
});

interface Scene {
  readonly source: Agent;
  readonly consul: readonly [string];
  readonly fleet: Fleet;
  readonly clients: LiveClients;
  readonly watcher: Watcher;
  /** Where reports are kept. */
  readonly place: string;
}

/** Answers what users would do next. */
export async function showMigration(
  source: Agent,
  consul: readonly [string],
  startFleet: () => Promise<Fleet>,
): Promise<string> {
  const place = process.env['GRAPEVINE_DEMO_OUT'] ?? join(root, 'demo-out');
  mkdirSync(place, { recursive: true });
  const filled = await fillWithBelievableData(source.url);
  const settings = await askJson<string[]>(`${source.url}/v1/kv/${prefix}?keys`);
  const clients = new LiveClients({
    clients: ['anna', 'bela', 'carl', 'dora', 'emil', 'fay'].map((name) => ({ name, doors: [source.url] })),
    ...{ prefix, settings, thinkMs },
  });
  clients.start();
  await clients.work(keysWritten, settleMsMax);
  say(
    `It holds ${filled.keys} keys, ${filled.nodes} nodes, ${filled.services} service instances and a held lock. Six clients work on\n` +
      `${prefix} all the time, and keep a record of every write that was acknowledged to them: ${clients.summary}.`,
  );

  heading('Three gateways beside it, and clients behind them');
  const fleet = await startFleet();
  const watcher = new Watcher(fleet.gateways.ap.url, `${prefix}checkout/log_level`);
  const scene: Scene = { source, consul, fleet, clients, watcher, place };
  try {
    await moveClientsBehind(scene);
    await walk(scene);
  } finally {
    await Promise.all([clients.stop(), watcher.stop()]);
  }
  return `  ${place}/after.html  in a browser: the report, with its curves
  less docs/runbook.md    a real migration day, hour by hour
  less docs/migration.md  phases, gates, what a cutover does
  less docs/report.md     what each figure of a report means
  less docs/zones.md      who owns which keys, and what happens when gateways fail`;
}

async function walk(scene: Scene): Promise<void> {
  heading('What is there, and what stands in the way');
  await told(scene, ['migrate', 'plan']);

  heading(`mirror: ${prefix} is copied, and followed`);
  await step(scene, 'mirror');
  await untilGreen(scene, 'dual');
  await showCopied(scene);

  heading('dual: writes go to Consul first, then here');
  await step(scene, 'dual');
  await showDual(scene);

  heading('shadow: reads are answered by Consul, and compared with here');
  await untilGreen(scene, 'shadow');
  await step(scene, 'shadow');
  await gather(scene);
  await takeReport(scene, 'before');

  heading('A fault: kill -9 of the gateway that copies');
  await showFault(scene);
  await gather(scene);
  await takeReport(scene, 'after');
  await showDiff(scene);

  heading('local-reads: reads are answered here, writes still go to Consul first');
  await untilGreen(scene, 'local-reads');
  await step(scene, 'local-reads');
  await showOwnWrite(scene);

  heading('Before the cutover: all clients behind gateways, every key compared, the way back rehearsed');
  moveAll(scene);
  await showVerified(scene);
  await rehearse(scene);

  heading('cutover: this fleet decides');
  await cutOver(scene);

  heading('Region ap is cut off from the others');
  await showCutOff(scene);

  heading('The way back: Consul decides again');
  await untilGreen(scene, 'local-reads');
  await step(scene, 'local-reads', ['-reason', 'to show the way back']);
  await scene.clients.work(keysWritten, settleMsMax);

  heading('The count: every write that was acknowledged');
  await count(scene);
}

const via: Region = 'us';

/** A command of grapevine against one of the gateways. */
function at({ fleet }: Scene, args: readonly string[]): readonly string[] {
  return [...args, `-http-addr=${fleet.gateways[via].url}`];
}

async function told(scene: Scene, args: readonly string[], codes: readonly number[] = [0]): Promise<void> {
  const code = await show(grapevine, at(scene, args));
  if (!codes.includes(code)) seen(false, `it ended with exit code ${code}`);
}

async function step(scene: Scene, to: string, more: readonly string[] = []): Promise<void> {
  await told(scene, ['migrate', 'phase', prefix, to, ...more]);
}

interface Gate {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
}

async function gatesOf({ fleet }: Scene, to: string): Promise<readonly Gate[]> {
  const body = JSON.stringify({ prefix, phase: to, dryRun: true });
  const { status, text } = await ask('PUT', `${fleet.gateways[via].url}${base}/step`, body);
  if (status !== 200) throw new Error(text);
  return (JSON.parse(text) as { readonly gates: readonly Gate[] }).gates;
}

/** Waits as an operator does who looks at the gates of a step before making it. */
async function untilGreen(
  scene: Scene,
  to: string,
  matters: (gate: Gate) => boolean = () => true,
): Promise<void> {
  let open = '';
  const green = await until(async () => {
    const gates = await gatesOf(scene, to);
    open = gates
      .filter((gate) => gate.state !== 'green' && matters(gate))
      .map(({ name, detail }) => `${name}: ${detail}`)
      .join('; ');
    return open === '';
  }, stepMsMax);
  if (green === undefined) seen(false, `the gates of ${to} do not open: ${open}`);
}

async function moveClientsBehind(scene: Scene): Promise<void> {
  const { fleet, clients, source } = scene;
  // Until it has heard how far the migration is, a gateway refuses what may be the source's to answer.
  const known = await until(async () => {
    const read = await Promise.all(
      regions.map((region) => readKey(fleet.gateways[region].url, `${prefix}checkout/owner`)),
    );
    const runners = await Promise.all(
      regions.map(async (region) => {
        const url = `${fleet.gateways[region].url}/v1/grapevine/migration/status`;
        return (await askJson<{ readonly runner: string | null }>(url)).runner;
      }),
    );
    return read.every((value) => value !== undefined) && new Set(runners).size === 1 && runners[0] !== null;
  }, settleMsMax);
  seen(known !== undefined, 'The gateways know the source; everything is passthrough.');
  const urls = regions.map((region) => fleet.gateways[region].url);
  for (const [i, client] of clients.clients.entries()) {
    if (i >= 4) continue;
    client.doors = [...urls.slice(i % 3), ...urls.slice(0, i % 3)];
  }
  const through = await ask('GET', `${fleet.gateways.ap.url}/v1/kv/${prefix}checkout/owner?raw`);
  const direct = await ask('GET', `${source.url}/v1/kv/${prefix}checkout/owner?raw`);
  seen(
    through.text === direct.text && through.status === 200,
    `Four clients now send their requests to gateways, two still go straight to Consul. GET through gateway-ap: ${through.status} ${through.text}`,
  );
  await clients.work(keysWritten, settleMsMax);
  await told(scene, ['members']);
}

async function showCopied(scene: Scene): Promise<void> {
  await told(scene, ['migrate', 'status']);
  const { source, consul, watcher } = scene;
  const key = `${prefix}checkout/log_level`;
  const put = ['kv', 'put', `-http-addr=${source.url}`, key, 'debug'];
  await show(consul, put);
  const woken = await until(() => Promise.resolve(watcher.last === 'debug'), settleMsMax);
  seen(woken !== undefined, `A client that blocks on it at gateway-ap woke: ${watcher.last}`);
}

async function showDual(scene: Scene): Promise<void> {
  const { source, fleet, clients } = scene;
  const key = `${prefix}demo/dual`;
  const answer = await writeKey(fleet.gateways.us.url, key, 'one write, two homes');
  const there = await readKey(source.url, key);
  seen(
    answer.text === 'true' && there === 'one write, two homes',
    `PUT at gateway-us: ${answer.text} after ${ms(answer.ms)}; at Consul: ${there}`,
  );
  await clients.work(keysWritten, settleMsMax);
  await told(scene, ['migrate', 'verify', prefix], [0, 1]);
}

/** Lets clients read until enough was compared. */
async function gather(scene: Scene): Promise<void> {
  const { clients } = scene;
  const before = await compared(scene);
  await clients.work(keysWritten, settleMsMax);
  const enough = await until(async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return (await compared(scene)) - before >= comparedWanted;
  }, gatherMsMax);
  const now = await compared(scene);
  seen(
    now > before,
    `${now - before} more reads were compared, off the clients' way${enough === undefined ? ' (this machine is busy)' : ''}`,
  );
}

async function compared({ fleet }: Scene): Promise<number> {
  const report = await askJson<{ readonly totals: { readonly compared: number } }>(
    `${fleet.gateways[via].url}${base}/report?prefix=${encodeURIComponent(prefix)}`,
  );
  return report.totals.compared;
}

async function takeReport({ fleet, place }: Scene, name: string): Promise<void> {
  const url = `${fleet.gateways[via].url}${base}/report?prefix=${encodeURIComponent(prefix)}`;
  const file = join(place, `${name}.json`);
  sayCommand(`curl -s '${url}' > ${file}`);
  const { status, text } = await ask('GET', url);
  if (status !== 200) seen(false, `${status} ${text}`);
  writeFileSync(file, text);
  if ((await show(grapevine, ['report', 'show', file])) !== 0) seen(false, 'the report cannot be shown');
  if ((await show(grapevine, ['report', 'html', file])) !== 0) seen(false, 'no page was written');
}

async function showFault(scene: Scene): Promise<void> {
  const { fleet, clients } = scene;
  const { runner } = await askJson<{ readonly runner: string | null }>(
    `${fleet.gateways[via].url}${base}/status`,
  );
  const lost = regions.find((region) => gatewayName(region) === runner && region !== via) ?? 'eu';
  const failedBefore = clients.counts.failed;
  sayCommand(`kill -9 …   # ${gatewayName(lost)}`);
  await fleet.gateways[lost].kill();
  const went = await clients.work(keysWritten, settleMsMax);
  seen(
    went,
    `Clients go on at the other gateways: ${clients.counts.failed - failedBefore} requests failed, ${keysWritten} others did not`,
  );
  await fleet.gateways[lost].restart();
  say(`${gatewayName(lost)} is started again with the data that it had.`);
  await untilGreen(scene, 'local-reads');
  await told(scene, ['migrate', 'status']);
}

async function showDiff({ place }: Scene): Promise<void> {
  const files = ['before', 'after'].map((name) => join(place, `${name}.json`));
  const limits = join(place, 'thresholds.json');
  // While a gateway was away clients did less. By default loads that differ by a fifth are not compared.
  const diff = {
    ...{ loadTolerance: 0.8, comparisonsMin: Math.round(comparedWanted / 2) },
    ...{ rateEffectMin: 0.02, shareEffectMin: 0.02 },
  };
  writeFileSync(limits, JSON.stringify({ schema: 'readconsistency-thresholds/1', diff }));
  say(
    'The reports before and after, held against thresholds of a demo: shares within 2 % count as the same.',
  );
  const flags = [`-thresholds=${limits}`, `-html=${join(place, 'diff.html')}`];
  const code = await show(grapevine, ['report', 'diff', ...flags, ...files]);
  const means: Readonly<Record<number, string>> = {
    0: 'no regression',
    1: 'something got worse, as it does when a gateway was away',
    3: 'not comparable, and it says why',
    4: 'too little data to tell',
  };
  seen(
    Object.hasOwn(means, code),
    `Exit code ${code}: ${means[code]}. Both curves over each other: ${join(place, 'diff.html')}`,
  );
}

async function showOwnWrite(scene: Scene): Promise<void> {
  const { fleet, clients } = scene;
  await clients.work(keysWritten, settleMsMax);
  const key = `${prefix}demo/own-write`;
  const put = await writeKey(fleet.gateways.ap.url, key, 'mine');
  const own = await readKey(fleet.gateways.ap.url, key);
  seen(
    put.text === 'true' && own === 'mine',
    `PUT, then GET at gateway-ap: ${own} (you read what you wrote)`,
  );
}

function moveAll({ fleet, clients }: Scene): void {
  const urls = regions.map((region) => fleet.gateways[region].url);
  for (const [i, client] of clients.clients.entries()) {
    client.doors = [...urls.slice(i % 3), ...urls.slice(0, i % 3)];
  }
  say('The last two clients send their requests to gateways: after the cutover nobody may write at Consul.');
}

async function showVerified(scene: Scene): Promise<void> {
  let text = '';
  const equal = await until(async () => {
    const { code, output } = await capture(grapevine, at(scene, ['migrate', 'verify', prefix]));
    text = output;
    return code === 0;
  }, settleMsMax);
  sayCommand(`grapevine migrate verify ${prefix}`);
  seen(equal !== undefined, text);
}

async function rehearse(scene: Scene): Promise<void> {
  const order = at(scene, ['migrate', 'rehearse']);
  if ((await show(grapevine, order)) === 0) return;
  say(
    'As an operator would, once more: a rehearsal fails where a hold took longer than it may, on a busy machine say.',
  );
  const code = await show(grapevine, order);
  if (code !== 0) seen(false, `the rehearsal ended with exit code ${code}`);
}

async function cutOver(scene: Scene): Promise<void> {
  const { fleet, clients, source } = scene;
  // Those of the report ask for a day and hundreds of thousands of reads. No other is passed over.
  const own = /^(gateways|source|mirror|mass|copying|repair-queue-empty|no-held|indexes|rollback)/;
  await untilGreen(scene, 'cutover', ({ name }) => own.test(name));
  await told(scene, ['migrate', 'phase', prefix, 'cutover', '-dry-run'], [0, 1]);
  say(
    'What is left asks for more reads than a demo has, or remembers two clients that wrote straight at Consul.\n' +
      'An operator may pass over it, with a reason that every later report prints:',
  );
  await step(scene, 'cutover', ['-override', '-reason', reason]);
  await clients.work(keysWritten, settleMsMax);
  const key = `${prefix}demo/after-cutover`;
  const put = await writeKey(fleet.gateways.us.url, key, 'decided here');
  const back = await until(async () => (await readKey(source.url, key)) === 'decided here', settleMsMax);
  seen(
    put.text === 'true' && back !== undefined,
    `PUT at gateway-us: ${put.text} after ${ms(put.ms)}; copied back to Consul ${ms(back ?? Number.NaN)} later`,
  );
}

async function showCutOff(scene: Scene): Promise<void> {
  const { gateways, links } = scene.fleet;
  if (links === undefined) {
    say('This system has no loopback addresses to spare for links that can be cut.');
    return;
  }
  for (const other of ['eu', 'us'] as const) links.cut('ap', other);
  const key = `${prefix}payments/owner`;
  const reads = await Promise.all(regions.map((region) => readKey(gateways[region].url, key)));
  seen(
    reads.every((value) => value !== undefined),
    `Reads go on at all three: ${reads.filter((value) => value !== undefined).length} of 3 answered`,
  );
  const [there, refused] = await Promise.all([
    writeKey(gateways.us.url, `${prefix}demo/while-cut`, 'us'),
    writeKey(gateways.ap.url, `${prefix}demo/from-ap`, 'ap'),
  ]);
  seen(there.text === 'true', `PUT at gateway-us, whose owner gateway-eu is in reach: ${there.text}`);
  seen(
    refused.status === 500 && refused.text.startsWith('No cluster leader'),
    `PUT at gateway-ap: ${refused.status} after ${ms(refused.ms)}\n    ${refused.text}`,
  );
  for (const other of ['eu', 'us'] as const) links.heal('ap', other);
  const back = await until(
    async () => (await readKey(gateways.ap.url, `${prefix}demo/while-cut`)) === 'us',
    settleMsMax,
  );
  seen(
    back !== undefined,
    `The region is back: gateway-ap has what was written meanwhile, ${ms(back ?? Number.NaN)} later`,
  );
  await show(grapevine, ['why', `${prefix}demo/while-cut`, `-http-addr=${gateways.ap.url}`]);
}

async function count(scene: Scene): Promise<void> {
  const { source, fleet, clients, watcher } = scene;
  await clients.stop();
  const places = [
    { name: 'Consul', url: source.url },
    ...regions.map((region) => ({ name: gatewayName(region), url: fleet.gateways[region].url })),
  ];
  let lost: readonly string[] = [];
  await until(async () => {
    lost = (
      await Promise.all(
        places.map(async ({ name, url }) => (await clients.missingAt(url)).map((text) => `${name}: ${text}`)),
      )
    ).flat();
    return lost.length === 0;
  }, settleMsMax);
  seen(
    lost.length === 0,
    `${clients.summary}.\n${
      lost.length === 0
        ? `Nothing is lost: all ${clients.size} keys are, at Consul and at each gateway, as they were acknowledged last.`
        : `${lost.length} LOST:\n  ${lost.slice(0, 10).join('\n  ')}`
    }`,
  );
  seen(
    clients.counts.notOwn === 0,
    `Reads that did not show the client's own write: ${clients.counts.notOwn}`,
  );
  seen(
    watcher.fallen === 0,
    `The client that blocked on one key from the first phase to the last woke ${watcher.wakes} times; its index fell ${watcher.fallen} times.`,
  );
}
