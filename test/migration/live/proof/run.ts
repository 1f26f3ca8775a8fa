import { authorityOf, type Phase, phases } from '../../../../src/state/migration.ts';
import type { Rng } from '../../../sim/lib/rng.ts';
import {
  cutLinks,
  deleteMuch,
  freezeServer,
  killDirector,
  killLeader,
  killRunner,
  restoreSnapshot,
} from './faults.ts';
import { loseRights } from './rights.ts';
import { Scene } from './scene.ts';

export interface MigrationChaosOptions {
  readonly seed: string;
  /** How long there are faults. */
  readonly ms: number;
  readonly log: (text: string) => void;
}

/**
 * Walks two rules to and fro at random, with faults between steps and in the middle of them; then takes rights away.
 * Answers what is wrong.
 */
export async function runMigrationChaos(options: MigrationChaosOptions): Promise<readonly string[]> {
  // Agents that are awaited keep nobody awake.
  const awake = setInterval(() => {}, 60_000);
  try {
    return await run(options);
  } finally {
    clearInterval(awake);
  }
}

async function run({ seed, ms, log }: MigrationChaosOptions): Promise<readonly string[]> {
  const scene = await Scene.start({ seed, log, clients: 8, thinkMs: 40, patienceMs: 5000 });
  const rng = scene.rng.split('nemesis');
  const endMs = Date.now() + ms;
  try {
    scene.clients.start();
    await scene.work(50);
    const start = rng.pick(['passthrough', 'dual', 'local-reads', 'cutover'] as const);
    log(`from ${start}`);
    await walk(scene, 'app/', start);
    while (Date.now() < endMs && scene.problems.length === 0) {
      // oxlint-disable-next-line no-await-in-loop -- one thing after the other
      await act(scene, rng);
      // oxlint-disable-next-line no-await-in-loop
      await scene.settle('all was healed');
    }
    if (scene.problems.length === 0) {
      log('to the end');
      await walk(scene, 'app/', 'final');
      await scene.work(50);
      await scene.settle('app/ is final');
    }
  } catch (error) {
    scene.problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await scene.close();
  }
  if (scene.problems.length > 0) return scene.problems;
  log('a token that loses its rights');
  return loseRights(log);
}

/** Step by step to a phase. */
export async function walk(scene: Scene, prefix: string, to: Phase): Promise<void> {
  for (let at = ruleAt(scene, prefix); at !== to; at = ruleAt(scene, prefix)) {
    const direction = phases.indexOf(to) > phases.indexOf(at) ? 1 : -1;
    // oxlint-disable-next-line no-await-in-loop -- one step after the other
    await scene.step(prefix, phases[phases.indexOf(at) + direction] as Phase);
  }
}

function ruleAt(scene: Scene, prefix: string): Phase {
  return scene.phaseOf(prefix);
}

async function act(scene: Scene, rng: Rng): Promise<void> {
  const prefix = rng.pick(['app/', 'app/', ''] as const);
  const from = ruleAt(scene, prefix);
  const to = nextPhase(from, rng);
  const moves = authorityOf(from) !== authorityOf(to);
  const fault = rng.weighted<(stepping: () => Promise<void>) => Promise<void>>([
    [3, (stepping) => stepping()],
    [2, (stepping) => together(stepping, killRunner(scene))],
    [2, (stepping) => together(stepping, killLeader(scene))],
    [2, (stepping) => together(stepping, cutLinks(scene, rng.chance(0.5)))],
    [1, (stepping) => together(stepping, freezeServer(scene))],
    [moves ? 4 : 0, (stepping) => killDirector(scene, prefix, stepping)],
    [
      2,
      async (stepping) => {
        if (['passthrough', 'mirror', 'dual', 'shadow', 'cutover'].includes(from))
          await restoreSnapshot(scene);
        await stepping();
      },
    ],
    [
      ['mirror', 'dual', 'shadow', 'local-reads'].includes(from) ? 1 : 0,
      async (stepping) => {
        await deleteMuch(scene, prefix);
        await stepping();
      },
    ],
  ]);
  await fault(async () => {
    await scene.step(prefix, to);
  });
  await scene.work(40);
}

async function together(stepping: () => Promise<void>, fault: Promise<void>): Promise<void> {
  const results = await Promise.allSettled([stepping(), fault]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** On more often than back; sometimes at once to the beginning. */
function nextPhase(from: Phase, rng: Rng): Phase {
  if (from === 'cutover') return 'local-reads';
  if (from !== 'passthrough' && rng.chance(0.15)) return 'passthrough';
  const back = from === 'passthrough' ? 0 : 0.2;
  return phases[phases.indexOf(from) + (rng.chance(back) ? -1 : 1)] as Phase;
}
