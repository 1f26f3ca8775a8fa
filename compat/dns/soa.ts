import type { DnsConfig } from '../config/agent-config.ts';
import { withoutFinalDot } from './names.ts';
import type { Rr } from './records.ts';

/** The SOA record of the domain. Its own TTL is the one of negative answers, so that both end together. */
export function soaRecord(config: DnsConfig, nowMs: number): Rr {
  const name = withoutFinalDot(config.domain);
  const below = (label: string): string => (name === '' ? label : `${label}.${name}`);
  return {
    type: 'SOA',
    name,
    ttl: config.soa.minTtlSeconds,
    data: {
      mname: below('ns'),
      rname: below('hostmaster'),
      serial: Math.floor(nowMs / 1000) >>> 0,
      refresh: config.soa.refreshSeconds,
      retry: config.soa.retrySeconds,
      expire: config.soa.expireSeconds,
      minimum: config.soa.minTtlSeconds,
    },
  };
}
