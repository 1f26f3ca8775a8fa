import { open, readFile, rename } from 'node:fs/promises';

/** Where a gateway keeps its evidence while it is not running. */
export interface EvidenceStore {
  /** Undefined: nothing was kept. */
  load(): Promise<string | undefined>;
  save(text: string): Promise<void>;
}

export function evidenceFile(path: string): EvidenceStore {
  return {
    load: async () => {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    // Whole or as it was: it holds a secret, so nobody else may read it.
    save: async (text) => {
      const draft = `${path}.new`;
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    },
  };
}
