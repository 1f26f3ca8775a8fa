import type { Fragment } from './config-schema.ts';

/**
 * Keys that a running gateway takes from a reload, those below them too: what Consul 1.8.7 takes, and
 * `limits.http_max_conns_per_client` and the certificates of HTTPS as later versions do.
 */
export const reloadableKeys: readonly string[] = [
  'service',
  'services',
  'check',
  'checks',
  'node_meta',
  'log_level',
  'discard_check_output',
  'telemetry.prefix_filter',
  'telemetry.filter_default',
  'limits.http_max_conns_per_client',
];

/**
 * The keys whose values differ and that wait for a restart, dotted and sorted. Keys without a meaning here differ
 * without consequence: they are left out.
 */
export function keysForRestart(
  before: Fragment,
  after: Fragment,
  ignoredKeys: readonly string[],
): readonly string[] {
  const old = flat(before);
  const now = flat(after);
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((key) => old.get(key) !== now.get(key))
    .filter((key) => !covers(reloadableKeys, key) && !covers(ignoredKeys, key))
    .toSorted();
}

function covers(keys: readonly string[], key: string): boolean {
  return keys.some((one) => key === one || key.startsWith(`${one}.`));
}

/** Values as text by dotted key; a list counts as one value. */
function flat(value: object, prefix = ''): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const [name, item] of Object.entries(value) as [string, unknown][]) {
    const key = prefix + name;
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      entries.set(key, JSON.stringify(item));
    else for (const [inner, text] of flat(item, `${key}.`)) entries.set(inner, text);
  }
  return entries;
}
