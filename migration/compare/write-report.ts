import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Report } from './report.ts';

/** Writes a report so that a reader finds the old one or the new one whole, never a part. */
export async function writeReport(path: string, report: Report): Promise<void> {
  const draft = join(dirname(path), `.${randomUUID()}.report`);
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(report, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
