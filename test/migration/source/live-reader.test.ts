import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { defaultTailLimits } from '../../../migration/live/tail/limits.ts';
import { openReader } from '../../../migration/live/tail/open-reader.ts';
import { Throttles } from '../../../migration/live/tail/throttles.ts';
import type { LiveReader } from '../../../migration/source/live-reader.ts';
import { LiveGateway, sourceSettings } from '../../support/live-gateway.ts';
import { openTcpGate, type TcpGate } from '../../support/tcp-gates.ts';
import { FakeSource } from '../live/dual/fake-source.ts';

jest.setTimeout(60_000);

// Links that are cut so that nobody is told. Nothing here ends by its own time.

const timeoutMs = 600_000;

let source: FakeSource;
let gates: readonly TcpGate[];
let reader: LiveReader;

beforeEach(async () => {
  source = await new FakeSource().open();
  const port = Number(new URL(source.address).port);
  gates = await Promise.all([openTcpGate(port), openTcpGate(port)]);
  const addresses = gates.map((gate) => `127.0.0.1:${gate.port}`);
  const settings = sourceSettings(source.address, { addresses, timeoutMs, noticeMs: 100 });
  const gateway = new LiveGateway();
  const limits = { ...defaultTailLimits, timeoutMs };
  reader = openReader(settings, gateway, limits, new Throttles(gateway.monoMs));
  source.set('a', 'one');
});
afterEach(async () => {
  reader.close();
  await Promise.all(gates.map((gate) => gate.close()));
  await source.close();
});

const value = async (): Promise<string | undefined> => {
  const read = await reader.get('a', {});
  return read.kind === 'read' ? read.entry?.text : undefined;
};

test('a question over a link that is cut ends as one that nobody answered, and the next goes to another address', async () => {
  expect(await value()).toBe('b25l');
  const first = reader.address;
  gates[0]?.cut();
  await expect(value()).rejects.toMatchObject({ kind: 'unreachable' });
  expect(reader.address).not.toBe(first);
  expect(await value()).toBe('b25l');
});

test('so does one that waits for a change, with those beside it', async () => {
  await value();
  const waiting = reader.get('a', { waiting: { index: source.index, waitMs: 60_000 } });
  while (!source.seen.some(({ url }) => url.includes('index=')))
    await new Promise((end) => setTimeout(end, 5));
  gates[0]?.cut();
  await expect(value()).rejects.toMatchObject({ kind: 'unreachable' });
  await expect(waiting).rejects.toMatchObject({ kind: 'unreachable' });
});

test('a question that its asker gave up is not the address’s trouble', async () => {
  const gone = new AbortController();
  source.bend = () => {
    gone.abort();
    return 'handled';
  };
  await expect(reader.get('a', { signal: gone.signal })).rejects.toMatchObject({ kind: 'aborted' });
  source.bend = () => undefined;
  const before = reader.address;
  await value();
  expect(reader.address).toBe(before);
});
