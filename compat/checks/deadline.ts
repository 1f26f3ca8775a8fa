/** The end of one run: aborted by the runner or by its own timeout, whichever comes first. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Whether the timeout (not the runner) ended it. */
  timedOut(): boolean;
  /** Frees the timer; must be called when the run is over. */
  dispose(): void;
}

export function startDeadline(outer: AbortSignal, timeoutMs: number): Deadline {
  const controller = new AbortController();
  let timedOut = false;
  const stop = (): void => controller.abort();
  if (outer.aborted) stop();
  outer.addEventListener('abort', stop, { once: true });
  const timer = setTimeout(
    () => {
      timedOut = true;
      stop();
    },
    Math.min(timeoutMs, 2 ** 31 - 1),
  );
  timer.unref();
  return {
    signal: controller.signal,
    timedOut: () => timedOut,
    dispose: () => {
      clearTimeout(timer);
      outer.removeEventListener('abort', stop);
    },
  };
}
