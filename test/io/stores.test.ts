import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { SqliteStore } from '../../src/io/sqlite-store.ts';
import { describeStore } from '../support/store-suite.ts';

describeStore('MemoryStore', () => {
  const store = new MemoryStore();
  return { store, dispose: () => store.close() };
});

describeStore('SqliteStore in memory', () => {
  const store = new SqliteStore({ file: ':memory:' });
  return { store, dispose: () => store.close() };
});

describeStore('SqliteStore on disk', () => {
  const dir = mkdtempSync(join(tmpdir(), 'grapevine-test-store-'));
  const file = join(dir, 'grapevine.db');
  let store = new SqliteStore({ file });
  return {
    store,
    reopen: () => {
      store.close();
      store = new SqliteStore({ file });
      return store;
    },
    dispose: () => {
      store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});
