import { nsPerMs } from '../wire/go-duration.ts';

/** Consul's shortest DeregisterCriticalServiceAfter, and how often it looks. */
export const reapAfterMsMin = 60_000;
export const reapScanMs = 30_000;

/** A check that may take its service along. */
export type ReapEntry = {
  readonly checkId: string;
  readonly serviceId: string;
  readonly deregisterCriticalServiceAfterNs: number;
  /** When the check was first seen critical; undefined while it is not. */
  readonly criticalSinceMs: number | undefined;
};

export type ReapDue = { readonly serviceId: string; readonly checkId: string; readonly criticalMs: number };

/** The services to deregister, each once, with the check that decided it. */
export function servicesDue(nowMs: number, entries: Iterable<ReapEntry>): readonly ReapDue[] {
  const due = new Map<string, ReapDue>();
  for (const entry of entries) {
    const { serviceId, checkId, criticalSinceMs } = entry;
    if (serviceId === '' || entry.deregisterCriticalServiceAfterNs <= 0 || criticalSinceMs === undefined)
      continue;
    const criticalMs = nowMs - criticalSinceMs;
    const afterMs = Math.max(entry.deregisterCriticalServiceAfterNs / nsPerMs, reapAfterMsMin);
    if (criticalMs > afterMs && !due.has(serviceId)) due.set(serviceId, { serviceId, checkId, criticalMs });
  }
  return [...due.values()];
}
