import type { MemberFacts, PersistedMember } from './member.ts';
import type { SwimProfile } from './profile.ts';

export interface SwimSetup {
  readonly self: MemberFacts;
  /** The last incarnation that was persisted, 0 for a new member: it starts above it. */
  readonly incarnation: number;
  /** The others, as persisted; of a gateway that left on purpose, none. */
  readonly known: readonly PersistedMember[];
  /** Empty for a gateway that belongs to none yet: it takes the one of whom it joins first. */
  readonly cluster: string;
  readonly profile: SwimProfile;
  readonly random: () => number;
  readonly nowMs: number;
  /** Why a member is not let into this pool (a LAN pool's other datacenters); undefined: it is. */
  readonly refuses?: (facts: MemberFacts) => string | undefined;
}
