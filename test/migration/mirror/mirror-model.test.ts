import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { MirrorModel, type Disaster, type RuleSet } from './mirror-model.ts';

// Tens of thousands of histories on a busy machine.
jest.setTimeout(120_000);

const history = fc.array(fc.nat({ max: 16 * 18 - 1 }), { minLength: 20, maxLength: 90 });
const numRuns = Number(process.env['MODEL_RUNS'] ?? 3000);

function diverges(rules: RuleSet, disaster: Disaster, steps: readonly number[]): string[] {
  const model = new MirrorModel(rules, disaster);
  for (const code of steps) model.step(code);
  model.quiesce();
  return model.divergence();
}

/** How many of `count` seeded histories end apart. */
function divergedOf(rules: RuleSet, disaster: Disaster, count: number): number {
  const histories = fc.sample(history, { numRuns: count, seed: 20_240_501 });
  return histories.filter((steps) => diverges(rules, disaster, steps).length > 0).length;
}

describe('the mirror rules against a model of Consul', () => {
  test.each<Disaster>(['none', 'live-restore', 'rebuild'])(
    'version guard, proof of absence and fork test never diverge at rest (disaster: %s)',
    (disaster) => {
      fc.assert(
        fc.property(history, (steps) => {
          expect(diverges('full', disaster, steps)).toEqual([]);
        }),
        { numRuns },
      );
    },
  );

  test.each<[RuleSet, Disaster, number]>([
    ['as-consul-replicate', 'none', 0.003],
    ['as-consul-replicate', 'live-restore', 0.005],
    ['no-proof', 'none', 0.003],
    ['no-fork-test', 'live-restore', 0.05],
    ['no-fork-test', 'rebuild', 0.1],
    ['no-equal-index-clause', 'rebuild', 0.001],
  ])('the rule set %s does diverge (disaster: %s), so the model can tell', (rules, disaster, atLeast) => {
    const count = 2500;
    expect(divergedOf(rules, disaster, count) / count).toBeGreaterThan(atLeast);
  });
});
