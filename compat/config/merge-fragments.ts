import type { Fragment } from './config-schema.ts';

/**
 * Lays `over` upon `base` as Consul's builder does: lists append, objects merge key by key, everything else is
 * replaced. Neither argument is changed.
 */
export function mergeFragments(base: Fragment, over: Fragment): Fragment {
  return mergeRecords(base, over);
}

function mergeRecords(
  base: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    if (value !== undefined) result[name] = mergeValues(result[name], value);
  }
  return result;
}

function mergeValues(base: unknown, over: unknown): unknown {
  if (Array.isArray(base) && Array.isArray(over)) return [...(base as unknown[]), ...(over as unknown[])];
  if (isRecord(base) && isRecord(over)) return mergeRecords(base, over);
  return over;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * `service` and `check` become one more element of `services` and `checks`, before fragments are merged: several
 * files may each hold one.
 */
export function withSinglesInLists(fragment: Fragment): Fragment {
  const { service, check, ...rest } = fragment;
  return {
    ...rest,
    ...(service === undefined ? {} : { services: [...(rest.services ?? []), service] }),
    ...(check === undefined ? {} : { checks: [...(rest.checks ?? []), check] }),
  };
}

/** Splits flags into their lists, which go before the files, and the rest, which goes after them and wins. */
export function splitFlags(flags: Fragment): { readonly lists: Fragment; readonly values: Fragment } {
  const lists: Record<string, unknown> = {};
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(flags)) {
    if (isRecord(value)) {
      const inner = Object.entries(value);
      lists[name] = Object.fromEntries(inner.filter(([, item]) => Array.isArray(item)));
      values[name] = Object.fromEntries(inner.filter(([, item]) => !Array.isArray(item)));
    } else (Array.isArray(value) ? lists : values)[name] = value;
  }
  return { lists: lists, values: values };
}
