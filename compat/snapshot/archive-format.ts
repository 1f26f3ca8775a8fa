import { err, ok, type Result } from '../../src/kernel/result.ts';
import { GoFields, parseJson } from '../wire/go-json.ts';

// The archive of /v1/snapshot: a gzipped tar of three files, as Consul's, so that its tools can check it.

export const metaName = 'meta.json';
export const stateName = 'state.bin';
export const sumsName = 'SHA256SUMS';

/**
 * `Version` of meta.json. Consul's tools check and show an archive of any version, but Raft restores 0 and 1 only: so
 * a Consul refuses ours and keeps what it has. Of a version that it takes it would find out in the middle of the
 * restore that state.bin is not its own, which ends the server (seen with 1.8.7), at each start anew where it has no
 * older snapshot.
 */
export const archiveVersion = 2;

/** What meta.json may be in size; a real one has a few hundred bytes. */
export const smallFileBytesMax = 1024 * 1024;

/** What an archive says of itself: Raft's fields, which Consul's tools read, and Grapevine's own. */
export interface SnapshotMeta {
  /** `<term>-<index>-<ms since the epoch>`, as Consul names snapshots. */
  readonly id: string;
  /** Of the archive: `archiveVersion`, or Consul's. */
  readonly version: number;
  /** The highest index that the gateway had shown. */
  readonly index: number;
  readonly term: number;
  /** Bytes of state.bin. */
  readonly size: number;
  /** Undefined in an archive of Consul. */
  readonly grapevine: GrapevineMeta | undefined;
}

export interface GrapevineMeta {
  /** Version of the program that made it. */
  readonly version: string;
  /** Version of the database's tables. */
  readonly schemaVersion: number;
  readonly datacenter: string;
  readonly node: string;
  readonly nodeId: string;
}

/** `peers`: Raft's list of addresses in MessagePack, base64. */
export function renderMeta(
  meta: Omit<SnapshotMeta, 'version'> & { readonly grapevine: GrapevineMeta },
  address: string,
  peers: string,
): string {
  const { grapevine } = meta;
  return `${JSON.stringify({
    Version: archiveVersion,
    ID: meta.id,
    Index: meta.index,
    Term: meta.term,
    Peers: peers,
    Configuration: { Servers: [{ Suffrage: 0, ID: grapevine.nodeId, Address: address }] },
    ConfigurationIndex: 1,
    Size: meta.size,
    Grapevine: {
      Version: grapevine.version,
      SchemaVersion: grapevine.schemaVersion,
      Datacenter: grapevine.datacenter,
      Node: grapevine.node,
      NodeID: grapevine.nodeId,
    },
  })}\n`;
}

export function parseMeta(text: string): Result<SnapshotMeta, string> {
  const parsed = parseJson(text);
  if (!parsed.ok) return err(`failed to decode snapshot metadata: ${parsed.error}`);
  const fields = new GoFields(parsed.value, 'SnapshotMeta');
  const own = fields.object('Grapevine', 'Grapevine');
  const meta: SnapshotMeta = {
    id: fields.string('ID'),
    version: fields.int('Version'),
    index: fields.int('Index'),
    term: fields.int('Term'),
    size: fields.int('Size'),
    grapevine:
      own === undefined
        ? undefined
        : {
            version: own.string('Version'),
            schemaVersion: own.int('SchemaVersion'),
            datacenter: own.string('Datacenter'),
            node: own.string('Node'),
            nodeId: own.string('NodeID'),
          },
  };
  const problem = fields.problem ?? own?.problem;
  return problem === undefined ? ok(meta) : err(`failed to decode snapshot metadata: ${problem}`);
}

/** The lines of SHA256SUMS: digest by file name. */
export function parseSums(text: string): ReadonlyMap<string, string> {
  const sums = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line.trimEnd());
    if (match !== null) sums.set(match[2] as string, match[1] as string);
  }
  return sums;
}

export function renderSums(sums: Iterable<readonly [name: string, digest: string]>): string {
  return [...sums].map(([name, digest]) => `${digest}  ${name}\n`).join('');
}
