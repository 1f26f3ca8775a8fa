import { must } from '../kernel/assert.ts';
import type { SwimCore } from './core.ts';

const reapMs = 60_000;
/** How many rounds go by before those that are gone are written again, so that a restart does not make them young. */
const roundsPerRefresh = 60;

/** Has those forgotten who are gone for long enough. */
export function startReaping(core: SwimCore): void {
  let rounds = 0;
  const round = (): void => {
    rounds += 1;
    reap(core, rounds % roundsPerRefresh === 0);
    core.timers.at(core.nowMs + reapMs, round);
  };
  core.timers.at(core.nowMs + reapMs, round);
}

function reap(core: SwimCore, refresh: boolean): void {
  const { roster, nowMs } = core;
  const { reconnectTimeoutMs, tombstoneMs } = core.profile;
  for (const [id, sinceMs] of [...roster.gone()]) {
    if (id === core.selfId) continue;
    const member = must(roster.get(id));
    if (nowMs - sinceMs >= (member.state === 'left' ? tombstoneMs : reconnectTimeoutMs)) core.forget(member);
    else if (refresh) core.soil(id);
  }
  for (const [id, { sinceMs }] of [...roster.pruned()]) {
    if (nowMs - sinceMs >= tombstoneMs) roster.unprune(id);
  }
}
