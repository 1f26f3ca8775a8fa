import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { readArchive } from '../../../compat/snapshot/archive-reader.ts';
import { Snapshots } from '../../../compat/snapshot/snapshots.ts';
import { SqliteStore } from '../../../src/io/sqlite-store.ts';
import { Replica } from '../../../src/node/replica.ts';
import type { OriginId } from '../../../src/crdt/dot.ts';
import type { Command, CommandOutcome } from '../../../src/state/command.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { kvEntry } from '../../../src/state/kv.ts';

let place: string;
const open: SqliteStore[] = [];

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'grapevine-snapshots-test-'));
});

afterEach(() => {
  for (const store of open.splice(0)) store.close();
  rmSync(place, { recursive: true, force: true });
});

interface Made {
  readonly snapshots: Snapshots;
  readonly directory: string;
  put(key: string, value: string): void;
  keys(): Record<string, string>;
}

function gateway(name: string, datacenter = 'dc1'): Made {
  const store = new SqliteStore({ file: join(place, `${name}.db`) });
  open.push(store);
  store.transact(() => store.setMeta('datacenter', datacenter));
  const replica = new Replica({ store, origin: '0'.repeat(32) as OriginId, nodeId: `${name}-id` });
  let nowUs = 1_700_000_000_000_000;
  store.transact(() => replica.found(nowUs));
  const propose = (command: Command, done: (outcome: CommandOutcome) => void): void => {
    nowUs += 1000;
    done(store.transact(() => replica.step(command, nowUs)).outcome);
  };
  const directory = join(place, `${name}-work`);
  const snapshots = new Snapshots({
    backup: (file) => store.backup(file),
    directory,
    gateway: {
      nodeName: name,
      nodeId: `${name}-id`,
      datacenter,
      address: '127.0.0.1',
      nodeMeta: {},
      taggedAddresses: {},
      version: '1.2.3',
      serverPort: 8300,
    },
    highestIndex: () => replica.highestIndex,
    propose,
    nowMs: () => 1_700_000_000_000,
  });
  return {
    snapshots,
    directory,
    put: (key, value) =>
      propose(
        { kind: 'kv-put', key, flags: 0n, value: Buffer.from(value), mode: { kind: 'plain' } },
        () => undefined,
      ),
    keys: () =>
      Object.fromEntries(
        [...store.range(Kind.kv, '', undefined)].flatMap((row) => {
          const entry = kvEntry(row);
          return entry === undefined ? [] : [[entry.key, Buffer.from(entry.value).toString()] as const];
        }),
      ),
  };
}

async function archiveOf(made: Made): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await made.snapshots.save()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* inPieces(bytes: Uint8Array, size = 4096): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function refusal(made: Made, archive: Uint8Array): Promise<string> {
  const result = await made.snapshots.restore(inPieces(archive));
  return result.kind === 'refused' ? result.message : result.kind;
}

/** An archive whose sums are right, of whatever is given as state. */
async function forge(state: Buffer, meta: object): Promise<Buffer> {
  const tar = pack();
  const text = JSON.stringify(meta);
  const sum = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
  tar.entry({ name: 'meta.json' }, text);
  tar.entry({ name: 'state.bin' }, state);
  tar.entry({ name: 'SHA256SUMS' }, `${sum(text)}  meta.json\n${sum(state)}  state.bin\n`);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}

function unpacked(archive: Buffer): Buffer | undefined {
  try {
    return gunzipSync(archive);
  } catch {
    return undefined;
  }
}

const meta = {
  ID: '1-1-1',
  Index: 1,
  Term: 1,
  Version: 1,
  Size: 1,
  Grapevine: { Version: '1.2.3', SchemaVersion: 1, Datacenter: 'dc1', Node: 'a', NodeID: 'a-id' },
};

