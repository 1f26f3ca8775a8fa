import type { OriginId } from '../../../src/crdt/dot.ts';
import { headOf, missingRanges, noSeqs, unionRanges, type SeqRanges } from '../../../src/crdt/seq-ranges.ts';
import { isReplicated } from '../../../src/state/kinds.ts';
import type { Row } from '../../../src/state/store.ts';
import { byKey, type RegisterOperation } from '../../support/history/history.ts';
import { checkLinearizable } from '../../support/history/linearizability.ts';
import { lockModel, registerModel } from '../../support/history/models.ts';
import {
  checkMonotonicReads,
  checkNothingLost,
  checkReadYourWrites,
} from '../../support/history/session-guarantees.ts';
import { look } from './clients.ts';
import type { Fleet } from './fleet.ts';
import type { SimGateway } from './gateway.ts';
import { registerName, rowText, type Accepted } from './ledger.ts';
import { lentProblems, RelayLaw } from './lent-verdict.ts';

/** Why the replicas are not equal yet; undefined once they are, and nothing is missing anywhere. */
export function difference(fleet: Fleet): string | undefined {
  const [first, ...others] = fleet.up;
  if (first === undefined) return 'nobody is up';
  const cluster = first.machine?.cluster;
  const expected = liveRegisters(first);
  for (const gateway of others) {
    if (gateway.machine?.cluster !== cluster) return `${gateway.name} is in another cluster`;
    const different = firstDifference(expected, liveRegisters(gateway));
    if (different !== undefined) return `${first.name} and ${gateway.name} differ: ${different}`;
  }
  return missing(fleet);
}

/** Dots that somebody has and somebody else has not, and those that nobody has although there are later ones. */
function missing(fleet: Fleet): string | undefined {
  const origins = new Map<OriginId, string>();
  for (const { machine } of fleet.up) {
    for (const { origin, nodeId } of machine?.replica.origins() ?? []) origins.set(origin, nodeId);
  }
  for (const [origin, nodeId] of origins) {
    let all: SeqRanges = noSeqs;
    for (const gateway of fleet.up) all = unionRanges(all, seenBy(gateway, origin));
    for (const gateway of fleet.up) {
      const lacking = missingRanges(all, seenBy(gateway, origin));
      if (lacking.length > 0) return `${gateway.name} lacks ${rangesOf(lacking)} of ${origin.slice(0, 8)}`;
    }
    // What only a gateway had that was restored since is gone.
    const holes = missingRanges([{ from: 1, to: headOf(all) }], all);
    if (headOf(all) > 0 && holes.length > 0 && !fleet.observer.wasRestored(nodeId)) {
      return `nobody has ${rangesOf(holes)} of ${origin.slice(0, 8)}`;
    }
  }
  return undefined;
}

function seenBy({ machine }: SimGateway, origin: OriginId): SeqRanges {
  return machine?.replica.originLog(origin)?.seen ?? noSeqs;
}

function rangesOf(ranges: SeqRanges): string {
  return ranges.map(({ from, to }) => `${from}-${to}`).join(' ');
}

function liveRegisters(gateway: SimGateway): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  for (const kind of gateway.store.kinds()) {
    if (!isReplicated(kind)) continue;
    for (const row of gateway.store.range(kind, '', undefined)) {
      if (row.value !== null) rows.set(registerName(row), row);
    }
  }
  return rows;
}

function firstDifference(a: ReadonlyMap<string, Row>, b: ReadonlyMap<string, Row>): string | undefined {
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const [x, y] = [a.get(name), b.get(name)];
    if (x === undefined || y === undefined || !sameVersionAndBytes(x, y)) {
      return `${x === undefined ? 'nothing' : rowText(x)} against ${y === undefined ? 'nothing' : rowText(y)}`;
    }
  }
  return undefined;
}

function sameVersionAndBytes(a: Row, b: Row): boolean {
  if (a.term !== b.term || a.timeline !== b.timeline || a.stamp !== b.stamp) return false;
  return a.value === null || b.value === null ? a.value === b.value : Buffer.compare(a.value, b.value) === 0;
}

/** What can be said once everything has come to rest: all problems of the run, those of the observer included. */
export function verdict(fleet: Fleet): readonly string[] {
  const problems = [...fleet.observer.problems];
  const different = difference(fleet);
  if (different !== undefined)
    problems.push(`not equal ${fleet.plan.settleMs} ms after healing: ${different}`);
  problems.push(...foldProblems(fleet), ...lentProblems(fleet));
  problems.push(...historyProblems(fleet), ...lockProblems(fleet));
  return problems;
}

