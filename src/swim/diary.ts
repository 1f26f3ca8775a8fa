import type { SwimEffect } from './effects.ts';
import type { Member, PersistedMember } from './member.ts';
import type { Roster } from './roster.ts';
import type { Timer, Timers } from './timers.ts';

const persistMs = 2000;

/**
 * What of the members is to be written to disk: changes only, a few seconds' worth at a time. But whoever knows nobody
 * yet keeps the first ones at once: killed a moment later it would look for nobody, and take itself for alone.
 */
export class Diary {
  readonly #roster: Roster;
  readonly #timers: Timers;
  #dirty = new Set<string>();
  #timer: Timer | null = null;
  readonly #selfId: string;
  #knowsOthers: boolean;
  /** Asked for when the time has come. */
  onDue: () => void = () => {};

  constructor(roster: Roster, timers: Timers, selfId: string, knowsOthers: boolean) {
    this.#roster = roster;
    this.#timers = timers;
    this.#selfId = selfId;
    this.#knowsOthers = knowsOthers;
  }

  soil(id: string, nowMs: number): void {
    this.#dirty.add(id);
    if (!this.#knowsOthers && id !== this.#selfId) {
      this.#knowsOthers = true;
      if (this.#timer !== null) this.#timer.run = null;
      this.#timer = this.#timers.at(nowMs, () => this.onDue());
      return;
    }
    this.#timer ??= this.#timers.at(nowMs + persistMs, () => this.onDue());
  }

  flush(self: Member, nowMs: number): Extract<SwimEffect, { kind: 'persist' }> {
    if (this.#timer !== null) this.#timer.run = null;
    this.#timer = null;
    const put: PersistedMember[] = [];
    const remove: string[] = [];
    for (const id of this.#dirty) {
      const member = this.#roster.get(id);
      const goneSinceMs = this.#roster.goneSinceMs(id);
      if (member === undefined) remove.push(id);
      else
        put.push(
          goneSinceMs === undefined
            ? member
            : { ...member, goneForMs: Math.max(0, Math.round(nowMs - goneSinceMs)) },
        );
    }
    this.#dirty = new Set();
    return { kind: 'persist', incarnation: self.incarnation, put, remove };
  }
}
