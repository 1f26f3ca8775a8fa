import { describe, expect, test } from '@jest/globals';
import { areas } from './areas.ts';
import { type KnownDifference, knownDifferences } from './known-differences.ts';
import { type Step, declaredOf } from './scenario.ts';

describe('the table of known differences', () => {
  const entries = Object.entries<KnownDifference>(knownDifferences);

  test('has no entry that no step of a scenario refers to', () => {
    const steps = areas.flatMap((area) => area.scenarios.flatMap((scenario) => scenario.steps));
    const referred = new Set(steps.flatMap(idsOf));
    const unused = entries.filter(([id, entry]) => entry.everywhere !== true && !referred.has(id));
    expect(unused.map(([id]) => id)).toEqual([]);
  });

  test('says in sentences what a client sees, and why', () => {
    for (const [id, { area, what, why }] of entries) {
      expect({ id, area, what, why }).toEqual({
        id,
        area: expect.stringMatching(/^[A-Z]/),
        what: expect.stringMatching(/\.$/),
        why: expect.stringMatching(/\.$/),
      });
    }
  });

  test('is about scenarios whose titles are unique in their area', () => {
    for (const area of areas) {
      const titles = area.scenarios.map((scenario) => scenario.title);
      expect(titles).toEqual([...new Set(titles)]);
    }
  });
});

function idsOf(step: Step): string[] {
  if (step.kind === 'pause') return [];
  const own = declaredOf(step).map(({ id }) => id);
  return step.kind === 'block' ? [...own, ...step.during.flatMap(idsOf)] : own;
}
