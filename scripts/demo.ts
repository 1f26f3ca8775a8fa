import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fillWithBelievableData, releaseLock } from './demo-data.ts';

// `npm run demo`: the main job at its smallest, on this machine, in one go. A source Consul is started and filled,
// a gateway is started, everything is copied, an unmodified client reads from the gateway, and both are compared.

const root = process.cwd();
const grapevine = [process.execPath, join(root, 'dist/bin/grapevine.js')] as const;
const place = mkdtempSync(join(tmpdir(), 'grapevine-demo-'));
const running: ChildProcess[] = [];

function heading(number: number, text: string): void {
  console.log(`\n\u001b[1m${number}. ${text}\u001b[0m`);
}

/** Runs a command; its output is shown as it comes. Answers the exit code. */
async function show(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  console.log(
    `\u001b[2m$ ${[command === process.execPath ? 'grapevine' : command.split('/').at(-1), ...shown(args)].join(' ')}\u001b[0m`,
  );
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function shown(args: readonly string[]): readonly string[] {
  return args.filter((arg) => arg !== grapevine[1]);
}

async function capture(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, (error, stdout) => resolve(error === null ? stdout.trim() : undefined));
  });
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

interface Agent {
  readonly url: string;
}

async function startAgent(
  name: string,
  program: readonly [string, ...string[]],
  extraArgs: readonly string[],
): Promise<Agent> {
  const [http, dns, lan, wan, server] = await Promise.all([1, 2, 3, 4, 5].map(freePort));
  const file = join(place, `${name}.json`);
  writeFileSync(
    file,
    JSON.stringify({
      node_name: name,
      data_dir: join(place, name),
      bind_addr: '127.0.0.1',
      server: true,
      bootstrap: true,
      ports: { http, dns, serf_lan: lan, serf_wan: wan, server, grpc: -1 },
    }),
  );
  const [command, ...before] = program;
  const args = [...before, 'agent', ...extraArgs, `-config-file=${file}`];
  let output = '';
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  running.push(child);
  const url = `http://127.0.0.1:${http}`;
  for (const deadline = Date.now() + 30_000; Date.now() < deadline;) {
    if (child.exitCode !== null) break;
    if (await serves(url)) return { url };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${name} did not start:\n${output}`);
}

async function serves(url: string): Promise<boolean> {
  try {
    const leader = await fetch(`${url}/v1/status/leader`);
    return leader.ok && (await leader.text()) !== '""';
  } catch {
    return false;
  }
}

async function main(): Promise<number> {
  heading(1, 'A source Consul');
  const consul = await capture('bash', [join(root, 'scripts/real-consul.sh')]);
  const source = await startAgent('source', consul === undefined ? grapevine : [consul], []);
  console.log(
    consul === undefined
      ? `No Consul binary can be had here (scripts/real-consul.sh says why), so a second gateway plays the source: ${source.url}`
      : `A real Consul (${(await capture(consul, ['version']))?.split('\n')[0]}) serves on ${source.url}`,
  );
  const filled = await fillWithBelievableData(source.url);
  console.log(
    `Filled with ${filled.keys} keys, ${filled.nodes} nodes, ${filled.services} service instances, one held lock.`,
  );

  heading(2, 'A gateway');
  const gateway = await startAgent('gateway-1', grapevine, []);
  console.log(`A Grapevine gateway serves Consul's API on ${gateway.url}`);

  heading(3, 'Copy everything');
  const between = ['--from', source.url, '--to', gateway.url];
  const copied = await show(grapevine[0], [grapevine[1], 'migrate', 'copy', ...between]);
  if (copied !== 0) return copied;

  heading(4, 'An unmodified client reads from the gateway');
  const env = { CONSUL_HTTP_ADDR: gateway.url };
  if (consul === undefined) {
    await show('curl', ['-s', `${gateway.url}/v1/kv/app/checkout/limits/max_items?raw`]);
  } else {
    await show(consul, ['kv', 'get', 'app/checkout/limits/max_items'], env);
    await show(consul, ['catalog', 'services', '-tags'], env);
  }

  heading(5, 'Compare both sides');
  const report = join(root, 'report.json');
  const compare = ['migrate', 'compare', ...between, '--out', report, '--recheck', '1s'];
  const first = await show(grapevine[0], [grapevine[1], ...compare]);
  // The held lock is the one thing that cannot be copied; anything else would be a defect.
  if (first !== 1) return first === 0 ? 1 : first;

  heading(6, 'The holder of the lock releases it; copy again, compare again');
  await releaseLock(source.url, filled.session);
  const again = await show(grapevine[0], [grapevine[1], 'migrate', 'copy', ...between]);
  const second = again === 0 ? await show(grapevine[0], [grapevine[1], ...compare]) : again;

  heading(7, 'What to try next');
  console.log(`  less report.json                           the comparison, in the published schema (docs/report-schema/)
  node dist/bin/grapevine.js agent -dev      a gateway of your own on port 8500: point any Consul client at it
  node dist/bin/grapevine.js migrate --help  copy and compare your own Consul
  less docs/compatibility.md                 every endpoint, and where it differs from Consul`);
  return second;
}

async function stopAll(): Promise<void> {
  await Promise.all(
    running.map(async (child) => {
      if (child.exitCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }),
  );
  rmSync(place, { recursive: true, force: true });
}

process.on('SIGINT', () => void stopAll().then(() => process.exit(130)));
main().then(
  async (code) => {
    await stopAll();
    process.exitCode = code;
  },
  async (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    await stopAll();
    process.exitCode = 1;
  },
);
