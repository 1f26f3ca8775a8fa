import type { FleetGateway, FleetProcess, FleetStatus } from '../../support/fleet-process.ts';
import { byKey, type RegisterOperation } from '../../support/history/history.ts';
import { checkLinearizable } from '../../support/history/linearizability.ts';
import { lockModel, registerModel } from '../../support/history/models.ts';
import {
  checkMonotonicReads,
  checkNothingLost,
  checkReadYourWrites,
} from '../../support/history/session-guarantees.ts';
import type { Clients } from './clients.ts';

/** All that a client can read of one gateway, but for indexes, which belong to each gateway alone. */
async function dump(gateway: FleetGateway): Promise<ReadonlyMap<string, string>> {
  const rows = new Map<string, string>();
  const add = (name: string, row: Record<string, unknown>): void => {
    const { CreateIndex, ModifyIndex, ...rest } = row;
    void CreateIndex;
    void ModifyIndex;
    rows.set(name, JSON.stringify(rest));
  };
  const kv = await gateway.get('/v1/kv/?recurse');
  for (const row of kv.status === 404 ? [] : (JSON.parse(kv.text) as Record<string, unknown>[])) {
    add(`key ${String(row['Key'])}`, row);
  }
  for (const [path, nameOf] of dumped) {
    for (const row of await gateway.json<Record<string, unknown>[]>(path)) add(`${path} ${nameOf(row)}`, row);
  }
  for (const service of Object.keys(await gateway.json<object>('/v1/catalog/services'))) {
    for (const row of await gateway.json<Record<string, unknown>[]>(`/v1/catalog/service/${service}`)) {
      add(`service ${service} ${String(row['Node'])} ${String(row['ServiceID'])}`, row);
    }
  }
  return rows;
}

const dumped: readonly (readonly [string, (row: Record<string, unknown>) => string])[] = [
  ['/v1/catalog/nodes', (row) => String(row['Node'])],
  ['/v1/health/state/any', (row) => `${String(row['Node'])} ${String(row['CheckID'])}`],
  ['/v1/session/list', (row) => String(row['ID'])],
];

/** Why the gateways are not equal yet; undefined once they are, and nothing is missing anywhere. */
export async function difference(gateways: readonly FleetGateway[]): Promise<string | undefined> {
  const [first, ...others] = await Promise.all(
    gateways.map(async (gateway) => ({ name: gateway.name, rows: await dump(gateway) })),
  );
  if (first === undefined) return undefined;
  for (const { name, rows } of others) {
    for (const key of new Set([...first.rows.keys(), ...rows.keys()])) {
      const [a, b] = [first.rows.get(key), rows.get(key)];
      if (a !== b) return `${key} is ${a ?? 'missing'} at ${first.name}, ${b ?? 'missing'} at ${name}`;
    }
  }
  return gaps(await Promise.all(gateways.map(async (each) => [each.name, await each.status()] as const)));
}

/** What somebody has of a log and somebody else has not. */
function gaps(statuses: readonly (readonly [string, FleetStatus])[]): string | undefined {
  const heads = new Map<string, number>();
  for (const [, { Origins }] of statuses) {
    for (const { Origin, HeadKnown } of Origins) {
      heads.set(Origin, Math.max(heads.get(Origin) ?? 0, HeadKnown));
    }
  }
  for (const [name, { Origins }] of statuses) {
    for (const [origin, head] of heads) {
      const row = Origins.find(({ Origin }) => Origin === origin);
      if (row === undefined || row.Missing > 0 || row.Contiguous < head) {
        return `${name} has ${row?.Contiguous ?? 0} of ${head} of the log of ${row?.Node ?? origin}`;
      }
    }
  }
  return undefined;
}

/** What must be 0 in every run without a takeover. */
async function counterProblems(gateways: readonly FleetGateway[]): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const gateway of gateways) {
    const { Conflicts, Quarantined, Divergence } = await gateway.status();
    if (Conflicts > 0) problems.push(`${gateway.name} keeps ${Conflicts} conflicts`);
    if (Quarantined > 0) problems.push(`${gateway.name} keeps ${Quarantined} quarantined records`);
    if (Divergence.Found > 0) problems.push(`${gateway.name} found ${Divergence.Found} divergences`);
  }
  return problems;
}

/** Everything that is wrong at the end, when all is healed and equal. */
export async function verdict(fleet: FleetProcess, clients: Clients): Promise<readonly string[]> {
  addSuspicions(fleet, clients);
  const [gateway] = fleet.gateways;
  const entries = (await gateway?.keys('')) ?? new Map<string, never>();
  const valueOf = (key: string): string | null => entries.get(key)?.value ?? null;
  return [
    ...clients.problems,
    ...(await counterProblems(fleet.gateways)),
    ...onceProblems(clients, valueOf),
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

function onceProblems({ once }: Clients, valueOf: (key: string) => string | null): readonly string[] {
  const lost = [...once].filter(([key, value]) => valueOf(key) !== value).map(([key]) => key);
  return lost.length === 0
    ? []
    : [`${lost.length} of ${once.size} acknowledged writes are lost: ${lost.slice(0, 5).join(', ')}`];
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
