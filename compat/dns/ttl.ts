import type { DnsConfig } from '../config/agent-config.ts';

/** The TTL in seconds of answers for a service: its own, else that of the longest prefix with a `*`, else 0. */
export function serviceTtlSeconds(config: DnsConfig, service: string): number {
  const ttls = config.serviceTtlSeconds;
  if (Object.hasOwn(ttls, service)) return Math.floor(ttls[service] ?? 0);
  let longest = -1;
  let found = 0;
  for (const [pattern, seconds] of Object.entries(ttls)) {
    if (!pattern.endsWith('*') || pattern.length <= longest) continue;
    if (!service.startsWith(pattern.slice(0, -1))) continue;
    longest = pattern.length;
    found = seconds;
  }
  return Math.floor(found);
}

export function nodeTtlSeconds(config: DnsConfig): number {
  return Math.floor(config.nodeTtlSeconds);
}
