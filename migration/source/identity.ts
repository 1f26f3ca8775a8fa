import { createHash } from 'node:crypto';
import { compareBytewise } from '../byte-order.ts';
import { ConnectionError } from './connection.ts';
import type { ConsulReader, SourceSelf } from './consul-reader.ts';

/**
 * The identity of a source cluster: its datacenter and the node ids of its servers, as they stand in the
 * catalog under the service `consul`. Chosen because it needs no operator rights, does not change with the
 * leader, with addresses or with a restart, and differs between two clusters of the same datacenter name.
 * It does change when a server is replaced: `--source-id` then carries the old identity on, and a target
 * that already mirrors another source makes the copy stop and say so instead of starting over unseen.
 */
export async function sourceIdentity(
  reader: Pick<ConsulReader, 'address' | 'servers'>,
  self: SourceSelf,
): Promise<string> {
  const servers = await reader.servers();
  const ids = servers.map((server) => (server.id === '' ? server.node : server.id)).toSorted(compareBytewise);
  if (ids.length === 0 && self.aclsEnabled) {
    const missing =
      'the token may not see the service consul (service:read, node:read), by which a cluster is told';
    throw new ConnectionError('denied', `${reader.address}: ${missing}: name it with --source-id`);
  }
  // A gateway that plays the source may list no servers.
  const parts = ids.length > 0 ? ids : [self.nodeName];
  const hash = createHash('sha256')
    .update(JSON.stringify([self.datacenter, ...parts]))
    .digest('hex');
  return `${self.datacenter}-${hash.slice(0, 16)}`;
}
