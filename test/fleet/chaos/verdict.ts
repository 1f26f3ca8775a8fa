import type { ConflictRow } from '../../../compat/fleet/shapes.ts';
import type { FleetProcess } from '../../support/fleet-process.ts';
import { byKey, type RegisterOperation } from '../../support/history/history.ts';
import { checkLinearizable } from '../../support/history/linearizability.ts';
import { lockModel, registerModel } from '../../support/history/models.ts';
import {
  checkMonotonicReads,
  checkNothingLost,
  checkReadYourWrites,
} from '../../support/history/session-guarantees.ts';
import { counterProblems } from '../equal.ts';
import type { Clients } from './clients.ts';

/** Everything that is wrong at the end, when all is healed and equal. */
export async function verdict(fleet: FleetProcess, clients: Clients): Promise<readonly string[]> {
  addSuspicions(fleet, clients);
  const [gateway] = fleet.gateways;
  const entries = (await gateway?.keys('')) ?? new Map<string, never>();
  const valueOf = (key: string): string | null => entries.get(key)?.value ?? null;
  return [
    ...clients.problems,
    ...(await counterProblems(fleet.gateways)),
    ...onceProblems(clients, valueOf, await conflicts(fleet)),
    ...countProblems(clients, valueOf),
    ...historyProblems(clients, valueOf),
    ...lockProblems(clients),
  ];
}

/** A member that anybody held for failed may have lost its locks. The gateways' logs say when that was. */
function addSuspicions(fleet: FleetProcess, clients: Clients): void {
  for (const { agent } of fleet.gateways) {
    for (const [, at, member] of agent.output().matchAll(/^(\S+) .*member failed: pool=lan member=(\S+)/gm)) {
      // The line is written after the decision.
      const atMs = Date.parse(at ?? '') - performance.timeOrigin - 1000;
      clients.suspected(member ?? '', atMs);
    }
  }
}

/** Keys that takeovers set aside, with their values: what somebody lists is not lost. */
async function conflicts(fleet: FleetProcess): Promise<ReadonlySet<string>> {
  const all = new Set<string>();
  for (const gateway of fleet.gateways) {
    const answer = await gateway.get('/v1/grapevine/zones/conflicts?export');
    for (const line of answer.text.split('\n').filter((each) => each !== '')) {
      const { Key, Value } = JSON.parse(line) as ConflictRow;
      all.add(`${Key} ${Buffer.from(Value ?? '', 'base64').toString()}`);
    }
  }
  return all;
}

function onceProblems(
  { once }: Clients,
  valueOf: (key: string) => string | null,
  setAside: ReadonlySet<string>,
): readonly string[] {
  const lost = [...once].filter(([key, value]) => valueOf(key) !== value && !setAside.has(`${key} ${value}`));
  const keys = lost.slice(0, 5).map(([key]) => `${key} (${valueOf(key) ?? 'nothing'})`);
  return lost.length === 0
    ? []
    : [`${lost.length} of ${once.size} acknowledged writes are lost: ${keys.join(', ')}`];
}

function countProblems({ counters }: Clients, valueOf: (key: string) => string | null): readonly string[] {
  return [...counters].flatMap(([prefix, { highest, tried }]) => {
    const found = Number(valueOf(`${prefix}counter`) ?? 0);
    if (found >= highest && found <= tried) return [];
    return [`${prefix}counter is ${found}, acknowledged ${highest}, tried ${tried}`];
  });
}

function historyProblems(clients: Clients, valueOf: (key: string) => string | null): readonly string[] {
  const operations = clients.registers.operations();
  const localReads = clients.localReads.operations();
  const problems: string[] = [];
  for (const [key, history] of byKey(operations)) {
    const result = checkLinearizable(registerModel, history);
    if (result.kind === 'violated') problems.push(`${key} is not linearizable: ${result.explanation}`);
    if (result.kind === 'unknown') problems.push(`${key}: not decided in ${result.steps} steps`);
  }
  const isWrite = ({ call }: RegisterOperation): boolean => call.kind !== 'read';
  const writes = operations.filter(isWrite);
  problems.push(...checkMonotonicReads({ localReads, writes }).slice(0, 5));
  problems.push(...checkReadYourWrites({ localReads, writes }).slice(0, 5));
  problems.push(...checkNothingLost(writes, valueOf).slice(0, 5));
  return problems;
}

function lockProblems(clients: Clients): readonly string[] {
  const problems: string[] = [];
  for (const [key, history] of byKey(clients.locks.operations())) {
    const result = checkLinearizable(lockModel, history);
    if (result.kind === 'violated') problems.push(`lock ${key}: ${result.explanation}`);
    if (result.kind === 'unknown') problems.push(`lock ${key}: not decided in ${result.steps} steps`);
  }
  return problems;
}
