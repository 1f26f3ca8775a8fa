import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkDatacenter,
  databaseWatch,
  ensureDataDir,
  loadNodeId,
  loadOrigin,
} from '../../src/io/data-dir.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { UnusableDatabaseError } from '../../src/io/sqlite-open.ts';

const someId = '6a1ab0bd-2d0b-4bd4-ae9c-7b3a2a8f5e10';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'grapevine-test-data-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('the data directory', () => {
  test('is made with its parents, for its owner only', () => {
    const inner = join(dir, 'a/b');
    ensureDataDir(inner);
    expect(statSync(inner).mode & 0o777).toBe(0o700);
  });

  test('that cannot be made is refused with its path and advice', () => {
    writeFileSync(join(dir, 'file'), '');
    expect(() => ensureDataDir(join(dir, 'file/data'))).toThrow(UnusableDatabaseError);
    expect(() => ensureDataDir(join(dir, 'file/data'))).toThrow(
      /cannot make data_dir: .*file\/data.*choose a place that may be written/,
    );
  });

  test('keeps the id of the node, whole and alone, and takes a configured one instead', () => {
    const minted = loadNodeId(new MemoryStore(), dir, undefined);
    expect(loadNodeId(new MemoryStore(), dir, undefined)).toBe(minted);
    expect(loadNodeId(new MemoryStore(), dir, someId)).toBe(someId);
    expect(loadNodeId(new MemoryStore(), dir, undefined)).toBe(someId);
    expect(readFileSync(join(dir, 'node-id'), 'utf8')).toBe(someId);
    expect(readdirSync(dir)).toEqual(['node-id']);
  });

  test('takes over the id that a Consul wrote there, and refuses a file that holds none', () => {
    writeFileSync(join(dir, 'node-id'), `${someId.toUpperCase()}\n`);
    expect(loadNodeId(new MemoryStore(), dir, undefined)).toBe(someId);
    writeFileSync(join(dir, 'node-id'), '');
    expect(() => loadNodeId(new MemoryStore(), dir, undefined)).toThrow('does not hold a UUID');
  });

  test('whose id cannot be written is refused with the reason', () => {
    expect(() => loadNodeId(new MemoryStore(), join(dir, 'absent'), someId)).toThrow(UnusableDatabaseError);
    expect(() => loadNodeId(new MemoryStore(), join(dir, 'absent'), someId)).toThrow(
      /cannot write .*node-id: ENOENT/,
    );
  });

  test('belongs to one datacenter and has one origin for good', () => {
    const store = new MemoryStore();
    checkDatacenter(store, 'dc1');
    checkDatacenter(store, 'dc1');
    expect(() => checkDatacenter(store, 'dc2')).toThrow(
      'the data directory holds datacenter "dc1", the configuration says "dc2"',
    );
    const origin = loadOrigin(store);
    expect(origin).toMatch(/^[0-9a-f]{32}$/);
    expect(loadOrigin(store)).toBe(origin);
  });
});

describe('the id of the node', () => {
  test('is remembered by the database where its file is lost, and the file comes back', () => {
    const store = new MemoryStore();
    const id = loadNodeId(store, dir, undefined);
    rmSync(join(dir, 'node-id'));
    expect(loadNodeId(store, dir, undefined)).toBe(id);
    expect(readFileSync(join(dir, 'node-id'), 'utf8')).toBe(id);
  });

  test('is the one that was configured last', () => {
    const store = new MemoryStore();
    loadNodeId(store, dir, undefined);
    loadNodeId(store, dir, someId);
    rmSync(join(dir, 'node-id'));
    expect(loadNodeId(store, dir, undefined)).toBe(someId);
  });
});

describe('watching the database file', () => {
  test('a file that is removed, or replaced by another one, is noticed; one that is written to is not', () => {
    const place = mkdtempSync(join(tmpdir(), 'grapevine-watch-'));
    const file = join(place, 'grapevine.db');
    writeFileSync(file, 'one');
    const problem = databaseWatch(file);
    writeFileSync(file, 'one more');
    expect(problem()).toBeUndefined();
    renameSync(file, join(place, 'elsewhere'));
    expect(problem()).toMatch(/was removed while this gateway had it open/);
    writeFileSync(file, 'two');
    expect(problem()).toMatch(/was replaced/);
    renameSync(join(place, 'elsewhere'), file);
    expect(problem()).toBeUndefined();
    rmSync(place, { recursive: true });
  });
});
