import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { MigratingDoor } from './door.ts';
import { FakeSource } from './fake-source.ts';

let source: FakeSource;
let phases: FakePhases;
let migrating: MigratingDoor;
let servers: readonly string[];

beforeEach(async () => {
  servers = ['one', 'two', 'three'];
  source = await new FakeSource().open();
  source.bend = ({ url }) =>
    url === '/v1/catalog/service/consul'
      ? { status: 200, body: JSON.stringify(servers.map((id) => ({ ID: id, Node: `node-${id}` }))) }
      : undefined;
  phases = new FakePhases(ruleOf('kv', '', 'passthrough'), ruleOf('kv', 'app/', 'dual', { term: 3 }));
  migrating = await new MigratingDoor(source.address, phases).open();
});
afterEach(async () => {
  await migrating.close();
  await source.close();
});

const put = (key: string, body: string): ReturnType<typeof migrating.door.request> =>
  migrating.door.request(`/v1/kv/${key}`, { method: 'PUT', body });

test('another cluster at the address of the source is given no write, until the right one is back', async () => {
  expect((await put('app/a', 'ours')).text).toBe('true');
  servers = ['other'];
  source.delete('_gw/term/app/');
  source.delete('app/a');
  const refused = await put('app/a', 'lost?');
  expect([refused.status, refused.text.includes('another cluster answers')]).toEqual([500, true]);
  expect([source.entries.has('app/a'), source.entries.has('_gw/term/app/')]).toEqual([false, false]);
  servers = ['three', 'four'];
  expect((await put('app/a', 'again')).text).toBe('true');
});

test('another cluster that an operator accepted is written to', async () => {
  await put('app/a', 'ours');
  servers = ['other'];
  source.delete('_gw/term/app/');
  expect((await put('app/a', 'not yet')).status).toBe(500);
  Object.assign(phases, { source: { id: 'dc1:other', timeline: 1 } });
  expect((await put('app/a', 'theirs now')).text).toBe('true');
});

test('a fence that is gone in the same cluster is set again', async () => {
  await put('app/a', 'ours');
  source.delete('_gw/term/app/');
  expect((await put('app/a', 'two')).text).toBe('true');
  expect(source.entries.get('_gw/term/app/')?.value).toBe('3');
});
