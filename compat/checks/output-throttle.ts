import type { CheckStatus } from './thresholds.ts';

/** Consul's default for `check_update_interval`. */
export const updateIntervalMsDefault = 5 * 60_000;

export type CheckResult = { readonly status: CheckStatus; readonly output: string };

/**
 * What was last published of a check and what is known locally. An output that alone changed (a date, a
 * duration) is published late, so that it never costs more than one write per interval.
 */
export type ThrottleState = {
  readonly published: CheckResult;
  readonly local: CheckResult;
  /** When the local output is to be published; undefined when nothing waits. */
  readonly dueMs: number | undefined;
};

/**
 * - `same`: nothing changed, not even locally;
 * - `keep`: only the output changed; call `publishDue` at `state.dueMs`;
 * - `publish`: write it now.
 */
export type ThrottleVerdict = 'same' | 'keep' | 'publish';

export function startThrottle(shown: CheckResult): ThrottleState {
  return { published: shown, local: shown, dueMs: undefined };
}

/**
 * Takes a result in. `chance` in [0, 1) spreads the late writes of many checks: they wait for a half to one
 * and a half intervals. An interval of 0 publishes everything at once.
 */
export function observeResult(
  state: ThrottleState,
  result: CheckResult,
  nowMs: number,
  chance: number,
  intervalMs: number,
): { readonly state: ThrottleState; readonly verdict: ThrottleVerdict } {
  const { local, published } = state;
  if (local.status === result.status && local.output === result.output) return { state, verdict: 'same' };
  if (result.status !== published.status || intervalMs <= 0) {
    return { state: { published: result, local: result, dueMs: undefined }, verdict: 'publish' };
  }
  // Back at what is published: a write would change nothing.
  if (result.output === published.output) {
    return { state: { published, local: result, dueMs: undefined }, verdict: 'keep' };
  }
  const dueMs = state.dueMs ?? nowMs + intervalMs / 2 + chance * intervalMs;
  return { state: { published, local: result, dueMs }, verdict: 'keep' };
}

/** Publishes what waited; undefined when nothing is due (a timer that fired early or late). */
export function publishDue(state: ThrottleState, nowMs: number): ThrottleState | undefined {
  if (state.dueMs === undefined || nowMs < state.dueMs) return undefined;
  return { published: state.local, local: state.local, dueMs: undefined };
}
