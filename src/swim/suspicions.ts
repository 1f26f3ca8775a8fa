import { confirmSuspicion, raiseSuspicion, suspicionEndsMs, type Suspicion } from './suspicion.ts';
import type { SwimProfile } from './profile.ts';
import type { Timer, Timers } from './timers.ts';

interface Suspect {
  readonly suspicion: Suspicion;
  timer: Timer;
}

/** An operator said to force it out, should it turn out to have failed. */
interface Intent {
  readonly incarnation: number;
  readonly prune: boolean;
}

/** Who is suspect, and until when. */
export class Suspicions {
  readonly #profile: SwimProfile;
  readonly #timers: Timers;
  readonly #suspects = new Map<string, Suspect>();
  readonly #intents = new Map<string, Intent>();
  /** Nobody refuted in time. */
  readonly #ended: (id: string) => void;

  constructor(profile: SwimProfile, timers: Timers, ended: (id: string) => void) {
    this.#profile = profile;
    this.#timers = timers;
    this.#ended = ended;
  }

  has(id: string): boolean {
    return this.#suspects.has(id);
  }

  raise(id: string, incarnation: number, members: number, accuser: string, nowMs: number): void {
    const suspicion = raiseSuspicion(this.#profile, members, incarnation, accuser, nowMs);
    const suspect: Suspect = { suspicion, timer: { atMs: 0, run: null } };
    this.#suspects.set(id, suspect);
    this.#arm(id, suspect, nowMs);
  }

  /** Whether that was news, which is spread on. */
  confirm(id: string, accuser: string, nowMs: number): boolean {
    const suspect = this.#suspects.get(id);
    if (suspect === undefined || !confirmSuspicion(suspect.suspicion, accuser)) return false;
    this.#arm(id, suspect, nowMs);
    return true;
  }

  drop(id: string): void {
    const suspect = this.#suspects.get(id);
    if (suspect === undefined) return;
    suspect.timer.run = null;
    this.#suspects.delete(id);
  }

  intend(id: string, intent: Intent): void {
    this.#intents.set(id, intent);
  }

  /** What an operator said of it while it was suspect, if that is over. */
  takeIntent(id: string): Intent | undefined {
    const intent = this.#intents.get(id);
    if (intent !== undefined) this.#intents.delete(id);
    return intent;
  }

  #arm(id: string, suspect: Suspect, nowMs: number): void {
    suspect.timer.run = null;
    // A confirmation may find it over already.
    const atMs = Math.max(nowMs, suspicionEndsMs(suspect.suspicion));
    suspect.timer = this.#timers.at(atMs, () => {
      if (this.#suspects.get(id) === suspect) this.#ended(id);
    });
  }
}
