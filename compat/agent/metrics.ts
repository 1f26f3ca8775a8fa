import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import type { JsonObject, JsonValue } from '../wire/go-json.ts';
import { Counter, Timings, type MetricLabels } from './metric-series.ts';
import type { MetricsPort } from './port.ts';
import { prometheusText } from './prometheus-text.ts';

/** Which metrics are shown (`telemetry.prefix_filter`, `telemetry.filter_default`): the longest prefix decides. */
export interface MetricFilter {
  readonly allowedPrefixes: readonly string[];
  readonly blockedPrefixes: readonly string[];
  readonly filterDefault: boolean;
}

export interface MetricsOptions {
  /** `telemetry.metrics_prefix`. */
  readonly prefix: string;
  /** Put into the names of gauges of the JSON form, as Consul does; unset with `telemetry.disable_hostname`. */
  readonly hostname?: string | undefined;
  /** `telemetry.prometheus_retention_time`; 0 turns the Prometheus form off. */
  readonly prometheusRetentionMs: number;
  readonly nowMs: () => number;
  /** As it is now: a reload may have changed it. All metrics are shown without it. */
  readonly filter?: () => MetricFilter;
  /** What Node tells of the process (`process_…`, `nodejs_…`), in the text format of Prometheus. */
  readonly processMetrics?: () => Promise<string>;
}

/** Consul's in-memory sink: what happened in each ten seconds. */
export const intervalMs = 10_000;

/** Names that begin so are this project's own, whatever prefix Consul's names have. */
const ownPrefix = 'grapevine.';

export interface GaugeValue {
  readonly labels: MetricLabels;
  readonly value: number;
}

/** A counter that somebody else keeps, looked at once an interval. */
interface Followed {
  readonly counter: Counter;
  readonly read: () => number;
}

/**
 * The metrics of this gateway, in the two forms that Consul has: JSON of the last whole interval, and Prometheus.
 * Names are given with dots and without the prefix (`kvs.apply`). Parts get their counters once and count in them;
 * everything else happens in `tick`, every ten seconds, and when somebody looks.
 */
