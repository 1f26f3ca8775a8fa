import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { bodyOf, httpClient, type KvEntry, untilAnswered } from './support/http.ts';
import type { RunningCommand } from './support/running-command.ts';
import { describeServersWithCli } from './support/servers.ts';

/** Says that it is inside, and stays until it is told something. */
const untilTold = 'echo inside; read -r line; echo leaving';

describeServersWithCli('consul lock', (server) => {
  const client = httpClient(server);
  let place: string;

  beforeEach(async () => {
    place = await mkdtemp(join(tmpdir(), 'grapevine-test-lock-'));
  });

  afterEach(() => rm(place, { recursive: true, force: true }));

  function contend(args: readonly string[], child: string): RunningCommand {
    return server.startCli(['lock', '-pass-stdin', '-verbose', ...args, child]);
  }

  test('two processes are never inside at once, and the second comes in when the first leaves', async () => {
    const first = contend(['exclusive'], untilTold);
    await first.untilPrinted('inside');
    const second = contend(['exclusive'], untilTold);
    await untilSessions(2);
    const [held] = bodyOf(await client.get('/v1/kv/exclusive/.lock')) as KvEntry[];
    expect(held).toMatchObject({ LockIndex: 1, Session: expect.any(String) });
    expect(second.stdout).not.toContain('inside');

    first.write('go\n');
    await first.untilPrinted('leaving');
    await second.untilPrinted('inside');
    const [taken] = bodyOf(await client.get('/v1/kv/exclusive/.lock')) as KvEntry[];
    expect(taken?.Session).toEqual(expect.any(String));
    expect(taken?.Session).not.toBe(held?.Session);
    second.write('go\n');
    expect(await Promise.all([first.exited(), second.exited()])).toEqual([0, 0]);
    // The last one clears away what it made.
    expect((await client.get('/v1/kv/exclusive?recurse')).status).toBe(404);
    await untilSessions(0);
  });

  test('many processes that run into each other are inside one after the other', async () => {
    const log = join(place, 'log');
    // A directory can be made once: who finds it there was not alone.
    const child = `mkdir ${place}/in || echo not alone >> ${log}; sleep 0.3; rmdir ${place}/in; echo done >> ${log}`;
    const contenders = [1, 2, 3, 4].map(() => contend(['crowded'], child));
    expect(await Promise.all(contenders.map((one) => one.exited()))).toEqual([0, 0, 0, 0]);
    expect(await readFile(log, 'utf8')).toBe('done\n'.repeat(4));
  });

  test('with -n=2, two processes are inside and a third waits for a place', async () => {
    const [first, second] = [contend(['-n=2', 'places'], untilTold), contend(['-n=2', 'places'], untilTold)];
    await Promise.all([first.untilPrinted('inside'), second.untilPrinted('inside')]);
    const third = contend(['-n=2', 'places'], untilTold);
    // It has shown up as a contender beside the two holders and the semaphore's own key.
    await untilAnswered(
      client,
      '/v1/kv/places?keys',
      ({ text }) => (JSON.parse(text) as unknown[]).length === 4,
    );
    const [lock] = bodyOf(await client.get('/v1/kv/places/.lock')) as KvEntry[];
    expect(JSON.parse(Buffer.from(lock?.Value ?? '', 'base64').toString())).toMatchObject({ Limit: 2 });
    expect(third.stdout).not.toContain('inside');

    first.write('go\n');
    await third.untilPrinted('inside');
    second.write('go\n');
    third.write('go\n');
    expect(await Promise.all([first, second, third].map((one) => one.exited()))).toEqual([0, 0, 0]);
  });

  test('another limit of the same semaphore is refused', async () => {
    const first = contend(['-n=2', 'limit'], untilTold);
    await first.untilPrinted('inside');
    const other = await server.cli(['lock', '-n=3', 'limit', 'true']);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain('semaphore limit conflict (lock: 2, local: 3)');
    first.write('go\n');
    expect(await first.exited()).toBe(0);
  });

  test('an exit code of the child is told where that is asked for', async () => {
    expect((await server.cli(['lock', '-child-exit-code', 'codes', 'exit 7'])).code).toBe(2);
    expect((await server.cli(['lock', '-child-exit-code', 'codes', 'exit 0'])).code).toBe(0);
    const ignored = await server.cli(['lock', 'codes', 'exit 7']);
    expect(ignored).toMatchObject({ code: 0, stderr: expect.stringContaining('exit status 7') });
  });

  test('a lock that is taken is given up after the time of -try', async () => {
    const holder = contend(['taken'], untilTold);
    await holder.untilPrinted('inside');
    const tried = await server.cli(['lock', '-try=500ms', 'taken', 'echo inside']);
    expect(tried).toMatchObject({ code: 1, stdout: expect.not.stringContaining('inside') });
    expect(tried.stderr).toContain('Shutdown triggered or timeout during lock acquisition');
    holder.write('go\n');
    expect(await holder.exited()).toBe(0);
  });

  test('a lock is lost with its session: the child is told to end', async () => {
    const holder = server.startCli([
      'lock',
      '-verbose',
      'lost',
      'trap "echo told; exit 0" TERM; echo inside; while :; do sleep 0.05; done',
    ]);
    await holder.untilPrinted('inside');
    const [held] = bodyOf(await client.get('/v1/kv/lost/.lock')) as KvEntry[];
    await client.put(`/v1/session/destroy/${held?.Session}`);
    await holder.untilPrinted('told');
    expect(await holder.exited()).toBe(0);
    expect(holder.stdout).toContain('Lock lost, killing child');
  });

  test('a key of another kind in the place of the lock is refused', async () => {
    await client.put('/v1/kv/kind/.lock?flags=1', 'mine');
    const refused = await server.cli(['lock', 'kind', 'true']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('Existing key does not match lock use');
  });

  async function untilSessions(count: number): Promise<void> {
    await untilAnswered(
      client,
      '/v1/session/list',
      ({ text }) => (JSON.parse(text) as unknown[]).length === count,
    );
  }
});
