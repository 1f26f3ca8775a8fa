export type CheckStatus = 'passing' | 'warning' | 'critical';

export function isCheckStatus(text: string): text is CheckStatus {
  return text === 'passing' || text === 'warning' || text === 'critical';
}

/** How many results in a row it takes to show a status; 0 and 1 both mean the first. */
export type Thresholds = {
  readonly successBeforePassing: number;
  /** 0 means the same as `failuresBeforeCritical`. */
  readonly failuresBeforeWarning: number;
  readonly failuresBeforeCritical: number;
};

export type ThresholdState = { readonly successes: number; readonly failures: number };

/** Counters begin at their limits: the first result after a start shows at once (observed on 1.8.7). */
export function startThresholds(limits: Thresholds): ThresholdState {
  return { successes: limits.successBeforePassing, failures: limits.failuresBeforeCritical };
}

/**
 * Counts one result. `status` is what the check now shows, undefined when the limit is not reached and
 * everything, output included, stays as it was. A warning counts as a success.
 */
export function countResult(
  limits: Thresholds,
  state: ThresholdState,
  result: CheckStatus,
): { readonly state: ThresholdState; readonly status: CheckStatus | undefined } {
  if (result !== 'critical') {
    const successes = state.successes + 1;
    const shown = successes >= limits.successBeforePassing;
    return { state: { successes, failures: 0 }, status: shown ? result : undefined };
  }
  const failures = state.failures + 1;
  return { state: { successes: 0, failures }, status: statusOfFailures(limits, failures) };
}

function statusOfFailures(limits: Thresholds, failures: number): CheckStatus | undefined {
  if (failures >= limits.failuresBeforeCritical) return 'critical';
  const beforeWarning = limits.failuresBeforeWarning || limits.failuresBeforeCritical;
  return failures >= beforeWarning ? 'warning' : undefined;
}
