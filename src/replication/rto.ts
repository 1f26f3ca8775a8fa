/** What is known of the way to one peer, from what was sent there. Made on first use; most pairs never talk. */
export interface Link {
  /** Undefined until measured. */
  estimate: Estimate | undefined;
  /** Sent and not acknowledged yet. */
  unackedBytes: number;
  /** Losses since the last acknowledgement. */
  failures: number;
  /** Until when somebody else is preferred. */
  avoidedUntilMs: number;
}

/** Smoothed round trip and its variation (RFC 6298). */
interface Estimate {
  srttMs: number;
  varMs: number;
}

/** Whom a round trip is asked of, and what membership makes of it where nothing was measured. */
interface Distant {
  readonly id: string;
  readonly region: string;
  readonly rttMs: number;
}

/** Slack on top of a measured round trip: covers the receiver's commit and its collecting of acknowledgements. */
const slackMsMin = 15;
/** On top of that of a region: its members are not all equally far. */
const regionSlackMsMin = 25;
const unmeasuredSlackMs = 30;
const rtoMsMax = 4000;

/** Two losses in a row: for so long a standby is preferred, until membership says more. */
const avoidMs = 3000;
const failuresUntilAvoided = 2;

/**
 * Round trips per peer, smoothed as TCP does, with a smaller floor: what is lost inside a datacenter should be repaired
 * within milliseconds, and a needless copy costs little. Most peers are first met when something is to be sent to them:
 * then what was measured to their region stands in.
 */
export class Links {
  readonly #links = new Map<string, Link>();
  readonly #regions = new Map<string, Estimate>();

  get(id: string): Link | undefined {
    return this.#links.get(id);
  }

  open(id: string): Link {
    let link = this.#links.get(id);
    if (link === undefined) {
      link = { estimate: undefined, unackedBytes: 0, failures: 0, avoidedUntilMs: 0 };
      this.#links.set(id, link);
    }
    return link;
  }

  forget(id: string): void {
    this.#links.delete(id);
  }

  /** A round trip of something that was sent once (Karn's rule). */
  measured(link: Link, region: string | undefined, rttMs: number): void {
    link.estimate = smoothed(link.estimate, rttMs);
    if (region !== undefined) this.heard(region, rttMs);
  }

  /** A round trip to somebody of that region. */
  heard(region: string, rttMs: number): void {
    this.#regions.set(region, smoothed(this.#regions.get(region), rttMs));
  }

  acknowledged(link: Link): void {
    link.failures = 0;
    link.avoidedUntilMs = 0;
  }

  failed(link: Link, nowMs: number): void {
    link.failures += 1;
    if (link.failures >= failuresUntilAvoided) link.avoidedUntilMs = nowMs + avoidMs;
  }

  /** The best guess of a round trip. */
  roundTripMs({ id, region, rttMs }: Distant): number {
    return (this.#links.get(id)?.estimate ?? this.#regions.get(region))?.srttMs ?? rttMs;
  }

  /** How long to wait for an answer, of the first try. */
  rtoMs({ id, region, rttMs }: Distant): number {
    const own = this.#links.get(id)?.estimate;
    if (own !== undefined) return waitMs(own, slackMsMin);
    const near = this.#regions.get(region);
    if (near !== undefined) return waitMs(near, regionSlackMsMin);
    return Math.min(rtoMsMax, rttMs * 1.15 + unmeasuredSlackMs);
  }
}

function waitMs({ srttMs, varMs }: Estimate, slackMs: number): number {
  return Math.min(rtoMsMax, srttMs + Math.max(4 * varMs, slackMs));
}

function smoothed(held: Estimate | undefined, rttMs: number): Estimate {
  // Far less than TCP begins with: a copy too many costs less than a region that waits for a third trip.
  if (held === undefined) return { srttMs: rttMs, varMs: rttMs / 20 };
  held.varMs += (Math.abs(rttMs - held.srttMs) - held.varMs) / 4;
  held.srttMs += (rttMs - held.srttMs) / 8;
  return held;
}
