import { visible } from './html/markup.ts';
import type { Gate } from './model.ts';
import type { Comparison } from './diff.ts';

// JUnit's XML, as CI systems read it: red is a failure, unknown an error (both fail a build), off is skipped.

type Case = {
  readonly name: string;
  readonly failure?: string;
  readonly error?: string;
  readonly skipped?: string;
};

export function gatesJunit(gates: readonly Gate[], suite: string): string {
  return render(
    suite,
    gates.map((gate) => {
      const text = `${gate.observed}; asked: ${gate.limit}${gate.why === '' ? '' : `. ${gate.why}`}`;
      const name = `${gate.name}: ${gate.title}`;
      switch (gate.state) {
        case 'green':
          return { name };
        case 'red':
          return { name, failure: text };
        case 'unknown':
          return { name, error: `unknown: ${text}` };
        case 'off':
          return { name, skipped: gate.why };
      }
    }),
  );
}

export function comparisonJunit(comparison: Comparison): string {
  const obstacles = comparison.obstacles.map((each): Case => {
    const text = `${each.a} against ${each.b}`;
    const name = `comparable: ${each.what}`;
    return comparison.forced
      ? { name, skipped: `FORCED: ${text}` }
      : { name, error: `not comparable: ${text}` };
  });
  const metrics = comparison.metrics.map((metric): Case => {
    const name = `${metric.name}: ${metric.title}`;
    const text = `${metric.a} before, ${metric.b} after; ${metric.change}`;
    if (metric.verdict === 'worse') return { name, failure: text };
    if (metric.verdict !== 'unknown') return { name };
    return metric.isAbsent || metric.isMinor
      ? { name, skipped: `unknown: ${metric.why}` }
      : { name, error: `unknown: ${text}. ${metric.why}` };
  });
  const judged = comparison.result === 'unknown' && metrics.every((each) => each.error === undefined);
  const few: readonly Case[] = judged
    ? [{ name: 'enough data', error: `unknown: ${comparison.reasons.join('; ')}` }]
    : [];
  return render(`report diff ${comparison.a.id} ${comparison.b.id}`, [...obstacles, ...few, ...metrics]);
}

function render(suite: string, cases: readonly Case[]): string {
  const many = (of: keyof Case): number => cases.filter((each) => each[of] !== undefined).length;
  const totals = `tests="${cases.length}" failures="${many('failure')}" errors="${many('error')}" skipped="${many('skipped')}"`;
  const lines = cases.map((each) => {
    const of = `    <testcase classname="${xml(suite)}" name="${xml(each.name)}"`;
    for (const kind of ['failure', 'error', 'skipped'] as const) {
      const text = each[kind];
      if (text !== undefined) return `${of}><${kind} message="${xml(text)}"/></testcase>`;
    }
    return `${of}/>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${totals}>`,
    `  <testsuite name="${xml(suite)}" ${totals}>`,
    ...lines,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Characters that XML cannot hold at all are shown as escapes. */
function xml(text: string): string {
  return visible(text).replace(/[&<>"]/g, (char) => entities[char] ?? char);
}
