/** What is known of the way to one peer, from what was sent there. Made on first use; most pairs never talk. */
export interface Link {
  /** Undefined until measured. */
  srttMs: number | undefined;
  varMs: number;
  /** Sent and not acknowledged yet. */
  unackedBytes: number;
  /** Losses since the last acknowledgement. */
  failures: number;
  /** Until when somebody else is preferred. */
  avoidedUntilMs: number;
}

/** Slack on top of a measured round trip: covers the receiver's commit and its collecting of acknowledgements. */
const slackMsMin = 15;
const unmeasuredSlackMs = 30;
const rtoMsMax = 4000;

/** Two losses in a row: for so long a standby is preferred, until membership says more. */
const avoidMs = 3000;
const failuresUntilAvoided = 2;

/**
 * Round trips per peer, smoothed as TCP does (RFC 6298), with a smaller floor: what is lost inside a datacenter should
 * be repaired within milliseconds, and a needless copy costs little.
 */
export class Links {
  readonly #links = new Map<string, Link>();

  get(id: string): Link | undefined {
    return this.#links.get(id);
  }

  open(id: string): Link {
    let link = this.#links.get(id);
    if (link === undefined) {
      link = { srttMs: undefined, varMs: 0, unackedBytes: 0, failures: 0, avoidedUntilMs: 0 };
      this.#links.set(id, link);
    }
    return link;
  }

  forget(id: string): void {
    this.#links.delete(id);
  }

  /** A round trip of something that was sent once (Karn's rule). */
  measured(link: Link, rttMs: number): void {
    if (link.srttMs === undefined) {
      link.srttMs = rttMs;
      link.varMs = rttMs / 2;
      return;
    }
    link.varMs += (Math.abs(rttMs - link.srttMs) - link.varMs) / 4;
    link.srttMs += (rttMs - link.srttMs) / 8;
  }

  acknowledged(link: Link): void {
    link.failures = 0;
    link.avoidedUntilMs = 0;
  }

  failed(link: Link, nowMs: number): void {
    link.failures += 1;
    if (link.failures >= failuresUntilAvoided) link.avoidedUntilMs = nowMs + avoidMs;
  }

  /** How long to wait for an answer, of the first try; `hintMs` is what membership makes of the round trip. */
  rtoMs(link: Link | undefined, hintMs: number): number {
    if (link?.srttMs === undefined) return Math.min(rtoMsMax, hintMs * 1.15 + unmeasuredSlackMs);
    return Math.min(rtoMsMax, link.srttMs + Math.max(4 * link.varMs, slackMsMin));
  }
}
