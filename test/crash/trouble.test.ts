import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { databaseFile } from '../../src/io/data-dir.ts';
import { schemaVersion } from '../../src/io/sqlite-open.ts';
import { takePortBlock, type PortBlock } from '../support/port-block.ts';
import { Client } from './client.ts';
import { spawnGateway, untilServing, type Spawned, type SpawnOptions } from './spawned.ts';

let ports: PortBlock;
let place: string;
let dataDir: string;

beforeAll(async () => {
  ports = await takePortBlock();
});
afterAll(async () => ports.release());
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'grapevine-test-trouble-'));
  chmodSync(place, 0o755);
  dataDir = join(place, 'data');
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

const startMsMax = 60_000;

/** As somebody who may not do everything: root may write what is read-only. */
const ordinaryUser = process.getuid?.() === 0 ? 65_534 : undefined;
const asOrdinaryUser: readonly string[] =
  ordinaryUser === undefined
    ? []
    : ['setpriv', `--reuid=${ordinaryUser}`, `--regid=${ordinaryUser}`, '--clear-groups'];

function own(path: string): void {
  if (ordinaryUser !== undefined) chownSync(path, ordinaryUser, ordinaryUser);
}

/** A data directory that a gateway has used, closed properly. */
async function usedDataDir(): Promise<string> {
  const gateway = spawnGateway({ dataDir, ports });
  await untilServing(gateway);
  const client = new Client(gateway.url);
  for (let i = 0; i < 50; i++) await client.send('PUT', `/v1/kv/used/${i}`, 'x'.repeat(2000));
  client.close();
  await gateway.kill();
  // What is still in the log goes into the file.
  const db = new Database(join(dataDir, databaseFile));
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  return join(dataDir, databaseFile);
}

/** What a gateway said that must end by itself with code 1: a reason for its operator, not a stack trace. */
async function refusal(options: Partial<SpawnOptions> = {}): Promise<string> {
  const gateway = spawnGateway({ dataDir, ports, ...options });
  const code = await gateway.exited;
  const output = gateway.output();
  if (code !== 1 || /^\s+at /m.test(output)) throw new Error(`ended with ${code}:\n${output}`);
  return output;
}

describe('a gateway that cannot use its data directory says why and ends with code 1', () => {
  test(
    'a damaged database',
    async () => {
      const file = await usedDataDir();
      const bytes = readFileSync(file);
      bytes.fill(0x5a, 8192);
      writeFileSync(file, bytes);
      const said = await refusal();
      expect(said).toContain(file);
      expect(said).toMatch(/is damaged.*restore the last good archive/);
    },
    startMsMax,
  );

  test(
    "a file that is no database, another program's database, or one of a newer version",
    async () => {
      mkdirSync(dataDir);
      const file = join(dataDir, databaseFile);
      writeFileSync(file, 'no database at all\n'.repeat(1000));
      expect(await refusal()).toContain(`${file}: the file is not a SQLite database`);

      rmSync(file);
      const foreign = new Database(file);
      foreign.exec('CREATE TABLE theirs (a)');
      expect(await refusal()).toContain(`${file} is a SQLite database, but not Grapevine's`);
      foreign.exec('DROP TABLE theirs');
      foreign.pragma(`user_version = ${schemaVersion + 1}`);
      foreign.close();
      expect(await refusal()).toContain(`${file} was written by a newer Grapevine`);
    },
    startMsMax,
  );

  test(
    'a database that another gateway has open, which goes on undisturbed',
    async () => {
      const first = spawnGateway({ dataDir, ports });
      await untilServing(first);
      const otherPorts = await takePortBlock();
      expect(await refusal({ ports: otherPorts })).toContain('is in use by another process: stop it');
      await otherPorts.release();
      const client = new Client(first.url);
      expect((await client.send('PUT', '/v1/kv/still', 'here'))?.text).toBe('true');
      client.close();
      await first.kill();
    },
    startMsMax,
  );

  test(
    'a directory that may not be written, or not even be made',
    async () => {
      mkdirSync(dataDir);
      own(dataDir);
      chmodSync(dataDir, 0o500);
      const wrapper = asOrdinaryUser;
      expect(await refusal({ wrapper })).toMatch(/grapevine.db: .*(may|cannot) be written/);
      const below = join(dataDir, 'below');
      expect(await refusal({ dataDir: below, wrapper })).toMatch(/cannot make data_dir: .*below/);
      writeFileSync(join(place, 'file'), '');
      const through = join(place, 'file/data');
      expect(await refusal({ dataDir: through })).toMatch(/cannot make data_dir: .*file\/data/);
    },
    startMsMax,
  );

  test(
    'a database file that may only be read',
    async () => {
      const file = await usedDataDir();
      for (const path of [dataDir, file, join(dataDir, 'node-id')]) own(path);
      chmodSync(file, 0o400);
      const said = await refusal({ wrapper: asOrdinaryUser });
      expect(said).toContain(
        'the database cannot be written: check ownership, permissions and mount of data_dir',
      );
      expect(said).toContain(file);
    },
    startMsMax,
  );
});

