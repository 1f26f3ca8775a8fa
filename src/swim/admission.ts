import { isLive, nameKey, type Member } from './member.ts';
import type { SwimProfile } from './profile.ts';
import type { Roster } from './roster.ts';

/** Whether a member that is not known here may become known, `ageMs` after it went if it is gone. */
export function admission(
  roster: Roster,
  profile: SwimProfile,
  member: Member,
  ageMs: number,
): 'welcome' | 'not-worth' | 'full' {
  if (!isLive(member)) {
    // Who is about to be forgotten, or whose name another has, is not worth to be learned of.
    const { reconnectTimeoutMs, tombstoneMs } = profile;
    if (ageMs >= (member.state === 'left' ? tombstoneMs : reconnectTimeoutMs)) return 'not-worth';
    const holder = roster.byName(nameKey(member.facts));
    if (holder !== undefined && isLive(holder)) return 'not-worth';
  }
  return roster.size < profile.membersMax ? 'welcome' : 'full';
}
