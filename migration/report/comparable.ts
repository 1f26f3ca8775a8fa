import { count } from '../terminal/format.ts';
import { ruleName } from './gates.ts';
import type { Report } from './model.ts';
import type { DiffLimits } from './thresholds.ts';

/** Why two reports cannot be compared: what each of them says. */
export type Obstacle = { readonly what: string; readonly a: string; readonly b: string };

/** Before any number: whether both were made alike. Reports of different schema majors are not even read. */
export function obstaclesTo(a: Report, b: Report, limits: DiffLimits): readonly Obstacle[] {
  const obstacles: Obstacle[] = [];
  const same = (what: string, of: (report: Report) => string): void => {
    const [x, y] = [of(a), of(b)];
    if (x !== y) obstacles.push({ what, a: x, b: y });
  };
  same('kind of report', (report) => report.run.mode);
  same('ignore rules', ({ run }) => `version ${run.rules.version}, ${run.rules.sha256.slice(0, 12)}`);
  same('what was compared', whatOf);
  same('sampling', ({ run: { sampling } }) =>
    sampling.percent === undefined ? sampling.kind : `${sampling.kind}, ${sampling.percent} %`,
  );
  same('re-checks', ({ run }) => run.recheck.delaysMs.map((ms) => `${ms} ms`).join(', ') || 'none');
  same('phases', phasesOf);
  same('gateways', (report) => (report.gateways === undefined ? 'none' : count(report.gateways.length)));
  for (const name of ['readsPerSecond', 'writesPerSecond'] as const) {
    const [x, y] = [a.run.load?.[name], b.run.load?.[name]];
    if (x === undefined && y === undefined) continue;
    const isNear =
      x !== undefined && y !== undefined && Math.abs(y - x) <= limits.loadTolerance * Math.max(x, y, 0.1);
    if (!isNear) {
      const what = name === 'readsPerSecond' ? 'load, reads per second' : 'load, writes per second';
      obstacles.push({ what, a: numberText(x), b: numberText(y) });
    }
  }
  return obstacles;
}

function numberText(value: number | undefined): string {
  return value === undefined ? 'not known' : String(Number(value.toPrecision(3)));
}

function whatOf({ coverage, run }: Report): string {
  const parts = [
    coverage.kv && `keys ${coverage.prefixes.toSorted().map(nameOf).join(', ') || 'all'}`,
    coverage.catalog && 'catalog',
    run.scope !== undefined && `only ${ruleName(run.scope)}`,
  ];
  return parts.filter((part) => part !== false).join('; ') || 'nothing';
}

function nameOf(prefix: string): string {
  return prefix === '' ? '(all)' : prefix;
}

function phasesOf({ run }: Report): string {
  return (
    (run.phases ?? [])
      .map((rule) => `${ruleName(rule)}: ${rule.phase}`)
      .toSorted()
      .join(', ') || 'none'
  );
}
