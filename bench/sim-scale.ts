import { runScale, type ScaleResult } from '../test/sim/lib/scale.ts';

// Thousands of real gateway machines on a virtual network: how far dissemination is from what the network itself
// allows, and what it costs. Called by `npm run bench`; alone: `npx tsx bench/sim-scale.ts`.
// GRAPEVINE_SCALE_GATEWAYS=1000,3000 says which sizes.

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly goal: (result: ScaleResult) => number;
  readonly figure: (result: ScaleResult) => number;
}

const rows: readonly Row[] = [
  {
    name: 'a change visible everywhere, p50',
    unit: 'ms',
    goal: () => Infinity,
    figure: (result) => result.visibilityMs.p50,
  },
  {
    name: 'p99 (goal: slowest one-way delay + 300 ms)',
    unit: 'ms',
    goal: ({ slowestMs }) => slowestMs + 300,
    figure: (result) => result.visibilityMs.p99,
  },
  { name: 'slowest of all', unit: 'ms', goal: () => Infinity, figure: (result) => result.visibilityMs.max },
  { name: 'not there at the end', unit: '', goal: () => 0, figure: ({ unseen }) => unseen },
  {
    name: 'bytes received per useful byte, 512-byte values',
    unit: '',
    goal: () => 2,
    figure: ({ bytesPerUsefulByte }) => bytesPerUsefulByte,
  },
  {
    name: 'idle traffic received per gateway, mean',
    unit: 'KiB/s',
    goal: () => 5,
    figure: ({ idleKibPerS }) => idleKibPerS.mean,
  },
  {
    name: 'idle traffic of the busiest gateway',
    unit: 'KiB/s',
    goal: () => Infinity,
    figure: ({ idleKibPerS }) => idleKibPerS.most,
  },
];

/** Prints a table for each size; answers whether all goals were reached. */
export function benchSimScale(): boolean {
  const sizes = (process.env['GRAPEVINE_SCALE_GATEWAYS'] ?? '1000,3000').split(',').map(Number);
  let reached = true;
  for (const gateways of sizes) {
    const result = runScale({
      gateways,
      regions: 20,
      loss: 0.02,
      settleMs: 45_000,
      idleMs: 20_000,
      loadMs: 15_000,
      writesPerS: 10,
      valueBytes: 512,
      progress: (text) => process.stderr.isTTY && process.stderr.write(`\r\u001b[K${gateways}: ${text}`),
    });
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    const facts = [
      `${result.writes} writes`,
      `slowest one-way delay ${result.slowestMs.toFixed(0)} ms`,
      `${result.events} events in ${(result.wallMs / 1000).toFixed(0)} s`,
      `${result.residentMib.toFixed(0)} MiB`,
    ];
    console.log(`\n${gateways} simulated gateways in 20 regions, 2 % loss (${facts.join(', ')})`);
    for (const { name, unit, goal, figure } of rows) {
      const [value, limit] = [figure(result), goal(result)];
      reached &&= value <= limit;
      const goalText = limit === Infinity ? '' : limit.toFixed(limit < 10 ? 1 : 0);
      const verdict = limit === Infinity ? '' : value <= limit ? 'reached' : 'missed';
      const text = `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`;
      console.log(`${name.padEnd(50)} ${text.padStart(14)} ${goalText.padStart(8)}  ${verdict}`);
    }
  }
  return reached;
}

if (process.argv[1]?.endsWith('sim-scale.ts') === true) process.exitCode = benchSimScale() ? 0 : 1;
