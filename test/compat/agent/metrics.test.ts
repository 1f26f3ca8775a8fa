import { describe, expect, test } from '@jest/globals';
import { Metrics } from '../../../compat/agent/metrics.ts';
import { renderJson } from '../../../compat/wire/go-json.ts';

function metricsAt(prometheusRetentionMs: number, hostname?: string) {
  let now = 1_000_000_005;
  const metrics = new Metrics({ prefix: 'consul', hostname, prometheusRetentionMs, nowMs: () => now });
  const shown = () => JSON.parse(renderJson(metrics.snapshot())) as Record<string, unknown>;
  return { metrics, shown, advance: (ms: number) => (now += ms) };
}

describe('the JSON form', () => {
  test('shows the last whole interval, with what Consul computes of it', () => {
    const { metrics, shown, advance } = metricsAt(0);
    metrics.count('client.rpc');
    metrics.count('client.rpc');
    metrics.sample('kvs.apply', 2, { op: 'set' });
    metrics.sample('kvs.apply', 4, { op: 'set' });
    advance(10_000);
    metrics.count('client.rpc');
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

  test('shows nothing of what was counted before a quiet time', () => {
    const { metrics, shown, advance } = metricsAt(0);
    metrics.count('client.rpc');
    advance(60_000);
    expect(shown()).toMatchObject({ Counters: [], Samples: [] });
  });

  test('reads gauges when asked, under the name of the host unless that is off', () => {
    let value = 1;
    const { metrics, shown } = metricsAt(0, 'vm');
    metrics.gauge('runtime.alloc_bytes', () => value);
    value = 7;
    expect(shown()['Gauges']).toEqual([{ Name: 'consul.vm.runtime.alloc_bytes', Value: 7, Labels: {} }]);
  });
});

describe('the form of Prometheus', () => {
  test('has counters, summaries and gauges', async () => {
    const { metrics } = metricsAt(60_000, 'vm');
    metrics.count('api.http', { method: 'GET' });
    metrics.count('api.http', { method: 'PUT' }, 2);
    metrics.sample('kvs.apply', 2);
    metrics.gauge('zones', () => 3);
    const rendered = await metrics.prometheus();
    expect(rendered?.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(rendered?.body).toContain('consul_api_http{method="GET"} 1\nconsul_api_http{method="PUT"} 2\n');
    expect(rendered?.body).toContain('consul_kvs_apply{quantile="0.5"} 2');
    expect(rendered?.body).toContain('consul_kvs_apply_count 1');
    expect(rendered?.body).toContain('consul_zones 3');
  });

  test('is off without retention', () => {
    expect(metricsAt(0).metrics.prometheus()).toBeUndefined();
  });
});
