import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, type PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import {
  metaName,
  parseMeta,
  parseSums,
  smallFileBytesMax,
  stateName,
  sumsName,
  type SnapshotMeta,
} from './archive-format.ts';

export interface ReadArchive {
  readonly meta: SnapshotMeta;
  /** The unpacked state.bin, in the given directory. */
  readonly stateFile: string;
}

/** What is wrong with the archive; thrown inside, a value outside. */
class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

/**
 * Unpacks an archive into a directory, and checks that it is complete and that its sums are right. The texts of
 * what is wrong are Consul's where it has such a text. Without a directory state.bin is checked, but not kept.
 */
export async function readArchive(
  archive: AsyncIterable<Uint8Array>,
  directory: string | undefined,
): Promise<Result<ReadArchive, string>> {
  const found: Found = { texts: new Map(), sums: new Map() };
  const stateFile = directory === undefined ? '' : join(directory, stateName);
  const gunzip = createGunzip();
  const tar = extract();
  try {
    const unpacked = unpack(tar, found, directory === undefined ? undefined : stateFile, directory);
    // The failure of the one that failed first is what is thrown; the other must not go unhandled.
    unpacked.catch(() => undefined);
    await pipeline(Readable.from(archive, { objectMode: false }), gunzip, tar as unknown as PassThrough);
    await unpacked;
  } catch (error) {
    return err(explain(error));
  }
  return check(found, stateFile);
}

interface Found {
  readonly texts: Map<string, string>;
  readonly sums: Map<string, string>;
}

async function unpack(
  tar: ReturnType<typeof extract>,
  found: Found,
  stateFile: string | undefined,
  directory: string | undefined,
): Promise<void> {
  for await (const entry of tar) {
    const { header } = entry;
    const hash = createHash('sha256');
    if (found.sums.has(header.name)) throw new ArchiveError(`${header.name} is twice in the snapshot`);
    switch (header.name) {
      case metaName:
      case sumsName: {
        const chunks: Buffer[] = [];
        let bytes = 0;
        for await (const chunk of entry as AsyncIterable<Buffer>) {
          bytes += chunk.length;
          if (bytes > smallFileBytesMax) throw new ArchiveError(`${header.name} is too large`);
          hash.update(chunk);
          chunks.push(chunk);
        }
        found.texts.set(header.name, Buffer.concat(chunks).toString('utf8'));
        break;
      }
      case stateName:
        if (directory !== undefined) await requireSpace(directory, header.size ?? 0);
        await unpackState(entry as AsyncIterable<Buffer>, stateFile, (chunk) => hash.update(chunk));
        break;
      default:
        throw new ArchiveError(`unexpected file "${header.name}" in snapshot`);
    }
    found.sums.set(header.name, hash.digest('hex'));
  }
}

async function unpackState(
  entry: AsyncIterable<Buffer>,
  file: string | undefined,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  async function* hashed(): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of entry) {
      onChunk(chunk);
      yield chunk;
    }
  }
  if (file === undefined) for await (const chunk of hashed()) void chunk;
  else await pipeline(hashed(), createWriteStream(file, { mode: 0o600 }));
}

/** An archive may unpack to far more than it has: the disk is looked at before it is filled. */
async function requireSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (bytes <= free * 0.9) return;
  throw new ArchiveError(`state.bin has ${bytes} bytes, and only ${free} are free in ${directory}`);
}

function check(found: Found, stateFile: string): Result<ReadArchive, string> {
  const sums = parseSums(found.texts.get(sumsName) ?? '');
  for (const name of [metaName, stateName, sumsName]) {
    if (!found.sums.has(name)) return err(`failed to read snapshot file: ${name} is missing`);
  }
  for (const name of [metaName, stateName]) {
    if (sums.get(name) !== found.sums.get(name)) {
      return err(`failed checking integrity of snapshot: hash check failed for "${name}"`);
    }
  }
  const meta = parseMeta(found.texts.get(metaName) ?? '');
  return meta.ok ? ok({ meta: meta.value, stateFile }) : meta;
}

function explain(error: unknown): string {
  if (error instanceof ArchiveError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'Z_BUF_ERROR':
      return 'failed to decompress snapshot: unexpected EOF';
    case 'Z_DATA_ERROR':
      return message === 'incorrect header check'
        ? 'failed to decompress snapshot: gzip: invalid header'
        : `failed to decompress snapshot: ${message}`;
    case 'ENOSPC':
      return 'failed to read snapshot file: no space left on device';
    default:
      return `failed to read snapshot file: ${message}`;
  }
}
