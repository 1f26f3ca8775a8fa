import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { cliOf, describeCli } from './consul-cli.ts';

describeCli('consul kv', (server) => {
  const kv = (...args: string[]): Promise<string> => cliOf(server())(['kv', ...args]);

  test('put and get a value, with flags, in all its forms', async () => {
    expect(await kv('put', 'redis/maxconns', '25')).toBe('Success! Data written to: redis/maxconns\n');
    expect(await kv('get', 'redis/maxconns')).toBe('25\n');
    await kv('put', '-flags=42', 'redis/maxconns', '30');
    expect(await kv('get', '-detailed', 'redis/maxconns')).toMatch(
      /CreateIndex +\d+\nFlags +42\nKey +redis\/maxconns\nLockIndex +0\nModifyIndex +\d+\nSession +-\nValue +30\n/,
    );
    expect(await kv('put', 'empty')).toContain('Success!');
    expect(await kv('get', 'empty')).toBe('\n');
    await kv('put', '-base64', 'decoded', Buffer.from('plain').toString('base64'));
    expect(await kv('get', 'decoded')).toBe('plain\n');
    expect(await kv('get', '-base64', 'decoded')).toBe(`${Buffer.from('plain').toString('base64')}\n`);
  });

  test('put reads a file, and stdin', async () => {
    const place = await mkdtemp(join(tmpdir(), 'grapevine-test-kv-'));
    await writeFile(join(place, 'value'), 'from a file');
    await kv('put', 'filed', `@${join(place, 'value')}`);
    await rm(place, { recursive: true });
    expect(await kv('get', 'filed')).toBe('from a file\n');
    await cliOf(server())(['kv', 'put', 'piped', '-'], { stdin: 'from stdin' });
    expect(await kv('get', 'piped')).toBe('from stdin\n');
  });

  test('get of what is not there fails with the key', async () => {
    await expect(kv('get', 'nowhere')).rejects.toThrow('Error! No key exists at: nowhere');
  });

  test('get lists keys and trees', async () => {
    await kv('put', 'tree/a', '1');
    await kv('put', 'tree/b/c', '2');
    expect(await kv('get', '-keys', 'tree/')).toBe('tree/a\ntree/b/\n');
    expect(await kv('get', '-keys', '-separator=', 'tree/')).toBe('tree/a\ntree/b/c\n');
    expect(await kv('get', '-recurse', 'tree/')).toBe('tree/a:1\ntree/b/c:2\n');
    expect(await kv('get', '-stale', 'tree/a')).toBe('1\n');
  });

  test('put and delete check the index that they are given', async () => {
    await kv('put', '-cas', '-modify-index=0', 'cas', 'first');
    await expect(kv('put', '-cas', '-modify-index=0', 'cas', 'second')).rejects.toThrow('CAS failed');
    const index = /ModifyIndex +(\d+)/.exec(await kv('get', '-detailed', 'cas'))?.[1] ?? '';
    await kv('put', '-cas', `-modify-index=${index}`, 'cas', 'second');
    await expect(kv('delete', '-cas', `-modify-index=${index}`, 'cas')).rejects.toThrow('CAS failed');
    expect(await kv('get', 'cas')).toBe('second\n');
    const now = /ModifyIndex +(\d+)/.exec(await kv('get', '-detailed', 'cas'))?.[1] ?? '';
    expect(await kv('delete', '-cas', `-modify-index=${now}`, 'cas')).toContain('Success! Deleted key: cas');
  });

  test('delete takes a key, or all under a prefix', async () => {
    await kv('put', 'gone/a', '1');
    await kv('put', 'gone/b', '2');
    expect(await kv('delete', 'gone/a')).toBe('Success! Deleted key: gone/a\n');
    await expect(kv('get', 'gone/a')).rejects.toThrow('No key exists');
    expect(await kv('delete', '-recurse', 'gone/')).toBe('Success! Deleted keys with prefix: gone/\n');
    expect(await kv('get', '-keys', 'gone/')).toBe('');
  });

  test('acquire and release a lock', async () => {
    const response = await fetch(`${server().url}/v1/session/create`, { method: 'PUT' });
    const { ID: session } = (await response.json()) as { ID: string };
    expect(await kv('put', '-acquire', `-session=${session}`, 'held', 'mine')).toContain(
      'Lock acquired on: held',
    );
    expect(await kv('get', '-detailed', 'held')).toMatch(new RegExp(`LockIndex +1\n[^]*Session +${session}`));
    expect(await kv('put', '-release', `-session=${session}`, 'held', 'free')).toContain(
      'Lock released on: held',
    );
  });

  test('what is exported is imported, flags and bytes and all', async () => {
    await kv('put', '-flags=18446744073709551615', 'export/a', 'one');
    await kv('put', '-base64', 'export/b', Buffer.from([0, 1, 255]).toString('base64'));
    const exported = await kv('export', 'export/');
    expect(JSON.parse(exported)).toEqual([
      expect.objectContaining({ key: 'export/a', value: Buffer.from('one').toString('base64') }),
      expect.objectContaining({ key: 'export/b', flags: 0, value: 'AAH/' }),
    ]);
    await kv('delete', '-recurse', 'export/');
    expect(await cliOf(server())(['kv', 'import', '-'], { stdin: exported })).toBe(
      'Imported: export/a\nImported: export/b\n',
    );
    expect(await kv('export', 'export/')).toBe(exported);
    expect(exported).toContain('18446744073709551615');
  });
});
