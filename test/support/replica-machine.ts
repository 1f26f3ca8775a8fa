import type { Effect } from '../../src/node/machine-port.ts';
import type { Replica } from '../../src/node/replica.ts';
import type { DriveMachine } from '../../src/runtime/drive-loop.ts';

/** A replica alone, without membership or peers, for tests of what stands on the drive loop. */
export function replicaMachine(replica: Replica): DriveMachine {
  let effects: Effect[] = [];
  let touched = new Set<string>();
  return {
    nextTickMs: Infinity,
    step: (input, now) => {
      if (input.kind !== 'command') return;
      const step = replica.step(input.command, now.wallUs);
      for (const topic of step.touched) touched.add(topic);
      effects.push({ kind: 'answer', token: input.token, outcome: step.outcome });
    },
    endBatch: () => undefined,
    takeEffects: () => {
      const taken = effects;
      effects = [];
      return taken;
    },
    takeTouched: () => {
      const taken = touched;
      touched = new Set();
      return taken;
    },
  };
}
