import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentConfig } from '../compat/config/agent-config.ts';
import {
  checkDatacenter,
  databaseFile,
  databaseWatch,
  ensureDataDir,
  loadNodeId,
  loadOrigin,
} from '../src/io/data-dir.ts';
import { SqliteStore } from '../src/io/sqlite-store.ts';
import { Replica } from '../src/node/replica.ts';

export interface State {
  readonly store: SqliteStore;
  readonly replica: Replica;
  readonly nodeId: string;
}

/** Opens the data directory. */
export function openState(config: AgentConfig): State {
  const dataDir = config.stateInMemory ? undefined : config.dataDir;
  if (dataDir !== undefined) ensureDataDir(dataDir);
  const store = new SqliteStore({ file: dataDir === undefined ? ':memory:' : join(dataDir, databaseFile) });
  checkDatacenter(store, config.datacenter);
  const nodeId = loadNodeId(store, dataDir, config.nodeId);
  const replica = new Replica({ store, origin: loadOrigin(store), nodeId, nodeName: config.nodeName });
  return { store, replica, nodeId };
}

/** On the disk of the data, which has the space; for state in memory where temporary files go. */
export function snapshotDirectory(config: AgentConfig): string {
  return config.stateInMemory || config.dataDir === undefined
    ? join(tmpdir(), `grapevine-snapshots-${process.pid}`)
    : join(config.dataDir, 'snapshots');
}

/** A database that was removed or replaced under the gateway would take writes that no restart finds again. */
export function watchDatabase(
  config: AgentConfig,
  onFatal: (reason: string) => void,
): { readonly probe?: () => void } {
  if (config.stateInMemory || config.dataDir === undefined) return {};
  const problem = databaseWatch(join(config.dataDir, databaseFile));
  return {
    probe: () => {
      const reason = problem();
      if (reason !== undefined) onFatal(reason);
    },
  };
}

/** Why this gateway takes no writes, for those who start it; undefined where it does, or looks for others that do. */
export function ownershipWarning({
  alone,
  config,
  replica,
  nodeId,
}: State & { readonly config: AgentConfig; readonly alone: boolean }): string | undefined {
  const { startJoin, retryJoin } = config.join;
  if (startJoin.length > 0 || retryJoin.length > 0 || config.bootstrapExpect > 1) return undefined;
  const root = replica.zones.find((zone) => zone.prefix === '');
  if (root === undefined) {
    return 'this datacenter was not founded: writes are refused. Start the first gateway with -bootstrap (or -dev), or join one';
  }
  if (root.ownerId === nodeId || !alone) return undefined;
  return (
    `the root zone is owned by node ${root.ownerId}, and this node is ${nodeId}: writes are refused. ` +
    'If this is the gateway that founded the datacenter, set its node_id back'
  );
}
