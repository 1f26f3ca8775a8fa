import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FrontDoor } from './harness.ts';

let door: FrontDoor;
let dir: string;
beforeEach(() => {
  door = new FrontDoor();
  dir = mkdtempSync(join(tmpdir(), 'grapevine-test-listen-'));
});
afterEach(async () => {
  await door.close();
  rmSync(dir, { recursive: true, force: true });
});

function statusOver(socketPath: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/v1/kv/none' }, (res) => {
      res.resume();
      resolve(res.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

describe('listening', () => {
  test('on a unix socket with its mode, also where a killed process left one', async () => {
    const path = join(dir, 'http.sock');
    await door.server.listen({ kind: 'unix', path, mode: '600' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await statusOver(path)).toBe(404);
    // A second listener on the path takes it over, as after a kill.
    const next = new FrontDoor();
    await next.server.listen({ kind: 'unix', path, mode: undefined });
    expect(await statusOver(path)).toBe(404);
    await next.close();
  });

  test('never removes a file that is no socket', async () => {
    const path = join(dir, 'precious');
    writeFileSync(path, 'data');
    await expect(door.server.listen({ kind: 'unix', path, mode: undefined })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    expect(statSync(path).size).toBe(4);
  });

  test('on a port that is taken is refused with the error of the system', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    await expect(door.server.listen({ kind: 'tcp', host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    other.close();
  });
});
