/** Time and chance as the runner takes them, so that tests drive it with a clock of their own. */
export interface RunnerPorts {
  /** A clock that never goes back, in milliseconds. */
  nowMs(): number;
  /** Calls once after a delay; the returned function cancels. Must not keep the process alive. */
  setTimer(afterMs: number, call: () => void): () => void;
  /** A number in [0, 1). */
  random(): number;
}

/** The longest delay that setTimeout takes; above it, it fires at once. */
const timeoutMsMax = 2 ** 31 - 1;

export const systemPorts: RunnerPorts = {
  nowMs: () => performance.now(),
  setTimer: (afterMs, call) => {
    const endMs = performance.now() + afterMs;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = endMs - performance.now();
      timer = leftMs > timeoutMsMax ? setTimeout(arm, timeoutMsMax) : setTimeout(call, Math.max(0, leftMs));
      timer.unref();
    };
    arm();
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
