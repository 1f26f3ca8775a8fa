import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGzip, type Gzip } from 'node:zlib';
import { pack, type Pack } from 'tar-stream';
import { metaName, renderSums, stateName, sumsName } from './archive-format.ts';

export interface ArchiveSource {
  readonly meta: string;
  readonly stateFile: string;
  /** Bytes of the state file, which does not change any more. */
  readonly stateBytes: number;
  readonly modifiedAt: Date;
}

/** Packs an archive while it is read; no more of it is in memory than a few buffers. */
export function writeArchive(source: ArchiveSource): Gzip {
  const tar = pack();
  // The fastest level: a large archive is bound by it, and most of what it saves it saves so too.
  const gzip = createGzip({ level: 1 });
  // What goes wrong in one of the two ends both, and reaches whoever reads the archive.
  void pipeline(tar, gzip).catch(() => undefined);
  void fill(tar, source).catch((error: unknown) => tar.destroy(error as Error));
  return gzip;
}

async function fill(tar: Pack, source: ArchiveSource): Promise<void> {
  const sums: [string, string][] = [[metaName, createHash('sha256').update(source.meta).digest('hex')]];
  await addText(tar, metaName, source.meta, source.modifiedAt);
  const hash = createHash('sha256');
  const entry = tar.entry({
    name: stateName,
    size: source.stateBytes,
    mode: 0o600,
    mtime: source.modifiedAt,
  });
  await pipeline(
    createReadStream(source.stateFile),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    entry,
  );
  sums.push([stateName, hash.digest('hex')]);
  await addText(tar, sumsName, renderSums(sums), source.modifiedAt);
  tar.finalize();
}

function addText(tar: Pack, name: string, text: string, mtime: Date): Promise<void> {
  return new Promise((resolve, reject) => {
    tar.entry({ name, mode: 0o600, mtime }, text, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
