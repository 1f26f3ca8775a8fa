import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { startGateway } from '../test/support/gateway-process.ts';
import { startRealConsul } from '../test/support/real-consul.ts';
import type { AgentProcess } from '../test/support/agent-process.ts';
import { blockedClients } from './blocked-clients.ts';
import { fillForBench } from './fill.ts';
import { putScript, wrk } from './wrk.ts';

// `npm run bench`: a gateway and a real Consul, one durable server each, take turns on this machine under the same
// load; medians over the rounds, and ratios that the machine's moods cancel out of. GRAPEVINE_BENCH_ROUNDS and
// GRAPEVINE_BENCH_SECONDS change how long it takes; GRAPEVINE_BENCH_ONLY=put narrows it to matching rows.
// After that thousands of simulated gateways (bench/sim-scale.ts): GRAPEVINE_BENCH_ONLY=simulated does only those.

interface Target {
  readonly name: 'gateway' | 'consul';
  readonly agent: AgentProcess;
}

interface Scenario {
  readonly name: string;
  /** The ratio to reach, gateway against Consul; more is better unless `lessIsBetter`. */
  readonly ratioMin: number;
  readonly unit: string;
  readonly lessIsBetter?: boolean;
  measure(target: Target): Promise<number>;
}

const rounds = Number(process.env['GRAPEVINE_BENCH_ROUNDS'] ?? 5);
const seconds = Number(process.env['GRAPEVINE_BENCH_SECONDS'] ?? 4);
const only = process.env['GRAPEVINE_BENCH_ONLY'] ?? '';

function load(name: string, ratioMin: number, path: string, connections: number, script?: string): Scenario {
  return {
    name,
    ratioMin,
    unit: '/s',
    measure: async ({ agent }) => {
      const options = { url: `${agent.url}${path}`, connections, seconds };
      return (await wrk(script === undefined ? options : { ...options, script })).perSecond;
    },
  };
}

const scenarios: readonly Scenario[] = [
  load('GET one key, 64 connections', 1.1, '/v1/kv/bench/single', 64),
  load('PUT 1,000 keys, 64 connections', 4, '/', 64, putScript),
  load('PUT 1,000 keys, 1 connection', 1.8, '/', 1, putScript),
  load('?recurse of 100 keys, 64 connections', 1, '/v1/kv/tree/?recurse', 64),
  load('health of a 31-instance service, 64 connections', 3, '/v1/health/service/web', 64),
  {
    name: '10,000 clients blocked on one key, all answered',
    ratioMin: 2,
    unit: 'ms',
    lessIsBetter: true,
    measure: async ({ agent }) => (await blockedClients(agent.httpPort, 10_000)).allMs,
  },
];

/** Resident memory in MiB, as the kernel counts it. */
function residentMib(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

function printRow(
  name: string,
  gateway: number,
  consul: number,
  unit: string,
  ratio: number,
  ratioMin: number,
): void {
  const figure = (value: number): string =>
    `${value < 100 ? value.toFixed(1) : Math.round(value).toString()} ${unit}`;
  const verdict = ratio >= ratioMin ? 'reached' : `missed by ${Math.round((1 - ratio / ratioMin) * 100)} %`;
  console.log(
    `${name.padEnd(50)} ${figure(gateway).padStart(12)} ${figure(consul).padStart(12)} ${ratio.toFixed(2).padStart(7)} ${ratioMin.toFixed(1).padStart(6)}  ${verdict}`,
  );
}

async function againstConsul(): Promise<void> {
  const gateway: Target = { name: 'gateway', agent: await startGateway({ args: ['-log-level=warn'] }) };
  const consul: Target = { name: 'consul', agent: await startRealConsul({ args: ['-log-level=warn'] }) };
  try {
    for (const target of [gateway, consul]) await fillForBench(target.agent.url);
    console.log(
      `${rounds} rounds of ${seconds} s each; medians. Ratio: gateway against Consul 1.8.7, more is better.\n`,
    );
    console.log(
      `${''.padEnd(50)} ${'gateway'.padStart(12)} ${'Consul'.padStart(12)} ${'ratio'.padStart(7)} ${'goal'.padStart(6)}`,
    );
    for (const scenario of scenarios.filter(({ name }) => name.includes(only))) {
      const measured = { gateway: [] as number[], consul: [] as number[] };
      for (let round = 0; round < rounds; round++) {
        for (const target of round % 2 === 0 ? [gateway, consul] : [consul, gateway]) {
          measured[target.name].push(await scenario.measure(target));
        }
      }
      const ratios = measured.gateway.map((value, i) => {
        const other = measured.consul[i] ?? NaN;
        return scenario.lessIsBetter === true ? other / value : value / other;
      });
      printRow(
        scenario.name,
        median(measured.gateway),
        median(measured.consul),
        scenario.unit,
        median(ratios),
        scenario.ratioMin,
      );
    }
    const memory = { gateway: residentMib(gateway.agent.pid), consul: residentMib(consul.agent.pid) };
    printRow(
      'resident memory after all that',
      memory.gateway,
      memory.consul,
      'MiB',
      memory.consul / memory.gateway,
      1,
    );
  } finally {
    await Promise.all([gateway.agent.stop(), consul.agent.stop()]);
  }
}

/** In a process of its own: what it needs of memory is its own, too. Answers whether all goals were reached. */
function simulated(): boolean {
  const memory = ['--max-old-space-size=16384', '--max-semi-space-size=64'];
  const args = [...memory, '--import', 'tsx', 'bench/sim-scale.ts'];
  return spawnSync(process.execPath, args, { stdio: 'inherit' }).status === 0;
}

if (only !== 'simulated') await againstConsul();
if ('simulated'.includes(only) && !simulated()) process.exitCode = 1;
