import type { Report } from '../model.ts';
import type { Series } from './charts.ts';

type Bins = NonNullable<Report['tvis']>;

export type VisibilitySeries = Series & { readonly n: readonly (readonly [tMs: number, n: number])[] };

const looks = { own: 3, zone: 2, all: 1 } as const;
const names = { own: 'gateway of the write', zone: 'its region', all: 'all gateways' } as const;

export function visibilitySeries(bins: Bins): readonly VisibilitySeries[] {
  return (['all', 'zone', 'own'] as const)
    .map((where) => seriesOf(bins, where, names[where], looks[where]))
    .filter((series) => series.points.length > 0);
}

export function seriesOf(bins: Bins, where: string, name: string, look: number): VisibilitySeries {
  const held = bins.filter((bin) => bin.where === where && bin.n > 0).toSorted((a, b) => a.tMs - b.tMs);
  return {
    name,
    look,
    points: held.map((bin) => [bin.tMs, bin.fresh / bin.n] as const),
    band: held.map((bin) => [bin.tMs, bin.wilson95[0], bin.wilson95[1]] as const),
    n: held.map((bin) => [bin.tMs, bin.n] as const),
  };
}
