import { describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway, type GatewayProcess } from '../support/gateway-process.ts';
import { takePortBlock } from '../support/port-block.ts';
import { Client, listAll } from './client.ts';
import { spawnGateway, untilServing } from './spawned.ts';
import {
  DeleteWriter,
  IndexWatch,
  PutWriter,
  SharedCounter,
  TxnWriter,
  writeUntilGone,
  type Writer,
} from './workload.ts';

// More of both for a long soak: GRAPEVINE_CRASH_ROUNDS=1000 GRAPEVINE_CRASH_MINUTES=60.
const rounds = Number(process.env['GRAPEVINE_CRASH_ROUNDS'] ?? 20);
const minutes = Number(process.env['GRAPEVINE_CRASH_MINUTES'] ?? 0.75);
const loadMsMax = 700;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface Load {
  readonly writers: readonly Writer[];
  readonly indexes: IndexWatch;
}

/** One life of the gateway: load, then SIGKILL at a random moment of it. */
async function liveAndDie(gateway: GatewayProcess, { writers, indexes }: Load): Promise<void> {
  const writing = writeUntilGone(gateway.url, writers);
  const watching = (async () => {
    try {
      for (;;) await indexes.look(gateway.url);
    } catch {
      // The gateway is gone, as it is meant to be.
    }
  })();
  await sleep(Math.random() * loadMsMax);
  await gateway.kill();
  await Promise.all([writing, watching]);
}

async function problemsAfterRestart(
  gateway: GatewayProcess,
  { writers, indexes }: Load,
): Promise<readonly string[]> {
  const { index, entries } = await listAll(gateway.url, 'crash/');
  const problems = [...indexes.check(index, entries), ...writers.flatMap((writer) => writer.check(entries))];
  const client = new Client(gateway.url);
  const put = await client.send('PUT', '/v1/kv/crash/after', String(Math.random()));
  const after = await client.send('GET', '/v1/kv/crash/after');
  client.close();
  if (put?.text !== 'true') problems.push(`a write after the restart got ${JSON.stringify(put)}`);
  if ((after?.index ?? 0) <= index)
    problems.push(`a write after the restart got index ${after?.index}, not above ${index}`);
  return problems;
}

describe('kill -9', () => {
  test(
    'at random moments under concurrent writes loses nothing acknowledged, halves no transaction, takes no index back',
    async () => {
      const counter = new SharedCounter();
      const load: Load = {
        writers: [
          new PutWriter('small', 0),
          new PutWriter('medium', 2000),
          new PutWriter('large', 30_000),
          new TxnWriter('one'),
          new TxnWriter('two'),
          new DeleteWriter('one'),
          counter.writer(),
          counter.writer(),
        ],
        indexes: new IndexWatch(),
      };
      const gateway = await startGateway();
      const until = Date.now() + minutes * 60_000;
      let done = 0;
      try {
        for (; done < rounds && Date.now() < until; done++) {
          await liveAndDie(gateway, load);
          // Now and then it is killed once more while it starts, when the log of the last life is read.
          if (done % 4 === 3) {
            const starting = gateway.restart().catch(() => undefined);
            await sleep(Math.random() * 800);
            await gateway.kill();
            await starting;
          }
          await gateway.restart();
          expect(await problemsAfterRestart(gateway, load)).toEqual([]);
        }
        const acknowledged = load.writers.map((writer) => writer.acknowledged());
        console.log(`${done} kills; writes acknowledged per writer: ${acknowledged.join(' ')}`);
        expect(Math.min(...acknowledged)).toBeGreaterThan(0);
      } finally {
        await gateway.stop();
      }
    },
    (minutes + 1) * 60_000,
  );

  test('during the very first start leaves a data directory that the next start can use', async () => {
    const ports = await takePortBlock();
    const place = await mkdtemp(join(tmpdir(), 'grapevine-test-first-'));
    try {
      for (let round = 0; round < 4; round++) {
        const dataDir = join(place, String(round));
        const first = spawnGateway({ dataDir, ports });
        // From the first thing that it leaves on the disk on: that is what a kill could cut in two.
        while (!existsSync(dataDir)) await sleep(1);
        await sleep(Math.random() * 100);
        await first.kill();
        const second = spawnGateway({ dataDir, ports });
        await untilServing(second);
        const client = new Client(second.url);
        expect((await client.send('PUT', '/v1/kv/a', 'x'))?.text).toBe('true');
        client.close();
        await second.kill();
      }
    } finally {
      await ports.release();
      await rm(place, { recursive: true, force: true });
    }
  }, 60_000);
});
