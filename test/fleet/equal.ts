import type { FleetGateway, FleetProcess, FleetStatus } from '../support/fleet-process.ts';

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

/** Whatever of it is not 0: nobody broke a rule, and nobody ever found that states differ. */
export async function counterProblems(gateways: readonly FleetGateway[]): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const gateway of gateways) {
    const { Conflicts, Quarantined, Divergence, Zones } = await gateway.status();
    const taken = Zones.some(({ Cause }) => Cause === 'taken-over');
    if (Conflicts > 0 && !taken) problems.push(`${gateway.name} keeps ${Conflicts} conflicts`);
    if (Quarantined > 0) problems.push(`${gateway.name} keeps ${Quarantined} quarantined records`);
    if (Divergence.Found > 0) problems.push(`${gateway.name} found ${Divergence.Found} divergences`);
  }
  return problems;
}

/** Waits until all gateways hold the same and miss nothing. */
export async function untilEqual(fleet: FleetProcess): Promise<void> {
  await fleet.untilTogether();
  await fleet.until('all gateways are equal', async () => {
    const different = await difference(fleet.gateways);
    if (different !== undefined) throw new Error(different);
    return true;
  });
}
