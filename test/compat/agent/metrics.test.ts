import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { Timings } from '../../../compat/agent/metric-series.ts';
import { Metrics, type MetricsOptions } from '../../../compat/agent/metrics.ts';
import { processMetrics } from '../../../compat/agent/process-metrics.ts';
import { countedRequests } from '../../../compat/agent/request-metrics.ts';
import { timedWrites } from '../../../compat/agent/write-metrics.ts';
import { routeTable } from '../../../compat/routes/table.ts';
import { renderJson } from '../../../compat/wire/go-json.ts';
import { must } from '../../../src/kernel/assert.ts';
import type { Command } from '../../../src/state/command.ts';

function metricsAt(options: Partial<MetricsOptions> = {}) {
  let now = 1_000_000_005;
  const metrics = new Metrics({ prefix: 'consul', prometheusRetentionMs: 0, nowMs: () => now, ...options });
  const shown = () => JSON.parse(renderJson(metrics.snapshot())) as Record<string, { Name: string }[]>;
  const advance = (ms: number): void => {
    now += ms;
    metrics.tick();
  };
  return { metrics, shown, advance };
}

describe('the JSON form', () => {
  test('shows the last whole interval, with what Consul computes of it', () => {
    const { metrics, shown, advance } = metricsAt();
    const rpc = metrics.counter('client.rpc');
    const apply = metrics.timings('kvs.apply', { op: 'set' });
    rpc.add(2);
    apply.observe(2);
    apply.observe(4);
    advance(10_000);
    rpc.add();
    expect(shown()).toEqual({
      Timestamp: '1970-01-12 13:46:40 +0000 UTC',
      Gauges: [],
      Points: [],
      Counters: [
        {
          Name: 'consul.client.rpc',
          Count: 2,
          Rate: 0.2,
          Sum: 2,
          Min: 1,
          Max: 1,
          Mean: 1,
          Stddev: 0,
          Labels: {},
        },
      ],
      Samples: [
        {
          Name: 'consul.kvs.apply',
          Count: 2,
          Rate: 0.6,
          Sum: 6,
          Min: 2,
          Max: 4,
          Mean: 3,
          Stddev: Math.SQRT2,
          Labels: { op: 'set' },
        },
      ],
    });
  });

  test('shows the running interval as long as there is no whole one', () => {
    const { metrics, shown } = metricsAt();
    metrics.counter('client.rpc').add();
    expect(shown()['Counters']).toMatchObject([{ Name: 'consul.client.rpc', Count: 1 }]);
  });

  test('shows nothing of what was counted before a quiet time', () => {
    const { metrics, shown, advance } = metricsAt();
    metrics.counter('client.rpc').add();
    advance(60_000);
    expect(shown()).toMatchObject({ Counters: [], Samples: [] });
  });

  test('reads gauges when asked, under the name of the host unless that is off', () => {
    let value = 1;
    const { metrics, shown } = metricsAt({ hostname: 'vm' });
    metrics.gauge('runtime.alloc_bytes', () => value);
    metrics.gauge('grapevine.index', () => 3);
    value = 7;
    expect(shown()['Gauges']).toEqual([
      { Name: 'consul.vm.runtime.alloc_bytes', Value: 7, Labels: {} },
      { Name: 'grapevine.vm.index', Value: 3, Labels: {} },
    ]);
  });

  test('follows counters that others keep', () => {
    let commits = 5;
    const { metrics, shown, advance } = metricsAt();
    metrics.follow('grapevine.commits', () => commits);
    advance(10_000);
    commits = 8;
    advance(10_000);
    expect(shown()['Counters']).toMatchObject([{ Name: 'grapevine.commits', Count: 3 }]);
  });
});

