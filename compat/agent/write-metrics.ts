import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { Metrics } from './metrics.ts';

export type Propose = (command: Command, done: (outcome: CommandOutcome) => void) => void;

/** What a command counts as: Consul's names where it has them. */
const nameOf: Readonly<Record<Command['kind'], string>> = {
  'kv-put': 'kvs.apply',
  'kv-delete': 'kvs.apply',
  'kv-delete-tree': 'kvs.apply',
  txn: 'txn.apply',
  'session-create': 'session.apply',
  'session-destroy': 'session.apply',
  'catalog-register': 'catalog.register',
  'catalog-deregister': 'catalog.deregister',
  'coordinate-update': 'grapevine.coordinate.apply',
  'member-health': 'grapevine.agent.apply',
  local: 'grapevine.agent.apply',
  'mirror-apply': 'grapevine.mirror.apply',
  restore: 'grapevine.restore.apply',
  'collect-tombstones': 'grapevine.tombstones.apply',
  'zone-delegate': 'grapevine.zone.apply',
  'zone-place': 'grapevine.zone.apply',
  'zone-takeover': 'grapevine.zone.apply',
  'conflict-replay': 'grapevine.conflict.apply',
  'conflict-mark': 'grapevine.conflict.apply',
  'conflict-drop': 'grapevine.conflict.apply',
  'migration-step': 'grapevine.migration.apply',
  'migration-forget': 'grapevine.migration.apply',
  'migration-source': 'grapevine.migration.apply',
};

/** Times writes from when they are proposed until they are on disk. */
export function timedWrites(metrics: Metrics, nowMs: () => number, propose: Propose): Propose {
  const byName = new Map(
    [...new Set(Object.values(nameOf))].map((name) => [name, metrics.timings(name)] as const),
  );
  return (command, done) => {
    const startMs = nowMs();
    propose(command, (outcome) => {
      byName.get(nameOf[command.kind])?.observe(nowMs() - startMs);
      done(outcome);
    });
  };
}
