import { describe, expect, test } from '@jest/globals';
import { snapshotRoutes } from '../../../compat/routes/snapshot.ts';
import type { RestoreResult, SnapshotPort } from '../../../compat/snapshot/snapshot-port.ts';
import type { RouteResult } from '../../../compat/wire/http.ts';
import { apiRequest, StateFixture } from '../../support/state.ts';

async function* chunks(...parts: readonly string[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const part of parts) yield new TextEncoder().encode(part);
}

async function read(stream: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += new TextDecoder().decode(chunk);
  return text;
}

class FakeSnapshots implements SnapshotPort {
  restored: string | undefined;
  result: RestoreResult = { kind: 'restored', written: 1, deleted: 0, unchanged: 0 };

  async save(): Promise<AsyncIterable<Uint8Array>> {
    return chunks('arch', 'ive');
  }

  async restore(archive: AsyncIterable<Uint8Array>): Promise<RestoreResult> {
    this.restored = await read(archive);
    return this.result;
  }
}

function serve(snapshots: SnapshotPort, method: 'GET' | 'PUT', url: string, body = ''): RouteResult {
  const handler = snapshotRoutes[0]?.methods[method];
  if (handler === undefined) throw new Error(`no ${method}`);
  return handler(
    { ...apiRequest(method, url), stream: chunks(body) },
    new StateFixture({ snapshots }).context,
  );
}

describe('/v1/snapshot', () => {
  test('GET streams an archive with the headers of a read', async () => {
    const result = serve(new FakeSnapshots(), 'GET', '/v1/snapshot');
    if (result.kind !== 'download') throw new Error(result.kind);
    expect(result.contentType).toBe('application/x-gzip');
    expect(result.headers).toMatchObject({ 'X-Consul-Knownleader': 'true' });
    expect(Number(result.headers?.['X-Consul-Index'])).toBeGreaterThan(1);
    const opened = await result.open;
    if ('kind' in opened) throw new Error('refused');
    expect(await read(opened)).toBe('archive');
  });

  test('PUT hands over the body as it comes, and answers what came of it', async () => {
    const snapshots = new FakeSnapshots();
    const done = serve(snapshots, 'PUT', '/v1/snapshot', 'bytes');
    expect(done.kind === 'later' && (await done.reply)).toMatchObject({ status: 200, body: '' });
    expect(snapshots.restored).toBe('bytes');
    snapshots.result = { kind: 'refused', message: 'damaged' };
    const refused = serve(snapshots, 'PUT', '/v1/snapshot', 'bytes');
    expect(refused.kind === 'later' && (await refused.reply)).toMatchObject({ status: 500, body: 'damaged' });
  });

  test('nothing is replaced for a request that meant another datacenter', async () => {
    const snapshots = new FakeSnapshots();
    const result = serve(snapshots, 'PUT', '/v1/snapshot?dc=elsewhere', 'bytes');
    expect(result.kind === 'later' && (await result.reply)).toMatchObject({
      status: 500,
      body: 'No path to datacenter',
    });
    expect(snapshots.restored).toBeUndefined();
  });
});
