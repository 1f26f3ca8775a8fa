import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openArchiveDatabase } from '../../src/io/archive-database.ts';
import { schemaVersion } from '../../src/io/sqlite-open.ts';
import { encode } from '../../src/kernel/codec.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { GatewayFacts } from '../routes/context.ts';
import { serverAddress } from '../routes/server-address.ts';
import { notOwnedText } from '../wire/refusal.ts';
import { renderMeta, stateName } from './archive-format.ts';
import { readArchive } from './archive-reader.ts';
import { writeArchive } from './archive-writer.ts';
import type { RestoreResult, SnapshotPort } from './snapshot-port.ts';

export interface SnapshotsOptions {
  /** Copies the database to a file while it runs. */
  readonly backup: (file: string) => Promise<void>;
  /** For temporary files; emptied at the start of each life. On the disk of the data, which has the space for it. */
  readonly directory: string;
  readonly gateway: GatewayFacts;
  readonly highestIndex: () => number;
  readonly propose: (command: Command, done: (outcome: CommandOutcome) => void) => void;
  readonly nowMs: () => number;
}

/** Archives of a running gateway. One restore at a time; copies are independent of each other. */
export class Snapshots implements SnapshotPort {
  readonly #options: SnapshotsOptions;
  #restoring = false;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    // What a crash left behind.
    rmSync(options.directory, { recursive: true, force: true });
  }

  async save(): Promise<AsyncIterable<Uint8Array>> {
    const { gateway, highestIndex, nowMs } = this.#options;
    const place = this.#newPlace();
    try {
      const stateFile = join(place, stateName);
      const takenMs = nowMs();
      await this.#options.backup(stateFile);
      const index = highestIndex();
      const stateBytes = (await stat(stateFile)).size;
      const meta = renderMeta(
        {
          id: `1-${index}-${takenMs}`,
          index,
          term: 1,
          size: stateBytes,
          grapevine: {
            version: gateway.version,
            schemaVersion,
            datacenter: gateway.datacenter,
            node: gateway.nodeName,
            nodeId: gateway.nodeId,
          },
        },
        serverAddress(gateway),
        Buffer.from(encode([serverAddress(gateway)])).toString('base64'),
      );
      return readThenRemove(
        writeArchive({ meta, stateFile, stateBytes, modifiedAt: new Date(takenMs) }),
        place,
      );
    } catch (error) {
      await removePlace(place);
      throw error;
    }
  }

  async restore(archive: AsyncIterable<Uint8Array>): Promise<RestoreResult> {
    if (this.#restoring) return refusedRestore('another snapshot is being restored');
    this.#restoring = true;
    let place: string | undefined;
    try {
      place = this.#newPlace();
      return await this.#restoreFrom(archive, place);
    } finally {
      this.#restoring = false;
      if (place !== undefined) await removePlace(place);
    }
  }

  /** At one go, as the end of `removePlace` is: it must not remove the directory in between. */
  #newPlace(): string {
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
    return mkdtempSync(join(this.#options.directory, 'work-'));
  }

  async #restoreFrom(archive: AsyncIterable<Uint8Array>, place: string): Promise<RestoreResult> {
    const read = await readArchive(archive, place);
    if (!read.ok) return refusedRestore(read.error);
    const { meta, stateFile } = read.value;
    if (meta.grapevine === undefined) {
      return refusedRestore(
        "this is a snapshot of Consul, whose format is Consul's own: copy a running Consul with grapevine migrate",
      );
    }
    const { gateway, propose } = this.#options;
    const opened = openArchiveDatabase(stateFile, gateway.datacenter);
    if (!opened.ok) return refusedRestore(opened.error);
    try {
      const command: Command = {
        kind: 'restore',
        archive: opened.value,
        ownNode: gateway.nodeName,
        archiveNode: meta.grapevine.node,
      };
      return resultOf(await new Promise<CommandOutcome>((resolve) => propose(command, resolve)));
    } finally {
      opened.value.close();
    }
  }
}

function resultOf(outcome: CommandOutcome): RestoreResult {
  switch (outcome.kind) {
    case 'restored':
      return outcome;
    case 'refused':
      return refusedRestore(outcome.message);
    case 'not-owned':
      return refusedRestore(notOwnedText(outcome));
    default:
      return refusedRestore(`unexpected outcome ${outcome.kind}`);
  }
}

/** Removes a directory, and the one above it when it was the last there. */
async function removePlace(place: string): Promise<void> {
  await rm(place, { recursive: true, force: true });
  try {
    rmdirSync(dirname(place));
  } catch {
    // Others are in it.
  }
}

function refusedRestore(message: string): RestoreResult {
  return { kind: 'refused', message };
}

/** Also when the reader stops early, or never begins to read: then `return` is what is called. */
function readThenRemove(
  stream: AsyncIterable<Uint8Array> & { destroy(): unknown },
  place: string,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const inner = stream[Symbol.asyncIterator]();
      const end = async (): Promise<void> => {
        stream.destroy();
        await removePlace(place);
      };
      return {
        async next() {
          try {
            const result = await inner.next();
            if (result.done === true) await end();
            return result;
          } catch (error) {
            await end();
            throw error;
          }
        },
        async return() {
          await end();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
