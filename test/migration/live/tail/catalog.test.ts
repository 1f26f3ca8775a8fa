import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { Kind } from '../../../../src/state/kinds.ts';
import { mirrorName } from '../../../../src/state/mirror.ts';
import { FakeSource } from './fake-source.ts';
import { TailFixture, until } from './fixture.ts';

jest.setTimeout(60_000);

const source = { current: new FakeSource() };
let fixture: TailFixture;

function register(
  node: string,
  service: string,
  port: number,
  more: { meta?: Record<string, string> } = {},
): void {
  const fake = source.current;
  fake.catalogIndex += 1;
  const index = fake.catalogIndex;
  const shared = { node, createIndex: index, modifyIndex: index };
  drop(node, service);
  const had = fake.nodeItems.some((item) => item.node === node);
  if (!had) {
    const raw = { Node: node, Address: '10.0.0.1', Meta: more.meta ?? {} };
    fake.nodeItems.push({ ...shared, id: '', raw });
    fake.checkItems.push({
      ...{ ...shared, id: 'serfHealth' },
      raw: { Node: node, CheckID: 'serfHealth', Name: 'Serf', Status: 'passing' },
    });
  }
  fake.serviceItems.push({
    ...{ ...shared, id: service, name: service },
    raw: { ID: service, Service: service, Port: port, Tags: ['a'] },
  });
  fake.touchCatalog();
}

function drop(node: string, service?: string): void {
  const fake = source.current;
  const isGone = (item: { node: string; id: string }): boolean =>
    item.node === node && (service === undefined || item.id === service);
  fake.serviceItems = fake.serviceItems.filter((item) => !isGone(item));
  if (service !== undefined) return;
  fake.nodeItems = fake.nodeItems.filter((item) => item.node !== node);
  fake.checkItems = fake.checkItems.filter((item) => item.node !== node);
}

function names(kind: typeof Kind.node | typeof Kind.service | typeof Kind.check): readonly string[] {
  return [...fixture.state.store.range(kind, '', undefined)]
    .filter((row) => row.value !== null)
    .map(mirrorName);
}

async function mirrored(): Promise<void> {
  fixture = new TailFixture(source.current);
  fixture.members = [
    { nodeId: 'gateway-id', nodeName: 'gateway', region: '', alive: true },
    { nodeId: 'other', nodeName: 'Gateway-2', region: '', alive: false },
  ];
  fixture.tail.start();
  const outcome = fixture.step('catalog', '', 'mirror');
  if (outcome.kind !== 'migration') throw new Error(JSON.stringify(outcome));
  await until(
    () => fixture.tail.progress('catalog', '')?.backfilled === true,
    () => fixture.tail.status(),
  );
}

afterEach(async () => {
  await fixture.tail.stop();
  source.current = new FakeSource();
});

describe('the live mirror of the catalog', () => {
  test('copies nodes, services and checks, then follows them', async () => {
    register('web-1', 'web', 80);
    await mirrored();
    expect([names(Kind.node), names(Kind.service), names(Kind.check)]).toEqual([
      ['web-1'],
      ['web-1/web'],
      ['web-1/serfHealth'],
    ]);
    register('web-2', 'web', 80);
    await until(
      () => names(Kind.service).includes('web-2/web'),
      () => fixture.tail.status(),
    );
    drop('web-1', 'web');
    source.current.touchCatalog();
    await until(() => !names(Kind.service).includes('web-1/web'));
    drop('web-2');
    source.current.touchCatalog();
    await until(() => names(Kind.node).join() === 'web-1');
    expect(names(Kind.check)).toEqual(['web-1/serfHealth']);
  });

  test('leaves alone the service of the servers, every gateway’s node, and what gateways show there', async () => {
    register('server-1', 'consul', 8300);
    register('GATEWAY-2', 'web', 80);
    register('grapevine-gateway', 'own', 80, { meta: { 'grapevine-origin': 'gateway' } });
    register('web-1', 'web', 80);
    await mirrored();
    expect(names(Kind.node)).toEqual(['server-1', 'web-1']);
    expect(names(Kind.service)).toEqual(['web-1/web']);
    expect(names(Kind.check)).toEqual(['server-1/serfHealth', 'web-1/serfHealth']);
  });

  test('deletes nothing on one reading', async () => {
    for (const name of ['web-1', 'web-2']) register(name, 'web', 80);
    await mirrored();
    const fake = source.current;
    const all = fake.serviceItems;
    fake.serviceItems = all.filter(({ node }) => node !== 'web-2');
    const service = fake.service;
    let reads = 0;
    Object.assign(fake, {
      service: (...ask: Parameters<typeof service>) => {
        const answer = service(...ask);
        reads += 1;
        fake.serviceItems = all;
        return answer;
      },
    });
    fake.touchCatalog();
    await until(() => reads >= 2);
    await fixture.tail.compareNow('catalog', '', 2000);
    expect(names(Kind.service)).toEqual(['web-1/web', 'web-2/web']);
  });

  test('deletes nothing that ACLs may hide', async () => {
    source.current.selfAnswer = { ...source.current.selfAnswer, aclsEnabled: true };
    for (const name of ['web-1', 'web-2']) register(name, 'web', 80);
    await mirrored();
    drop('web-2');
    register('web-1', 'web', 81);
    await until(() => fixture.commands.filter(({ kind }) => kind === 'mirror-apply').length > 2);
    expect(names(Kind.node)).toEqual(['web-1', 'web-2']);
    const problem = (): string | undefined => fixture.tail.progress('catalog', '')?.problem;
    // Its node, its service and its check.
    await until(() => problem()?.startsWith('3 entries of the catalog') === true, problem);
    register('web-2', 'web', 80);
    await until(() => problem() === undefined, problem);
  });

  test('holds back the end of very many entries until a human says so', async () => {
    for (let at = 0; at < 60; at += 1) register(`web-${String(at)}`, 'web', 80);
    await mirrored();
    for (let at = 0; at < 50; at += 1) drop(`web-${String(at)}`);
    source.current.touchCatalog();
    await until(() => fixture.tail.progress('catalog', '')?.breaker !== undefined);
    expect(names(Kind.node)).toHaveLength(60);
    expect(fixture.tail.answerBreaker('', true)).toBe(true);
    await until(
      () => names(Kind.node).length === 10,
      () => fixture.tail.status(),
    );
  });
});
