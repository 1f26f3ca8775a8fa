import type { CallResult } from '../../src/node/calls.ts';
import type { MemberFacts } from '../../src/swim/member.ts';
import { packOrder, unpackKeyring } from './gossip-services.ts';
import type { KeyringAnswer, KeyringOrder, KeyringReport, Pool } from './port.ts';

export interface KeyringOrders {
  readonly datacenter: string;
  /** Carries the order out here. */
  readonly own: (order: KeyringOrder) => KeyringAnswer;
  /** Those that live, without this gateway; undefined: there is no such pool. */
  readonly others: (pool: Pool) => readonly Pick<MemberFacts, 'id' | 'name' | 'datacenter'>[] | undefined;
  readonly call: (nodeId: string, body: Uint8Array, pool: Pool) => Promise<CallResult>;
}

/**
 * Gives an order for keyrings to every live gateway. One ring serves both pools, so the gateways of this datacenter
 * are asked once and stand in the reports of both, under their names there; those of other datacenters, which would be
 * shut out by a key that they do not know, are asked over the WAN pool.
 */
export async function runKeyring(
  orders: KeyringOrders,
  order: KeyringOrder,
): Promise<readonly KeyringReport[]> {
  const { datacenter, own, others } = orders;
  const wan = order.kind === 'list' && order.localOnly ? undefined : others('wan');
  const away = (wan ?? []).filter((member) => member.datacenter !== datacenter);
  const body = packOrder(order);
  const [answers, awayAnswers] = await Promise.all([
    Promise.all((others('lan') ?? []).map(({ id, name }) => asked(orders, id, name, body, 'lan'))),
    Promise.all(away.map(({ id, name }) => asked(orders, id, name, body, 'wan'))),
  ]);
  const lan = [own(order), ...answers];
  const reports: KeyringReport[] = [{ pool: 'lan', asked: lan.length, answers: lan }];
  if (wan !== undefined) {
    const inWan = lan.map((answer) => ({ ...answer, node: `${answer.node}.${datacenter}` }));
    const all = [...inWan, ...awayAnswers];
    reports.push({ pool: 'wan', asked: all.length, answers: all });
  }
  return reports;
}

async function asked(
  { call }: KeyringOrders,
  nodeId: string,
  node: string,
  body: Uint8Array,
  pool: Pool,
): Promise<KeyringAnswer> {
  const result = await call(nodeId, body, pool);
  if (!result.ok) return { node, ok: false, error: result.error };
  try {
    return { ...unpackKeyring(result.body), node };
  } catch {
    return { node, ok: false, error: 'its answer cannot be read' };
  }
}
