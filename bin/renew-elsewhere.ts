import { packRenewal, unpackRenewal } from '../compat/fleet/gossip-services.ts';
import { getSession } from '../src/state/sessions.ts';
import type { ReadView } from '../src/state/store.ts';
import type { Fleet } from './open-fleet.ts';

/** How long the gateway that made a session gets to say that it renewed it. */
const waitMsMax = 7000;

/** The session's clock runs where it was made: a client may renew it anywhere. */
export function renewElsewhere(fleet: Fleet, view: ReadView, id: string): boolean | Promise<boolean> {
  const row = getSession(view, id);
  const writer = row === undefined ? undefined : fleet.port.writer(row.origin);
  if (writer === undefined || writer.nodeId === fleet.machine.nodeId) return false;
  return renew(fleet, writer.nodeId, id);
}

async function renew(fleet: Fleet, nodeId: string, id: string): Promise<boolean> {
  const result = await fleet.port.call(nodeId, 'session', packRenewal(id), waitMsMax);
  if (!result.ok) throw new Error(`the gateway that made the session could not renew it: ${result.error}`);
  return unpackRenewal(result.body);
}
