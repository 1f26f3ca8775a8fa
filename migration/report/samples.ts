import type { EvidencePart, EvidenceSample, SampleSide } from '../evidence/snapshot.ts';
import type { Report, ReportSample } from './model.ts';

/** Most telling first, and of each outcome no more than this. */
const samplesMax: readonly (readonly [outcome: string, max: number])[] = [
  ['persistent', 200],
  ['violation', 100],
  ['open', 50],
  ['unchecked', 50],
  ['indeterminate', 30],
  ['transient', 60],
  ['noise', 30],
];

export function samplesOf(parts: readonly EvidencePart[]): Report['samples'] {
  const all = parts.flatMap((part) => part.samples.map((sample) => ({ part, sample })));
  return samplesMax.flatMap(([outcome, max]) =>
    all
      .filter(({ sample }) => sample.outcome === outcome)
      .toSorted((a, b) => b.sample.atMs - a.sample.atMs)
      .slice(0, max)
      .map(({ part, sample }) => shown(sample, part.gateway.name)),
  );
}

/** One sample a line. */
export function samplesText(report: Report): string {
  return report.samples.map((sample) => `${JSON.stringify(sample)}\n`).join('');
}

function shown(sample: EvidenceSample, gateway: string): ReportSample {
  return {
    outcome: sample.outcome,
    entry: sample.of,
    mismatch: sample.kind,
    key: { ...sample.key },
    source: sideOf(sample.source),
    target: sideOf(sample.here),
    fields: sample.fields,
    looks: sample.looks,
    openMs: Math.max(0, sample.openMs),
    at: new Date(sample.atMs).toISOString(),
    rule: sample.prefix,
    phase: sample.phase,
    endpoint: sample.endpoint,
    gateway,
  };
}

function sideOf(side: SampleSide | null): ReportSample['source'] {
  if (side === null) return null;
  const { index, ...others } = side;
  return { ...others, modifyIndex: index };
}
