import type { Instant } from '../kernel/instant.ts';

/** Wall-clock microseconds since the epoch, from the clock that the system keeps right (it may step). */
export function wallClockUs(): number {
  return Date.now() * 1000 + subMillisecondUs();
}

let lastMs = 0;
let lastUs = 0;

/** `Date.now` has no fraction: a count within the millisecond keeps stamps close to real time, and unique. */
function subMillisecondUs(): number {
  const now = Date.now();
  lastUs = now === lastMs ? Math.min(lastUs + 1, 999) : 0;
  lastMs = now;
  return lastUs;
}

/** Both clocks now. */
export function instant(): Instant {
  return { wallUs: wallClockUs(), monoMs: performance.now() };
}
