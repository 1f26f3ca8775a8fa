import { collectDefaultMetrics, Counter, Gauge, Registry, Summary } from 'prom-client';
import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import type { JsonValue } from '../wire/go-json.ts';
import { Aggregate } from './metrics-aggregate.ts';
import type { MetricsPort } from './port.ts';

export type MetricLabels = Readonly<Record<string, string>>;

export interface MetricsOptions {
  /** `telemetry.metrics_prefix`. */
  readonly prefix: string;
  /** Put into the names of gauges of the JSON form, as Consul does; unset with `telemetry.disable_hostname`. */
  readonly hostname?: string | undefined;
  /** `telemetry.prometheus_retention_time`; 0 turns the Prometheus form off. */
  readonly prometheusRetentionMs: number;
  readonly nowMs: () => number;
  /** Also show what Node tells of the process (`process_…`, `nodejs_…`). */
  readonly processMetrics?: boolean;
}

/** Consul's in-memory sink: what happened in each ten seconds. */
export const intervalMs = 10_000;

interface Interval {
  readonly startMs: number;
  readonly counters: Map<string, Aggregate>;
  readonly samples: Map<string, Aggregate>;
}

/**
 * The metrics of this gateway, in the two forms that Consul has: JSON of the last whole interval, and Prometheus.
 * Names are given without the prefix, with dots (`kvs.apply`); a name always comes with the same labels.
 */
export class Metrics implements MetricsPort {
  readonly #options: MetricsOptions;
  readonly #registry = new Registry();
  readonly #gauges = new Map<string, { readonly labels: MetricLabels; readonly read: () => number }[]>();
  readonly #promCounters = new Map<string, Counter>();
  readonly #promSamples = new Map<string, Summary>();
  #current: Interval;
  #last: Interval | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#current = emptyInterval(options.nowMs());
    if (options.processMetrics === true && options.prometheusRetentionMs > 0) {
      collectDefaultMetrics({ register: this.#registry });
    }
  }

  /** Counts that something happened. */
  count(name: string, labels: MetricLabels = {}, by = 1): void {
    addTo(this.#interval().counters, name, labels, by);
    if (this.#options.prometheusRetentionMs <= 0) return;
    let counter = this.#promCounters.get(name);
    if (counter === undefined) {
      counter = new Counter({ ...this.#describe(name, labels), registers: [this.#registry] });
      this.#promCounters.set(name, counter);
    }
    counter.inc({ ...labels }, by);
  }

  /** Takes a measured value, such as a duration in milliseconds. */
  sample(name: string, value: number, labels: MetricLabels = {}): void {
    addTo(this.#interval().samples, name, labels, value);
    const retentionMs = this.#options.prometheusRetentionMs;
    if (retentionMs <= 0) return;
    let summary = this.#promSamples.get(name);
    if (summary === undefined) {
      summary = new Summary({
        ...this.#describe(name, labels),
        registers: [this.#registry],
        percentiles: [0.5, 0.9, 0.99],
        maxAgeSeconds: Math.max(1, retentionMs / 1000),
        ageBuckets: 5,
        pruneAgedBuckets: true,
      });
      this.#promSamples.set(name, summary);
    }
    summary.observe({ ...labels }, value);
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, read: () => number, labels: MetricLabels = {}): void {
    const series = this.#gauges.get(name);
    if (series !== undefined) {
      series.push({ labels, read });
      return;
    }
    const first = [{ labels, read }];
    this.#gauges.set(name, first);
    // prom-client calls `collect` with the gauge as `this` before it renders.
    void new Gauge({
      ...this.#describe(name, labels),
      registers: [this.#registry],
      collect() {
        for (const one of first) this.set({ ...one.labels }, one.read());
      },
    });
  }

  snapshot(): JsonValue {
    const current = this.#interval();
    // Consul shows the newest whole interval, and the running one as long as there is no other.
    const shown = this.#last ?? current;
    return {
      Timestamp: goTimestamp(shown.startMs),
      Gauges: this.#gaugeRows(),
      Points: [],
      Counters: this.#rows(shown.counters),
      Samples: this.#rows(shown.samples),
    };
  }

  prometheus(): Promise<{ readonly contentType: string; readonly body: string }> | undefined {
    if (this.#options.prometheusRetentionMs <= 0) return undefined;
    const { contentType } = this.#registry;
    return this.#registry.metrics().then((body) => ({ contentType, body }));
  }

  #gaugeRows(): JsonValue {
    const { prefix, hostname } = this.#options;
    const head = hostname === undefined ? prefix : `${prefix}.${hostname}`;
    return [...this.#gauges]
      .toSorted(([a], [b]) => compareUtf8(a, b))
      .flatMap(([name, series]) =>
        series.map(({ labels, read }) => ({ Name: `${head}.${name}`, Value: read(), Labels: labels })),
      );
  }

  #rows(series: ReadonlyMap<string, Aggregate>): JsonValue {
    return [...series]
      .toSorted(([a], [b]) => compareUtf8(a, b))
      .map(([, aggregate]) => aggregate.render(this.#options.prefix, intervalMs));
  }

  #interval(): Interval {
    const nowMs = this.#options.nowMs();
    const age = nowMs - this.#current.startMs;
    if (age < intervalMs) return this.#current;
    // After a quiet time the last whole interval is an empty one.
    this.#last = age < 2 * intervalMs ? this.#current : emptyInterval(nowMs - intervalMs);
    this.#current = emptyInterval(nowMs);
    return this.#current;
  }

  #describe(name: string, labels: MetricLabels) {
    const full = `${this.#options.prefix}_${name}`.replaceAll(/[^a-zA-Z0-9_]/g, '_');
    return { name: full, help: full, labelNames: Object.keys(labels) };
  }
}

function emptyInterval(nowMs: number): Interval {
  return { startMs: nowMs - (nowMs % intervalMs), counters: new Map(), samples: new Map() };
}

function addTo(series: Map<string, Aggregate>, name: string, labels: MetricLabels, value: number): void {
  const key = seriesKey(name, labels);
  const held = series.get(key);
  if (held === undefined) series.set(key, new Aggregate(name, labels, value));
  else held.add(value);
}

function seriesKey(name: string, labels: MetricLabels): string {
  const names = Object.keys(labels);
  return names.length === 0 ? name : `${name};${names.map((label) => `${label}=${labels[label]}`).join(';')}`;
}

/** As Go prints a time: `2026-11-22 16:21:20 +0000 UTC`. */
function goTimestamp(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} +0000 UTC`;
}
