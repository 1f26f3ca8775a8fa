import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openKeeper } from '../../../bench/wan/keeper.ts';

test('a run takes its processes and its directory with it', async () => {
  const keeper = await openKeeper();
  const child = keeper.spawn('sleep', ['300'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  await keeper.close();
  expect(await ended).toEqual([null, 'SIGTERM']);
  expect(existsSync(keeper.place)).toBe(false);
});

test('a run removes what one that is gone has left, and nothing of one that is there', async () => {
  const first = await openKeeper();
  // This process, but not the one that had this id when that run began.
  const left = join(tmpdir(), `grapevine-wan-${process.pid}-1-left`);
  mkdirSync(left);
  try {
    const idle = ['-e', 'setInterval(() => {}, 1000)', join(left, 'data')];
    const other = first.spawn(process.execPath, idle, { stdio: 'ignore' });
    const ended = once(other, 'exit');
    const second = await openKeeper();
    // Its arguments name the directory that was left.
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(existsSync(left)).toBe(false);
    expect(existsSync(first.place)).toBe(true);
    await second.close();
  } finally {
    rmSync(left, { recursive: true, force: true });
    await first.close();
  }
});
