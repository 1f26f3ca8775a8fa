import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { MirrorModel, type Disaster, type RuleSet } from './mirror-model.ts';

// Tens of thousands of histories on a busy machine.
jest.setTimeout(120_000);

const history = fc.array(fc.nat({ max: 16 * 18 - 1 }), { minLength: 20, maxLength: 90 });
const movingHistory = fc.array(fc.nat({ max: 22 * 18 - 1 }), { minLength: 20, maxLength: 120 });
const numRuns = Number(process.env['MODEL_RUNS'] ?? 4000);

function ran(rules: RuleSet, disaster: Disaster, steps: readonly number[], moves = false): MirrorModel {
  const model = new MirrorModel(rules, disaster, moves);
  for (const code of steps) model.step(code);
  model.quiesce();
  return model;
}

function diverges(rules: RuleSet, disaster: Disaster, steps: readonly number[], moves = false): string[] {
  return ran(rules, disaster, steps, moves).divergence();
}

/** How many of `count` seeded histories end apart. */
function divergedOf(rules: RuleSet, disaster: Disaster, count: number, moves = false): number {
  const histories = fc.sample(moves ? movingHistory : history, { numRuns: count, seed: 20_240_501 });
  return histories.filter((steps) => diverges(rules, disaster, steps, moves).length > 0).length;
}

describe('the mirror rules against a model of Consul', () => {
  test.each<Disaster>(['none', 'live-restore', 'rebuild'])(
    'version guard, proof of absence and fork test never diverge at rest (disaster: %s)',
    (disaster) => {
      fc.assert(
        fc.property(history, (steps) => {
          const model = ran('full', disaster, steps);
          expect(model.divergence()).toEqual([]);
          if (disaster === 'none') expect(model.wrongfulDeletes).toBe(0);
        }),
        { numRuns },
      );
    },
  );

  test.each<Disaster>(['none', 'live-restore', 'rebuild'])(
    'nor do they when authority moves here and back, whatever stragglers say (disaster: %s)',
    (disaster) => {
      fc.assert(
        fc.property(movingHistory, (steps) => {
          expect(diverges('full', disaster, steps, true)).toEqual([]);
        }),
        { numRuns },
      );
    },
  );

  test.each<[RuleSet, number]>([
    ['mirrors-after-cutover', 0.01],
    ['no-new-term', 0.01],
    ['no-fence', 0.01],
  ])('the rule set %s does diverge where authority moves', (rules, atLeast) => {
    const count = 2500;
    expect(divergedOf(rules, 'none', count, true) / count).toBeGreaterThan(atLeast);
  });

  // The rows of the table of known rule sets, each with every disaster that it is known to fail under.
  test.each<[RuleSet, Disaster, number]>([
    ['delete-on-any-absence', 'live-restore', 0.01],
    ['no-proof', 'live-restore', 0.01],
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

  test('deleting on any absence comes right at rest, but deletes wrongly on the way', () => {
    const models = fc
      .sample(history, { numRuns: 1000, seed: 20_240_501 })
      .map((steps) => ran('delete-on-any-absence', 'none', steps));
    expect(models.filter((model) => model.divergence().length > 0)).toEqual([]);
    expect(models.filter((model) => model.wrongfulDeletes > 0).length).toBeGreaterThan(50);
  });
});