export class Metrics implements MetricsPort {
  readonly #options: MetricsOptions;
  readonly #counters = new Map<string, Counter[]>();
  readonly #timings = new Map<string, Timings[]>();
  readonly #gauges = new Map<string, (() => readonly GaugeValue[])[]>();
  readonly #followed: Followed[] = [];
  #startMs: number;
  #lastStartMs: number | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#startMs = intervalStart(options.nowMs());
  }

  /** A counter for its owner to keep; each call makes another series, so labels must differ. */
  counter(name: string, labels: MetricLabels = {}): Counter {
    const counter = new Counter(labels);
    into(this.#counters, name, counter);
    return counter;
  }

  timings(name: string, labels: MetricLabels = {}): Timings {
    const timings = new Timings(labels);
    into(this.#timings, name, timings);
    return timings;
  }

  /** A counter of somebody else: `read` answers how often it happened since the process started. */
  follow(name: string, read: () => number, labels: MetricLabels = {}): void {
    this.#followed.push({ counter: this.counter(name, labels), read });
  }

  /** A value that is read when somebody asks. */
  gauge(name: string, read: () => number, labels: MetricLabels = {}): void {
    this.gauges(name, () => [{ labels, value: read() }]);
  }

  /** Values of one name that come and go with what they are about; their labels tell them apart. */
  gauges(name: string, read: () => readonly GaugeValue[]): void {
    into(this.#gauges, name, read);
  }

  /** To be called every ten seconds: ends the interval when it is over. */
  tick(): void {
    for (const { counter, read } of this.#followed) counter.total = read();
    const start = intervalStart(this.#options.nowMs());
    if (start <= this.#startMs) return;
    const series = [...this.#counters.values(), ...this.#timings.values()].flat();
    for (const one of series) one.roll();
    // After a time without ticks the last whole interval is an empty one.
    if (start > this.#startMs + intervalMs) for (const one of series) one.roll();
    this.#lastStartMs = start - intervalMs;
    this.#startMs = start;
  }

  snapshot(): JsonValue {
    this.tick();
    // Consul shows the newest whole interval, and the running one as long as there is no other.
    const running = this.#lastStartMs === undefined;
    return {
      Timestamp: goTimestamp(this.#lastStartMs ?? this.#startMs),
      Gauges: this.#gaugeRows(),
      Points: [],
      Counters: this.#rows(this.#counters, running),
      Samples: this.#rows(this.#timings, running),
    };
  }

  prometheus(): Promise<{ readonly contentType: string; readonly body: string }> | undefined {
    return this.#options.prometheusRetentionMs <= 0 ? undefined : this.#renderPrometheus();
  }

  async #renderPrometheus(): Promise<{ readonly contentType: string; readonly body: string }> {
    this.tick();
    const running = this.#lastStartMs === undefined;
    const texts = [
      ...this.#shown(this.#gauges).map(([name, gauges]) =>
        prometheusText(
          name,
          'gauge',
          gauges.flatMap((read) => read()),
        ),
      ),
      ...this.#shown(this.#counters).map(([name, counters]) =>
        prometheusText(
          name,
          'counter',
          // Grapevine's own also before they are raised: an increase is seen only from something.
          counters
            .filter(({ total }) => total > 0 || name.startsWith(ownPrefix))
            .map(({ labels, total }) => ({ labels, value: total })),
        ),
      ),
      ...this.#shown(this.#timings).map(([name, timings]) =>
        prometheusText(
          name,
          'summary',
          timings.flatMap((one) => summaryValues(one, running)),
        ),
      ),
    ];
    const process = (await this.#options.processMetrics?.()) ?? '';
    return { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: texts.join('') + process };
  }

  #gaugeRows(): JsonValue {
    const { hostname } = this.#options;
    return this.#shown(this.#gauges).flatMap(([name, series]) =>
      series
        .flatMap((read) => read())
        .map(({ labels, value }) => ({
          Name: hostname === undefined ? name : name.replace('.', `.${hostname}.`),
          Value: value,
          Labels: labels,
        })),
    );
  }

  #rows<T extends Counter | Timings>(
    series: ReadonlyMap<string, readonly T[]>,
    running: boolean,
  ): readonly JsonObject[] {
    return this.#shown(series).flatMap(([name, ones]) =>
      ones.map((one) => one.render(name, running, intervalMs)).filter((row) => row !== undefined),
    );
  }

  /** The series that the filter lets through, with their full names, ordered by them. */
  #shown<T>(series: ReadonlyMap<string, readonly T[]>): readonly (readonly [string, readonly T[]])[] {
    const filter = this.#options.filter?.();
    return [...series]
      .map(([name, ones]) => [this.#fullName(name), ones] as const)
      .filter(([name]) => filter === undefined || isShown(name, filter))
      .toSorted(([a], [b]) => compareUtf8(a, b));
  }

  #fullName(name: string): string {
    return name.startsWith(ownPrefix) ? name : `${this.#options.prefix}.${name}`;
  }
}

function into<T>(series: Map<string, T[]>, name: string, one: T): void {
  const ones = series.get(name);
  if (ones === undefined) series.set(name, [one]);
  else ones.push(one);
}

function isShown(name: string, { allowedPrefixes, blockedPrefixes, filterDefault }: MetricFilter): boolean {
  const longest = (prefixes: readonly string[]): number =>
    Math.max(-1, ...prefixes.filter((prefix) => name.startsWith(prefix)).map((prefix) => prefix.length));
  const allowed = longest(allowedPrefixes);
  const blocked = longest(blockedPrefixes);
  return allowed === blocked ? filterDefault : allowed > blocked;
}

function summaryValues(timings: Timings, running: boolean) {
  const { labels, count, sumMs } = timings;
  if (count === 0) return [];
  return [
    ...[0.5, 0.9, 0.99].map((share) => ({
      labels: { ...labels, quantile: String(share) },
      value: timings.quantile(share, running),
    })),
    { labels, value: sumMs, suffix: '_sum' },
    { labels, value: count, suffix: '_count' },
  ];
}

function intervalStart(ms: number): number {
  return ms - (ms % intervalMs);
}

/** As Go prints a time: `2026-11-22 16:21:20 +0000 UTC`. */
function goTimestamp(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} +0000 UTC`;
}
