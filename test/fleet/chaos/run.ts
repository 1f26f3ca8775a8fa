import { FleetProcess } from '../../support/fleet-process.ts';
import { Rng } from '../../sim/lib/rng.ts';
import { Clients } from './clients.ts';
import { type FaultKind, faultKinds, Nemesis } from './nemesis.ts';
import { untilEqual } from '../equal.ts';
import { verdict } from './verdict.ts';
import { Watchers } from './watchers.ts';

export interface ChaosOptions {
  readonly seed: string;
  /** How long there are faults. */
  readonly ms: number;
  readonly faults?: readonly FaultKind[];
  readonly log: (text: string) => void;
}

export interface ChaosResult {
  readonly problems: readonly string[];
  readonly summary: string;
}

const regions = ['eu', 'eu', 'us', 'us', 'ap'];
/** One-way delays between regions; short ones, since a test has little time. */
const delayMs = 20;
const delayInRegionMs = 1;
const prefixes = ['eu/', 'us/', 'ap/'];
/** What was written alone by an owner from whom a zone is taken becomes conflicts: of this one less is expected. */
const taken = 'taken/';

/**
 * Five gateways in three regions over links that lose packets, clients at all of them, and faults one after the other;
 * then all is healed, must become equal, and what the clients saw is checked.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, ms, log } = options;
  const rng = new Rng(seed);
  const chance = rng.split('links');
  const fleet = await FleetProcess.start({
    regions,
    links: {
      delayMs: (from, to) => (from === to ? delayInRegionMs : delayMs) * (1 + chance.float() / 2),
      lossShare: (from, to) => (from === to ? 0.01 : 0.05),
      random: () => chance.float(),
    },
    config: { log_level: 'INFO', performance: { rpc_hold_timeout: '2s' } },
  });
  try {
    await fleet.delegate('us/', 'g3');
    await fleet.delegate('ap/', 'g5');
    await fleet.delegate(taken, 'g4');
    const clients = new Clients({
      ...{ gateways: fleet.gateways, prefixes, taken, rng: rng.split('clients') },
      ...{ clientsPerGateway: 3, thinkMs: 40, patienceMs: 5000 },
    });
    const nemesis = new Nemesis({
      ...{ fleet, zones: ['', 'us/', 'ap/'], taken, rng: rng.split('nemesis'), log },
      faults: options.faults ?? faultKinds,
    });
    log(`seed ${seed}: all see all`);
    const counters = prefixes.map((prefix) => `${prefix}counter`);
    const watchers = new Watchers(fleet.gateways, counters);
    clients.start();
    watchers.start();
    try {
      await nemesis.run(ms);
    } finally {
      await clients.stop();
    }
    log('all is healed');
    await untilEqual(fleet);
    log('all are equal');
    const values = (await fleet.gateways[0]?.keys('')) ?? new Map<string, never>();
    await fleet.until('all watchers have seen the last change', async () =>
      watchers.haveSeen((key) => Number(values.get(key)?.value ?? 0)),
    );
    await watchers.stop();
    const problems = [...watchers.problems, ...(await verdict(fleet, clients))];
    const faults = [...nemesis.counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
    return { problems, summary: `faults: ${faults}; clients: ${clients.summary}` };
  } finally {
    await fleet.close();
  }
}
