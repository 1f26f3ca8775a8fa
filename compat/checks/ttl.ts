import { sliceUtf8, utf8Length } from './output.ts';
import type { CheckStatus } from './thresholds.ts';

/** A TTL check between two beats. `deadlineMs` is undefined once it has expired, until the next beat. */
export type TtlState = { readonly deadlineMs: number | undefined; readonly lastOutput: string };

/** A registration starts the clock whatever the status it registers with. */
export function startTtl(nowMs: number, ttlMs: number): TtlState {
  return { deadlineMs: nowMs + ttlMs, lastOutput: '' };
}

/** A beat of the client (pass, warn, fail or update). The output shown is cut with a note when too long. */
export function beatTtl(
  nowMs: number,
  ttlMs: number,
  output: string,
  outputBytesMax: number,
): { readonly state: TtlState; readonly output: string } {
  const shown = clipNote(output, outputBytesMax);
  return { state: { deadlineMs: nowMs + ttlMs, lastOutput: shown }, output: shown };
}

/** Whether the clock has run out, and then what the check shows. A timer that fires early changes nothing. */
export function expireTtl(
  state: TtlState,
  nowMs: number,
): { readonly state: TtlState; readonly status: CheckStatus; readonly output: string } | undefined {
  if (state.deadlineMs === undefined || nowMs < state.deadlineMs) return undefined;
  const output =
    state.lastOutput === ''
      ? 'TTL expired'
      : `TTL expired (last output before timeout follows): ${state.lastOutput}`;
  return { state: { ...state, deadlineMs: undefined }, status: 'critical', output };
}

function clipNote(output: string, outputBytesMax: number): string {
  const length = utf8Length(output);
  if (length <= outputBytesMax) return output;
  return `${sliceUtf8(output, outputBytesMax)} ... (captured ${outputBytesMax} of ${length} bytes)`;
}
