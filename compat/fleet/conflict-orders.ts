import { compareVersions } from '../../src/crdt/version.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import { conflictById, replayOf } from '../../src/state/conflicts.ts';
import type { ReadView, SetAside } from '../../src/state/store.ts';
import { notOwnedText } from '../wire/refusal.ts';
import type { FleetOutcome, ReplayResult } from './port.ts';

export interface ConflictOrders {
  readonly view: Pick<ReadView, 'setAside'>;
  readonly propose: (command: Command, done: (outcome: CommandOutcome) => void) => void;
}

/** Conflicts that one order looks at, at most: their keys and values are held at once. */
const conflictsMax = 10_000;

/** Keys that are worked on at a time: their owners may be far away. Guess. */
const keysAtOnce = 64;

/**
 * Writes conflicts again, as new writes: here where this gateway owns their zone, else through its owner. Those of one
 * key in the order in which they were written. All that were not yet, where no id is given.
 */
export function replayConflicts(
  orders: ConflictOrders,
  ids: readonly string[] | undefined,
): Promise<readonly ReplayResult[]> {
  return ofEach(
    orders,
    ids,
    ({ replayed }) => !replayed,
    (conflict) => replay(orders, conflict),
  );
}

/** Takes conflicts off this gateway's list for good: those given, or all that were replayed. */
export function dropConflicts(
  orders: ConflictOrders,
  ids: readonly string[] | undefined,
): Promise<readonly ReplayResult[]> {
  return ofEach(
    orders,
    ids,
    ({ replayed }) => replayed,
    async ({ id }) => outcomeOf(await proposed(orders, { kind: 'conflict-drop', id })),
  );
}

async function replay(orders: ConflictOrders, conflict: SetAside): Promise<FleetOutcome> {
  const own = await proposed(orders, { kind: 'conflict-replay', id: conflict.id });
  if (own.kind !== 'not-owned') return outcomeOf(own);
  const write = replayOf(conflict);
  if (write === undefined) return outcomeOf(own);
  const handed = outcomeOf(await proposed(orders, write));
  if (handed.kind === 'refused') return handed;
  return outcomeOf(await proposed(orders, { kind: 'conflict-mark', id: conflict.id }));
}

async function ofEach(
  { view }: ConflictOrders,
  ids: readonly string[] | undefined,
  byDefault: (conflict: SetAside) => boolean,
  work: (conflict: SetAside) => Promise<FleetOutcome>,
): Promise<readonly ReplayResult[]> {
  const results = new Map<string, ReplayResult>();
  const byKey = new Map<string, SetAside[]>();
  const wanted =
    ids === undefined ? view.setAside('conflicts', 0, conflictsMax).filter(byDefault) : named(view, ids);
  for (const conflict of wanted) {
    const key = `${conflict.kind} ${conflict.key}`;
    const held = byKey.get(key);
    if (held === undefined) byKey.set(key, [conflict]);
    else held.push(conflict);
  }
  // They came as the log did, which may be newest first: what was written last is to stand.
  const waiting = [...byKey.values()].map((conflicts) =>
    conflicts.toSorted((a, b) => compareVersions(a, b) || a.seq - b.seq),
  );
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      for (const conflict of next) {
        const id = String(conflict.id);
        results.set(id, { id, key: conflict.key, outcome: await work(conflict) });
      }
    }
  };
  await Promise.all(Array.from({ length: keysAtOnce }, worker));
  const order = ids ?? wanted.map(({ id }) => String(id));
  return order.map((id) => results.get(id) ?? { id, key: '', outcome: unknownConflict });
}

const unknownConflict: FleetOutcome = {
  kind: 'refused',
  status: 404,
  message: 'there is no such conflict here',
};

function named(view: ConflictOrders['view'], ids: readonly string[]): readonly SetAside[] {
  const numbers = [...new Set(ids)].filter((id) => /^\d{1,15}$/.test(id)).map(Number);
  return numbers
    .toSorted((a, b) => a - b)
    .map((id) => conflictById(view, id))
    .filter((conflict) => conflict !== undefined);
}

function proposed({ propose }: ConflictOrders, command: Command): Promise<CommandOutcome> {
  return new Promise((resolve) => {
    propose(command, resolve);
  });
}

function outcomeOf(outcome: CommandOutcome): FleetOutcome {
  switch (outcome.kind) {
    case 'refused':
      return outcome;
    case 'not-owned':
      return { kind: 'refused', status: 500, message: notOwnedText(outcome) };
    case 'conflict':
      return outcome.found ? { kind: 'done' } : unknownConflict;
    default:
      return { kind: 'done' };
  }
}
