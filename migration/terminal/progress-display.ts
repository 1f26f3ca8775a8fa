import { SingleBar } from 'cli-progress';
import type { Clock } from '../clock.ts';
import { count, duration } from './format.ts';
import { RateMeter } from './rate-meter.ts';

export type ProgressStep = {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
  readonly detail: string;
};

export type ProgressDisplay = {
  readonly step: (step: ProgressStep) => void;
  /** A line beside the progress, such as the reason of a wait. */
  readonly line: (text: string) => void;
  readonly end: () => void;
};

export type ProgressOutput = {
  readonly isTTY: boolean;
  readonly stream: NodeJS.WriteStream;
};

/** Plain lines come at most this often. */
const lineEveryMs = 2000;

/** A bar on a terminal, one line every two seconds elsewhere; both with rate and time left. */
export function progressDisplay(output: ProgressOutput, clock: Clock): ProgressDisplay {
  return output.isTTY
    ? barDisplay(output.stream, clock)
    : lineDisplay((line) => output.stream.write(`${line}\n`), clock);
}

export function lineDisplay(write: (line: string) => void, clock: Clock): ProgressDisplay {
  const meters = new Map<string, RateMeter>();
  let shownMs = clock.now();
  let phase = '';
  return {
    step: (step) => {
      const now = clock.now();
      const meter = meterOf(meters, step.phase, now);
      const speed = meter.update(step.done, step.total, now);
      if (step.phase === phase && now - shownMs < lineEveryMs) return;
      if (phase === '' && now - shownMs < lineEveryMs) return;
      phase = step.phase;
      shownMs = now;
      write(progressLine(step, speed));
    },
    line: write,
    end: () => undefined,
  };
}

export function progressLine(
  step: ProgressStep,
  speed: { readonly perSecond: number | null; readonly etaMs: number | null },
): string {
  const share = step.total === 0 ? 100 : Math.floor((step.done / step.total) * 100);
  const rate = speed.perSecond === null ? '' : `, ${count(speed.perSecond)}/s`;
  const eta = speed.etaMs === null || step.done >= step.total ? '' : `, ${duration(speed.etaMs)} left`;
  const detail = step.detail === '' ? '' : `, ${step.detail}`;
  return `${step.phase}: ${count(step.done)} of ${count(step.total)} (${share} %)${rate}${eta}${detail}`;
}

function barDisplay(stream: NodeJS.WriteStream, clock: Clock): ProgressDisplay {
  const meters = new Map<string, RateMeter>();
  const bar = new SingleBar({
    stream,
    format: '{phase} [{bar}] {percentage}% {shown}',
    clearOnComplete: true,
    hideCursor: true,
    linewrap: false,
    fps: 8,
    gracefulExit: false,
  });
  let running = false;
  return {
    step: (step) => {
      const now = clock.now();
      const speed = meterOf(meters, step.phase, now).update(step.done, step.total, now);
      const shown = progressLine(step, speed).slice(step.phase.length + 2);
      if (!running) bar.start(step.total, step.done, { phase: step.phase, shown });
      running = true;
      bar.setTotal(Math.max(1, step.total));
      bar.update(step.done, { phase: step.phase, shown });
    },
    line: (text) => {
      if (running) stream.write(`\r\x1b[K${text}\n`);
      else stream.write(`${text}\n`);
    },
    end: () => {
      if (running) bar.stop();
      running = false;
    },
  };
}

function meterOf(meters: Map<string, RateMeter>, phase: string, nowMs: number): RateMeter {
  let meter = meters.get(phase);
  if (meter === undefined) meters.set(phase, (meter = new RateMeter(nowMs)));
  return meter;
}
