import type { PersistMembers } from '../node/machine-port.ts';
import type { Store } from '../state/store.ts';
import { memberFacts, type MemberState, type PersistedMember } from '../swim/member.ts';
import { fromBytes, list, MalformedError, oneOf, struct, toBytes, uint } from '../wire/schema.ts';

// The members of the last run, in the database: whom a gateway looks for when it starts, and under which incarnation
// it was known itself. Losing it costs nothing but the addresses.

interface Kept {
  readonly incarnation: number;
  readonly members: readonly PersistedMember[];
}

type Stored = Required<PersistedMember>;

const membersMax = 20_000;
const incarnation = uint(2 ** 48);
const stored = struct<{ incarnation: number; members: readonly Stored[] }>({
  incarnation,
  members: list(
    struct<Stored>({
      facts: memberFacts,
      state: oneOf<MemberState>('alive', 'suspect', 'failed', 'left'),
      incarnation,
      factsIncarnation: incarnation,
      goneForMs: uint(2 ** 42),
    }),
    membersMax,
  ),
});

const metaName = 'members';

/** Of a gateway that left on purpose the others are not looked for, unless the operator wants it (`rejoin_after_leave`). */
export function loadMembers(store: Store, rejoinAfterLeave: boolean): Kept {
  const text = store.getMeta(metaName);
  if (text === undefined) return { incarnation: 0, members: [] };
  try {
    const kept = fromBytes(stored, Buffer.from(text, 'base64'), metaName);
    const hasLeft = store.getMeta('left') === '1' && !rejoinAfterLeave;
    return { incarnation: kept.incarnation, members: hasLeft ? [] : kept.members.map(asKept) };
  } catch (error) {
    // Of a newer version, say: what it held is to be had from any member.
    if (error instanceof MalformedError) return { incarnation: 0, members: [] };
    throw error;
  }
}

/** Whole milliseconds; one that just went is gone all the same. */
function asStored(member: PersistedMember): Stored {
  const { goneForMs } = member;
  return { ...member, goneForMs: goneForMs === undefined ? 0 : Math.max(1, Math.round(goneForMs)) };
}

/** 0 ms ago is said of those that live. */
function asKept({ goneForMs, ...member }: Stored): PersistedMember {
  return goneForMs === 0 ? member : { ...member, goneForMs };
}

/** Notes whether this gateway went on purpose; inside a transaction. */
export function rememberLeaving(store: Store, left: boolean): void {
  store.setMeta('left', left ? '1' : '0');
}

/** Keeps members as the machine tells; to be called inside a transaction. */
export function memberKeeper(store: Store, kept: Kept): (members: PersistMembers) => void {
  const byId = new Map(kept.members.map((member) => [member.facts.id, member]));
  return ({ incarnation: own, put, remove }) => {
    for (const member of put) byId.set(member.facts.id, member);
    for (const id of remove) byId.delete(id);
    const members = [...byId.values()].map(asStored);
    store.setMeta(metaName, Buffer.from(toBytes(stored, { incarnation: own, members })).toString('base64'));
  };
}
