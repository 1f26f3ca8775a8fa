import { expect, test } from '@jest/globals';
import type { Observed } from '../../../../migration/live/ports.ts';
import { ObservedPassed } from '../../../../migration/live/route/observe-passed.ts';
import {
  FakePhases,
  LiveGateway,
  partContext,
  ruleOf,
  sourceSettings,
} from '../../../support/live-gateway.ts';
import { apiRequest } from '../../../support/state.ts';

test('a passed read is told of with what its headers say, and one that nobody wants is not followed', async () => {
  const rule = ruleOf('kv', '', 'shadow');
  const context = partContext(new LiveGateway(), new FakePhases(rule), sourceSettings('source:8500'));
  const told: Observed[] = [];
  let wanted = true;
  const observed = new ObservedPassed({
    ...context,
    evidence: { ...context.evidence, wants: () => wanted, observed: (each) => void told.push(each) },
  });
  const body = Buffer.from('[]');
  const headers = ['Content-Type', 'application/json', 'x-consul-index', '7', 'Content-Encoding', 'gzip'];
  const request = apiRequest('GET', '/v1/kv/k');
  const reply = Promise.resolve({ status: 200, headers, body });
  observed.follow(request, [rule], 0, reply);
  wanted = false;
  observed.follow(request, [rule], 0, reply);
  wanted = true;
  observed.follow(request, [rule], 0, Promise.reject(new Error('the client went away')));
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield body;
  }
  observed.follow(request, [rule], 0, Promise.resolve({ status: 200, headers: [], body: pieces() }));
  while (told.length < 2) {
    // oxlint-disable-next-line no-await-in-loop -- a turn of the event loop
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  expect(told).toMatchObject([
    { answeredBy: 'source', status: 200, index: 7, contentType: 'application/json', encoding: 'gzip', body },
    { answeredBy: 'source', status: 200, index: 0, body: null },
  ]);
});