describe('snapshots', () => {
  test('what was saved can be restored elsewhere, and nothing temporary is left', async () => {
    const from = gateway('a');
    for (let i = 0; i < 200; i++) from.put(`key/${i}`, 'x'.repeat(1000 + i));
    const archive = await archiveOf(from);
    const to = gateway('b');
    to.put('gone', '1');
    expect(await to.snapshots.restore(inPieces(archive))).toMatchObject({
      kind: 'restored',
      written: 200,
      deleted: 1,
    });
    expect(to.keys()).toEqual(from.keys());
    expect([from.directory, to.directory].map((directory) => existsSync(directory))).toEqual([false, false]);
  });

  test('an archive says what it is', async () => {
    const from = gateway('a');
    from.put('k', 'v');
    const read = await readArchive(inPieces(await archiveOf(from)), undefined);
    expect(read).toMatchObject({
      ok: true,
      value: {
        meta: {
          id: expect.stringMatching(/^1-\d+-1700000000000$/),
          term: 1,
          grapevine: { version: '1.2.3', datacenter: 'dc1', node: 'a', nodeId: 'a-id' },
        },
      },
    });
  });

  test('writes while it is saved do not tear it', async () => {
    const from = gateway('a');
    for (let i = 0; i < 150; i++) from.put(`key/${i}`, 'x'.repeat(30_000));
    const saving = from.snapshots.save();
    from.put('late', 'x');
    const chunks: Uint8Array[] = [];
    for await (const chunk of await saving) {
      chunks.push(chunk);
      from.put('later', String(chunks.length));
    }
    const to = gateway('b');
    expect(await refusal(to, Buffer.concat(chunks))).toBe('restored');
    expect(Object.keys(to.keys()).length).toBeGreaterThanOrEqual(150);
  });

  test('a reader that goes away leaves nothing behind', async () => {
    const from = gateway('a');
    from.put('k', 'v');
    for await (const chunk of await from.snapshots.save()) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(existsSync(from.directory)).toBe(false);
  });

  test('one may begin while another ends', async () => {
    const from = gateway('a');
    const client = async (): Promise<void> => {
      for (let i = 0; i < 25; i++) expect((await archiveOf(from)).length).toBeGreaterThan(0);
    };
    await Promise.all([client(), client(), client()]);
    expect(existsSync(from.directory)).toBe(false);
  });

  test('what a crash left behind goes at the next start', () => {
    const left = join(place, 'left');
    mkdirSync(left);
    writeFileSync(join(left, 'state.bin'), 'half');
    const options = { backup: async () => undefined, directory: left, highestIndex: () => 1, nowMs: () => 1 };
    const facts = {
      nodeName: 'a',
      nodeId: 'a',
      datacenter: 'dc1',
      address: '::1',
      nodeMeta: {},
      taggedAddresses: {},
      version: '',
      serverPort: 1,
    };
    void new Snapshots({ ...options, gateway: facts, propose: () => undefined });
    expect(existsSync(left)).toBe(false);
  });

  test('only one is restored at a time', async () => {
    const from = gateway('a');
    from.put('k', 'v');
    const archive = await archiveOf(from);
    const to = gateway('b');
    const first = to.snapshots.restore(inPieces(archive));
    expect(await refusal(to, archive)).toBe('another snapshot is being restored');
    expect((await first).kind).toBe('restored');
  });
});

describe('archives that cannot be restored change nothing', () => {
  test('another datacenter, another program, a newer version, a damaged database', async () => {
    const to = gateway('b');
    to.put('k', 'v');
    expect(await refusal(to, await archiveOf(gateway('c', 'dc2')))).toBe(
      'the snapshot is of datacenter "dc2", this gateway is in "dc1"',
    );
    expect(await refusal(to, await forge(Buffer.from('raft'), { ...meta, Grapevine: undefined }))).toMatch(
      /^this is a snapshot of Consul, /,
    );
    expect(await refusal(to, await forge(Buffer.from('no database'.repeat(100)), meta))).toBe(
      'state.bin is not a SQLite database',
    );

    const file = join(place, 'other.db');
    const db = new Database(file);
    db.exec('CREATE TABLE t (a)');
    db.pragma('user_version = 1');
    expect(await refusal(to, await forge(db.serialize(), meta))).toBe(
      'state.bin is a SQLite database, but not of Grapevine',
    );
    db.pragma(`application_id = 1196576854`);
    db.pragma('user_version = 999');
    expect(await refusal(to, await forge(db.serialize(), meta))).toMatch(
      /^the snapshot was made by a newer Grapevine \(data version 999, /,
    );
    db.close();
    expect(to.keys()).toEqual({ k: 'v' });
  });

  test('a database with a torn page is refused though its sums are right', async () => {
    const from = gateway('a');
    for (let i = 0; i < 60; i++) from.put(`key/${i}`, 'x'.repeat(1000));
    const read = await readArchive(inPieces(await archiveOf(from)), place);
    if (!read.ok) throw new Error(read.error);
    const state = readFileSync(read.value.stateFile);
    state.fill(0xff, 3 * 4096, 3 * 4096 + 2048);
    const to = gateway('b');
    expect(await refusal(to, await forge(state, meta))).toMatch(/^state\.bin is damaged: /);
    expect(to.keys()).toEqual({});
  });

  test('no cut and no changed byte goes unnoticed', async () => {
    const from = gateway('a');
    from.put('k', 'v'.repeat(3000));
    const archive = await archiveOf(from);
    const to = gateway('b');
    await fc.assert(
      fc.asyncProperty(fc.nat(archive.length - 1), fc.boolean(), async (at, cut) => {
        const broken = cut ? archive.subarray(0, at) : Buffer.from(archive);
        if (!cut) broken[at] = (broken[at] as number) ^ 0x55;
        to.put('k', 'before');
        const outcome = await refusal(to, broken);
        // Some bytes change nothing: a time in gzip's header, from which of many zeros others are copied.
        const same = !cut && unpacked(broken)?.equals(gunzipSync(archive)) === true;
        expect(outcome).toMatch(same ? /^restored$/ : /^failed /);
        expect(to.keys()).toEqual(same ? from.keys() : { k: 'before' });
        expect(existsSync(to.directory)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test.each([
    [Buffer.from(''), 'failed to decompress snapshot: unexpected EOF'],
    [Buffer.from('junk and more'), 'failed to decompress snapshot: gzip: invalid header'],
    [gzipSync(Buffer.alloc(1024)), 'failed to read snapshot file: meta.json is missing'],
  ])('%# is no archive', async (bytes, message) => {
    expect(await refusal(gateway('b'), bytes)).toBe(message);
    expect(readdirSync(place).filter((name) => name.endsWith('-work'))).toEqual([]);
  });
});