describe('the form of Prometheus', () => {
  test("has the gateway's own counters before they are raised", async () => {
    const { metrics } = metricsAt({ prometheusRetentionMs: 60_000 });
    metrics.follow('grapevine.divergence_found', () => 0);
    metrics.counter('api.http', { method: 'GET' });
    const rendered = await metrics.prometheus();
    expect(rendered?.body).toContain('\ngrapevine_divergence_found 0\n');
    expect(rendered?.body).not.toContain('\nconsul_api_http{');
  });

  test('has counters, summaries and gauges', async () => {
    const { metrics } = metricsAt({ prometheusRetentionMs: 60_000, hostname: 'vm' });
    metrics.counter('api.http', { method: 'GET' }).add();
    metrics.counter('api.http', { method: 'PUT' }).add(2);
    metrics.counter('api.http', { method: 'DELETE' });
    metrics.timings('kvs.apply').observe(2);
    metrics.gauge('zones', () => 3, { name: 'a"b' });
    const rendered = await metrics.prometheus();
    expect(rendered?.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(rendered?.body).toBe(`# HELP consul_zones consul_zones
# TYPE consul_zones gauge
consul_zones{name="a\\"b"} 3
# HELP consul_api_http consul_api_http
# TYPE consul_api_http counter
consul_api_http{method="GET"} 1
consul_api_http{method="PUT"} 2
# HELP consul_kvs_apply consul_kvs_apply
# TYPE consul_kvs_apply summary
consul_kvs_apply{quantile="0.5"} 2
consul_kvs_apply{quantile="0.9"} 2
consul_kvs_apply{quantile="0.99"} 2
consul_kvs_apply_sum 2
consul_kvs_apply_count 1
`);
  });

  test('counts on over intervals, without times of those that are over', async () => {
    const { metrics, advance } = metricsAt({ prometheusRetentionMs: 1 });
    const apply = metrics.timings('kvs.apply');
    apply.observe(1);
    advance(10_000);
    apply.observe(2);
    advance(20_000);
    const body = (await metrics.prometheus())?.body;
    expect(body).toContain('consul_kvs_apply_sum 3\nconsul_kvs_apply_count 2\n');
    expect(body).toContain('consul_kvs_apply{quantile="0.5"} NaN\n');
  });

  test('is off without retention', () => {
    expect(metricsAt().metrics.prometheus()).toBeUndefined();
  });

  test('tells of the process too', async () => {
    const { metrics } = metricsAt({ prometheusRetentionMs: 1, processMetrics: processMetrics() });
    expect((await metrics.prometheus())?.body).toContain('process_resident_memory_bytes ');
    expect((await metrics.prometheus())?.body).toContain('nodejs_eventloop_lag_seconds ');
  });
});

describe('the filter', () => {
  test('shows what the longest prefix allows, in both forms', async () => {
    let allowedPrefixes = ['consul.kvs.apply'];
    const { metrics, shown } = metricsAt({
      prometheusRetentionMs: 1,
      filter: () => ({ allowedPrefixes, blockedPrefixes: ['consul.kvs'], filterDefault: true }),
    });
    for (const name of ['kvs.apply', 'kvs.other', 'txn.apply']) metrics.counter(name).add();
    const names = () => shown()['Counters']?.map(({ Name }) => Name);
    expect(names()).toEqual(['consul.kvs.apply', 'consul.txn.apply']);
    expect((await metrics.prometheus())?.body).not.toContain('consul_kvs_other');
    allowedPrefixes = [];
    expect(names()).toEqual(['consul.txn.apply']);
  });
});

describe('timings', () => {
  test('give quantiles that are right to an eighth, and never outside what was seen', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.004, max: 1e5, noNaN: true }), { minLength: 1, maxLength: 50 }),
        fc.constantFrom(0.5, 0.9, 0.99),
        (values, share) => {
          const timings = new Timings({});
          for (const value of values) timings.observe(value);
          const sorted = values.toSorted((a, b) => a - b);
          const exact = must(sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)]);
          const shown = timings.quantile(share, true);
          expect(Math.abs(shown - exact)).toBeLessThanOrEqual(exact / 8 + 0.001);
          expect(shown).toBeGreaterThanOrEqual(must(sorted[0]));
          expect(shown).toBeLessThanOrEqual(must(sorted.at(-1)));
        },
      ),
    );
  });

  test('take what no clock should give', () => {
    const timings = new Timings({});
    for (const odd of [-1, 0, 1e12]) timings.observe(odd);
    expect(timings.count).toBe(3);
    expect(timings.quantile(0.99, true)).toBeGreaterThan(0);
  });
});

describe('what is counted', () => {
  test('is every request, by the route that serves it', () => {
    const { metrics, shown } = metricsAt();
    const onRequest = countedRequests(metrics, routeTable);
    const kv = routeTable.find(({ path }) => path === '/v1/kv/');
    onRequest(kv, 'GET');
    onRequest(kv, 'GET');
    onRequest(kv, 'PATCH');
    onRequest(undefined, 'GET');
    expect(shown()['Counters']).toMatchObject([
      { Name: 'consul.api.http', Count: 2, Labels: { method: 'GET', path: 'v1_kv_' } },
      { Name: 'grapevine.http.unknown_endpoint', Count: 2 },
    ]);
  });

  test('is every write, with its time until it is on disk', () => {
    const { metrics, shown } = metricsAt();
    let now = 0;
    const propose = timedWrites(
      metrics,
      () => now,
      (_command, done) => {
        now += 3;
        done({ kind: 'local' });
      },
    );
    const command = (kind: Command['kind']) => ({ kind }) as Command;
    let answered = 0;
    for (const kind of ['kv-put', 'kv-delete', 'session-destroy'] as const) {
      propose(command(kind), () => (answered += 1));
    }
    expect(answered).toBe(3);
    expect(shown()['Samples']).toMatchObject([
      { Name: 'consul.kvs.apply', Count: 2, Sum: 6 },
      { Name: 'consul.session.apply', Count: 1, Sum: 3 },
    ]);
  });
});