/** Dots that a takeover fenced: somebody has them in the table of conflicts. */
function conflicts(fleet: Fleet): ReadonlySet<string> {
  const law = new RelayLaw(fleet);
  const names = new Set<string>();
  for (const gateway of fleet.up) {
    for (const { origin, seq, kind, key, term } of gateway.store.setAside('conflicts', 0, Infinity)) {
      // Of relays it is known otherwise which of them count.
      if (law.isOver({ origin, seq, row: { kind, key, term } })) continue;
      names.add(`${origin} ${seq} ${registerName({ kind, key })}`);
    }
  }
  return names;
}

/** The state is what all accepted writes come to, by another calculation. */
function foldProblems(fleet: Fleet): readonly string[] {
  const problems: string[] = [];
  const fenced = conflicts(fleet);
  const law = new RelayLaw(fleet);
  const isFenced = (each: Accepted): boolean =>
    law.isOver(each) || fenced.has(`${each.origin} ${each.seq} ${registerName(each.row)}`);
  const { takenOver, restored } = fleet.excuses;
  if (fenced.size > 0 && takenOver.size === 0 && restored.size === 0)
    problems.push(`conflicts without a takeover: ${[...fenced].slice(0, 3).join(', ')}`);
  const all = fleet.ledger.fold((each) => !isFenced(each));
  const certain = fleet.ledger.fold((each) => !isFenced(each) && !each.perhapsLost);
  const perhaps = new Map<string, Row[]>();
  for (const each of fleet.ledger.accepted) {
    if (!each.perhapsLost) continue;
    const name = registerName(each.row);
    perhaps.set(name, [...(perhaps.get(name) ?? []), each.row]);
  }
  const [gateway] = fleet.up;
  if (gateway === undefined) return problems;
  const live = liveRegisters(gateway);
  for (const name of new Set([...all.keys(), ...live.keys()])) {
    const held = live.get(name);
    const expected = [all.get(name), certain.get(name), ...(perhaps.get(name) ?? [])].map((row) =>
      row?.value ? row : undefined,
    );
    const fits = expected.some((row) =>
      row === undefined || held === undefined ? row === held : sameVersionAndBytes(row, held),
    );
    if (!fits) {
      const [wanted] = expected;
      problems.push(
        `${name} is ${held === undefined ? 'not there' : rowText(held)}, all accepted writes come to ${wanted === undefined ? 'nothing' : rowText(wanted)}`,
      );
    }
  }
  return problems.slice(0, 5);
}

/** Of the beginnings of keys that the plan knows, the one that is this key's. */
function beginningOf(key: string): string {
  return /^(?:zone|lent)-\d+\//.exec(key)?.[0] ?? '';
}

function historyProblems(fleet: Fleet): readonly string[] {
  const { clients, excuses, observer } = fleet;
  const operations = clients.registers.operations();
  const localReads = clients.localReads.operations();
  const problems: string[] = [];
  const isExcused = (key: string): boolean =>
    excuses.takenOver.has(beginningOf(key)) || excuses.restored.has(beginningOf(key));
  for (const [key, history] of byKey(operations)) {
    if (isExcused(key)) continue;
    const result = checkLinearizable(registerModel, history);
    if (result.kind === 'violated') problems.push(`${key} is not linearizable: ${result.explanation}`);
    if (result.kind === 'unknown')
      problems.push(`${key}: linearizability not decided in ${result.steps} steps`);
  }
  const certain = localReads.filter(({ key }) => !isExcused(key));
  const writes = operations.filter(({ key }) => !isExcused(key));
  const lifeOf = (gateway: string, at: number): number => observer.lifeAt(gateway, at);
  problems.push(...checkMonotonicReads({ localReads: certain, writes, lifeOf }).slice(0, 3));
  problems.push(...checkReadYourWrites({ localReads: certain, writes, lifeOf }).slice(0, 3));
  const [gateway] = fleet.up;
  if (gateway !== undefined) {
    const isWrite = ({ call }: RegisterOperation): boolean => call.kind !== 'read';
    problems.push(...checkNothingLost(writes.filter(isWrite), (key) => look(gateway, key).value).slice(0, 3));
  }
  return problems;
}

function lockProblems(fleet: Fleet): readonly string[] {
  const problems: string[] = [];
  const { takenOver, restored } = fleet.excuses;
  for (const [key, history] of byKey(fleet.clients.locks.operations())) {
    if (takenOver.has(beginningOf(key)) || restored.has(beginningOf(key))) continue;
    const result = checkLinearizable(lockModel, history);
    if (result.kind === 'violated') problems.push(`lock ${key}: ${result.explanation}`);
    if (result.kind === 'unknown') problems.push(`lock ${key}: not decided in ${result.steps} steps`);
  }
  return problems;
}