/** A way to run a gateway whose disk is full after some megabytes. */
interface SmallDisk {
  readonly title: string;
  wrapper(dir: string): readonly string[];
  /** The gateway that has more room, once the first one ended. */
  again(first: Spawned): Spawned;
  readonly said: string;
}

/** The limit on file sizes is there for everybody; writing beyond fails as a disk's failure does. */
const sizeLimit: SmallDisk = {
  title: 'a limit on file sizes',
  wrapper: () => ['bash', '-c', 'ulimit -f 6000; "$@"; echo "ended with $?"', 'limited'],
  again: () => spawnGateway({ dataDir, ports }),
  said: 'the disk failed to read or write',
};

/** A file system of its own: when the gateway has ended it grows, and the gateway starts again by itself. */
const fileSystem: SmallDisk = {
  title: 'a full file system',
  wrapper: (dir) => [
    ...['unshare', '-rm', 'sh', '-c'],
    'mount -t tmpfs -o size=6m tmpfs "$0"; "$@"; echo "ended with $?"; mount -o remount,size=60m "$0"; exec "$@"',
    dir,
  ],
  again: (first) => first,
  said: 'the disk is full: free some space',
};

/** Those that this system has: mounting takes rights that not every container gives. */
function smallDisks(): readonly SmallDisk[] {
  const mounts = spawnSync('sh', ['-c', "unshare -rm sh -c 'mount -t tmpfs tmpfs /mnt'"]).status === 0;
  return mounts ? [sizeLimit, fileSystem] : [sizeLimit];
}

describe('a disk that fills up', () => {
  test.each(smallDisks())(
    '($title) stops the gateway with a clear message, and nothing that it acknowledged is lost',
    async (disk) => {
      mkdirSync(dataDir);
      const first = spawnGateway({ dataDir, ports, wrapper: disk.wrapper(dataDir) });
      await untilServing(first);
      const client = new Client(first.url);
      const answers: unknown[] = [];
      for (let i = 0; i < 1000; i++) {
        const answer = await client.send('PUT', `/v1/kv/fill/${i}`, `${i}:${'x'.repeat(50_000)}`);
        if (answer === undefined) break;
        answers.push([answer.status, answer.text]);
      }
      expect(answers.length).toBeGreaterThan(10);
      expect(answers.length).toBeLessThan(1000);
      expect(answers).toEqual(answers.map(() => [200, 'true']));

      while (!first.output().includes('ended with')) await new Promise((resolve) => setTimeout(resolve, 20));
      const again = disk.again(first);
      await untilServing(again);
      expect(first.output()).toContain(disk.said);
      expect(first.output()).toContain('What was acknowledged is on disk');
      expect(first.output()).toContain('ended with 1');
      for (const i of answers.keys()) {
        const got = await client.send('GET', `/v1/kv/fill/${i}?raw`);
        expect([i, got?.status, got?.text.split(':')[0]]).toEqual([i, 200, String(i)]);
      }
      client.close();
      await again.kill();
    },
    startMsMax,
  );
});
