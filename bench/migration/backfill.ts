import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RealConsul } from '../../test/support/real-consul.ts';
import { prefix } from './data.ts';
import type { Moving } from './moved.ts';
import { pause } from './moved.ts';

interface TailStatus {
  readonly backfilled: boolean;
  readonly items: number;
}

/** Milliseconds from the order to copy until all of it is here for good. */
export async function measureBackfill({ client, walk }: Moving, keys: number): Promise<number> {
  const startedMs = performance.now();
  const walked = walk(prefix, ['mirror']);
  for (;;) {
    const { backfilled, items } = await tailOf(client);
    if (backfilled && items >= keys) break;
    if (performance.now() - startedMs > 120_000) throw new Error(`not copied in time: ${items} of ${keys}`);
    await pause(25);
  }
  const tookMs = performance.now() - startedMs;
  await walked;
  return tookMs;
}

interface Status {
  readonly gateways: readonly {
    readonly status: {
      readonly rules: readonly { readonly prefix: string; readonly tail: TailStatus | null }[];
    } | null;
  }[];
}

async function tailOf(client: Moving['client']): Promise<TailStatus> {
  const status = await client.json<Status>('/v1/grapevine/migration/status');
  const rule = status.gateways[0]?.status?.rules.find((each) => each.prefix === prefix);
  return rule?.tail ?? { backfilled: false, items: 0 };
}

export interface ExportImport {
  readonly exportMs: number;
  readonly importMs: number;
  /** So many keys were imported; the rest of the time is reckoned. */
  readonly imported: number;
}

/** `consul kv export` of everything, and `consul kv import` of the first so many keys of it into another Consul. */
export async function measureExportImport(
  source: RealConsul,
  target: RealConsul,
  place: string,
  part: number,
): Promise<ExportImport> {
  const exportedMs = performance.now();
  const exported = await source.cli(['kv', 'export', prefix]);
  const exportMs = performance.now() - exportedMs;
  if (exported.code !== 0) throw new Error(`consul kv export: ${exported.stderr}`);
  const entries = JSON.parse(exported.stdout) as readonly unknown[];
  const some = entries.slice(0, part);
  const file = join(place, 'part.json');
  await writeFile(file, JSON.stringify(some));
  const importedMs = performance.now();
  const imported = await target.cli(['kv', 'import', `@${file}`]);
  const importMs = performance.now() - importedMs;
  if (imported.code !== 0) throw new Error(`consul kv import: ${imported.stderr}`);
  return { exportMs, importMs, imported: some.length };
}
