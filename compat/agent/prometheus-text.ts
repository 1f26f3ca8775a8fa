import type { MetricLabels } from './metric-series.ts';

/** One value of a metric; `suffix` is `_sum`, `_count` or empty. */
export interface PrometheusValue {
  readonly labels: MetricLabels;
  readonly value: number;
  readonly suffix?: string;
}

/** One metric in the text format 0.0.4 of Prometheus. */
export function prometheusText(
  dottedName: string,
  type: 'counter' | 'gauge' | 'summary',
  values: readonly PrometheusValue[],
): string {
  const name = dottedName.replaceAll(/[^a-zA-Z0-9_]/g, '_');
  const rows = values.map(
    ({ labels, value, suffix = '' }) => `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`,
  );
  return `# HELP ${name} ${name}\n# TYPE ${name} ${type}\n${rows.join('')}`;
}

function labelText(labels: MetricLabels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}
