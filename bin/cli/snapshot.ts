import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { SnapshotMeta } from '../../compat/snapshot/archive-format.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { boolFlag, textFlag } from './flags.ts';
import { addClientFlags, openClient, type ClientFlags, type GatewayClient } from './http-client.ts';

interface SnapshotFlags extends ClientFlags {
  readonly datacenter?: string;
  readonly stale?: boolean;
}

const datacenterFlag = () =>
  textFlag('datacenter', 'name', 'Datacenter of the gateway that is asked; another one is refused.');

/** `grapevine snapshot save|inspect|restore`, as `consul snapshot` has them. */
export function registerSnapshot(program: Command): void {
  const snapshot = program
    .command('snapshot')
    .summary('Save, inspect and restore archives of the state')
    .description(
      'An archive is a consistent copy of a gateway: keys, catalog, sessions. It is made and restored while the\n' +
        'gateway runs. Restoring replaces the state of the datacenter; zones, the own node and its agent stay.',
    );
  addClientFlags(
    snapshot
      .command('save')
      .summary('Save an archive to a file')
      .description('Saves an archive, checks it, and only then puts it at FILE.')
      .argument('<file>', 'where to save it')
      .addOption(datacenterFlag())
      .addOption(boolFlag('stale', 'Accepted as in Consul; a gateway always saves what it holds.')),
  ).action(async (file: string, flags: SnapshotFlags) => {
    process.exitCode = await run(flags, 'saving', (client) => save(client, file, flags));
  });
  snapshot
    .command('inspect')
    .summary('Check an archive and say what it is')
    .description('Checks the sums of an archive and prints what it says of itself. Asks no gateway.')
    .argument('<file>', 'the archive')
    .action(async (file: string) => {
      const read = await verify(file);
      if (read.ok) console.log(describe(read.value));
      else console.error(`Error verifying snapshot: ${read.error}`);
      process.exitCode = read.ok ? 0 : 1;
    });
  addClientFlags(
    snapshot
      .command('restore')
      .summary('Replace the state of the datacenter by that of an archive')
      .description(
        'Checks the archive, then has the gateway check it completely and replace its state by it, all at once.\n' +
          'What the archive does not hold is deleted. Indexes go on rising, so that watchers see every change.',
      )
      .argument('<file>', 'the archive')
      .addOption(datacenterFlag()),
  )
    .addHelpText(
      'after',
      `
Example:
  $ grapevine snapshot save before.tgz && grapevine snapshot restore before.tgz`,
    )
    .action(async (file: string, flags: SnapshotFlags) => {
      process.exitCode = await run(flags, 'restoring', (client) => restore(client, file, flags));
    });
}

/** Runs against a gateway; the result is the exit code. */
async function run(
  flags: SnapshotFlags,
  doing: string,
  work: (client: GatewayClient) => Promise<Result<string, string>>,
): Promise<number> {
  const client = openClient(flags);
  if (!client.ok) {
    console.error(client.error);
    return 1;
  }
  const outcome = await work(client.value);
  if (outcome.ok) console.log(outcome.value);
  else console.error(`Error ${doing} snapshot: ${outcome.error}`);
  return outcome.ok ? 0 : 1;
}

async function save(
  client: GatewayClient,
  file: string,
  flags: SnapshotFlags,
): Promise<Result<string, string>> {
  const opened = await client.open('GET', pathOf(flags));
  if (!opened.ok) return opened;
  const refusal = await refusalOf(opened.value);
  if (refusal !== undefined) return err(refusal);
  // Beside the target, so that the rename is one step; nobody takes a part for an archive.
  const partial = `${file}.partial`;
  try {
    // Flushed: what is reported as saved is on disk.
    await pipeline(opened.value, createWriteStream(partial, { mode: 0o600, flush: true }));
    const read = await verify(partial);
    if (!read.ok) return read;
    await rename(partial, file);
    return ok(`Saved and verified snapshot to index ${read.value.index}`);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  } finally {
    await rm(partial, { force: true });
  }
}

async function restore(
  client: GatewayClient,
  file: string,
  flags: SnapshotFlags,
): Promise<Result<string, string>> {
  const read = await verify(file);
  if (!read.ok) return read;
  const opened = await client.open('PUT', pathOf(flags), createReadStream(file));
  if (!opened.ok) return opened;
  const refusal = await refusalOf(opened.value);
  // An answer that nobody reads would keep the process waiting.
  opened.value.resume();
  return refusal === undefined ? ok('Restored snapshot') : err(refusal);
}

function pathOf({ datacenter, stale }: SnapshotFlags): string {
  const query = new URLSearchParams({
    ...(datacenter === undefined ? {} : { dc: datacenter }),
    ...(stale === true ? { stale: '' } : {}),
  }).toString();
  return query === '' ? '/v1/snapshot' : `/v1/snapshot?${query}`;
}

/** Reads a refused answer; undefined when it was none, and then the body is still to be read. */
async function refusalOf(answer: IncomingMessage): Promise<string | undefined> {
  if (answer.statusCode === 200) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString('utf8').trim();
  return `Unexpected response code: ${answer.statusCode} (${body})`;
}

async function verify(file: string): Promise<Result<SnapshotMeta, string>> {
  const { readArchive } = await import('../../compat/snapshot/archive-reader.ts');
  const read = await readArchive(createReadStream(file), undefined);
  return read.ok ? ok(read.value.meta) : read;
}

/** As `consul snapshot inspect`, and what Grapevine adds. */
function describe({ id, size, index, term, version, grapevine }: SnapshotMeta): string {
  const rows: [string, string][] = [
    ['ID', id],
    ['Size', String(size)],
    ['Index', String(index)],
    ['Term', String(term)],
    ['Version', String(version)],
  ];
  if (grapevine === undefined) {
    rows.push(['Made by', 'Consul: copy a running Consul with grapevine migrate instead']);
  } else {
    rows.push(
      ['Datacenter', grapevine.datacenter],
      ['Node', `${grapevine.node} (${grapevine.nodeId})`],
      ['Made by', `Grapevine ${grapevine.version} (data version ${grapevine.schemaVersion})`],
    );
  }
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}`).join('\n');
}
