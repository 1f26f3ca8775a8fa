import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { decodeKey } from '../../src/io/keyring-base64.ts';
import { keyringFile, loadKeyring, type LoadedKeyring } from '../../src/io/keyring-file.ts';
import { Keyring, keysMax } from '../../src/io/keyring.ts';
import { keyOf, ringOf } from './gossip-support.ts';

const [one, two, three] = [keyOf(1), keyOf(2, 16), keyOf(3, 24)];

describe('a keyring', () => {
  test('holds keys of 16, 24 and 32 bytes, the primary first', () => {
    const ring = ringOf(one);
    expect(ring.install(two)).toMatchObject({ ok: true });
    expect(ring.install(three)).toMatchObject({ ok: true });
    expect(ring.list()).toEqual([one, two, three]);
    expect(ring.use(three)).toMatchObject({ ok: true });
    expect(ring.list()).toEqual([three, one, two]);
    expect(ring.primary).toMatchObject({ base64: three, cipher: 'aes-192-gcm' });
    expect(ring.remove(one)).toMatchObject({ ok: true });
    expect(ring.list()).toEqual([three, two]);
  });

  test('refuses what Consul refuses, in its words, and stays as it was', () => {
    const ring = ringOf(one);
    expect(ring.use(two)).toEqual({ ok: false, error: 'Requested key is not in the keyring' });
    expect(ring.remove(one)).toEqual({ ok: false, error: 'Removing the primary key is not allowed' });
    expect(ring.install('aGVsbG8=')).toEqual({ ok: false, error: 'key size must be 16, 24 or 32 bytes' });
    expect(ring.install('not base64!!')).toEqual({ ok: false, error: 'illegal base64 data at input byte 3' });
    expect(ring.install('xx')).toEqual({ ok: false, error: 'illegal base64 data at input byte 0' });
    expect(ring.list()).toEqual([one]);
  });

  test('takes as done what is done: a key that is installed, used or absent already', () => {
    const ring = ringOf(one, two);
    for (const outcome of [ring.install(two), ring.use(one), ring.remove(three)])
      expect(outcome.ok).toBe(true);
    expect(ring.list()).toEqual([one, two]);
  });

  test('is full at some point, and says so', () => {
    const ring = new Keyring({ keys: Array.from({ length: keysMax }, (_, i) => keyOf(i)) });
    expect(ring.install(keyOf(200))).toMatchObject({
      ok: false,
      error: expect.stringContaining('remove old ones'),
    });
    expect(() => new Keyring({ keys: Array.from({ length: keysMax + 1 }, (_, i) => keyOf(i)) })).toThrow(
      RangeError,
    );
  });

  test('tries nearly always one key only, and never gives a key the id of plaintext', () => {
    const ring = new Keyring({ keys: Array.from({ length: keysMax }, (_, i) => keyOf(i)) });
    for (const base64 of ring.list()) {
      ring.use(base64);
      const { primary } = ring;
      expect(primary.id).toBeGreaterThan(0);
      expect(ring.candidates(primary.id)).toContain(primary);
      expect(ring.candidates(primary.id).length).toBeLessThan(4);
    }
  });

  test('does not change when the change cannot be kept', () => {
    const ring = new Keyring({
      keys: [one],
      persist: () => {
        throw new Error('no space left');
      },
    });
    expect(ring.install(two)).toEqual({ ok: false, error: 'no space left' });
    expect(ring.list()).toEqual([one]);
  });
});

test('mistyped base64 is told as Go tells it', () => {
  const wrong = {
    a: 0,
    abc: 0,
    'abcd=': 4,
    'ab=': 3,
    'ab=c': 2,
    'ab==c': 4,
    'abc=d': 4,
    'a*cd': 1,
    abcdefg: 4,
  };
  for (const [text, at] of Object.entries(wrong)) {
    expect(decodeKey(text)).toEqual({ ok: false, error: `illegal base64 data at input byte ${at}` });
  }
  for (const text of ['', 'abcd', 'ab==', 'abc=', 'ab\n==\r\n', 'a\nbcd'])
    expect(decodeKey(text).ok).toBe(true);
});

describe('the keyring of a data directory', () => {
  let dir = '';
  let file = '';
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keyring-'));
    file = keyringFile(dir, 'lan');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const load = (encrypt: string | undefined, at: string | undefined = file): LoadedKeyring =>
    loadKeyring({ file: at, encrypt, verifyIncoming: true, verifyOutgoing: true });

  test('begins with the key of -encrypt, in the files that Consul has, for its owner only', () => {
    expect(load(one)).toMatchObject({ warning: undefined });
    expect(file).toBe(join(dir, 'serf', 'local.keyring'));
    expect(keyringFile(dir, 'wan')).toBe(join(dir, 'serf', 'remote.keyring'));
    expect(readFileSync(file, 'utf8')).toBe(`[\n  "${one}"\n]`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('remembers installing, using and removing', () => {
    const ring = load(one).keyring!;
    ring.install(two);
    ring.use(two);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual([two, one]);
    expect(load(undefined).keyring!.list()).toEqual([two, one]);
    ring.remove(one);
    expect(load(two)).toMatchObject({ warning: undefined });
    expect(load(two).keyring!.list()).toEqual([two]);
  });

  test('wins over another -encrypt, with a warning in the words of Consul', () => {
    load(one);
    const loaded = load(two);
    expect(loaded.keyring!.list()).toEqual([one]);
    expect(loaded.warning).toMatch(/^keyring doesn't include key provided with -encrypt, using keyring/);
  });

  test('is not there without a key, and not on disk where that was said', () => {
    expect(load(undefined)).toEqual({ keyring: undefined, warning: undefined });
    const ring = loadKeyring({
      file: undefined,
      encrypt: one,
      verifyIncoming: true,
      verifyOutgoing: true,
    }).keyring!;
    expect(ring.install(two)).toMatchObject({ ok: true });
    expect(existsSync(join(dir, 'serf'))).toBe(false);
  });

  test.each([
    ['is cut off', '["abc'],
    ['is no list', '{"keys":[]}'],
    ['is a list of something else', '[1]'],
    ['has no keys', '[]'],
    ['has a key of another length', '["aGVsbG8="]'],
    ['has what is no base64', '["!"]'],
  ])('that %s is refused by its name, with what to do, and without showing keys', (_, text) => {
    mkdirSync(dirname(file));
    writeFileSync(file, text);
    const problem = /serf\/local\.keyring.*put a copy of the file back, or remove it/;
    expect(() => load(one)).toThrow(problem);
    expect(() => load(one)).toThrow(expect.objectContaining({ name: 'StartProblem' }));
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('that cannot be written refuses the change', () => {
    const ring = load(one).keyring!;
    // A directory in the place of the file that is written first: that refuses root, too.
    mkdirSync(`${file}.new`);
    expect(ring.install(two)).toMatchObject({
      ok: false,
      error: expect.stringContaining(`cannot write ${file}`),
    });
    expect(ring.list()).toEqual([one]);
    expect(load(undefined).keyring!.list()).toEqual([one]);
  });

  test('a key of -encrypt that is none is refused', () => {
    expect(() => load('aGVsbG8=')).toThrow('encrypt has invalid key: key size must be 16, 24 or 32 bytes');
  });
});
