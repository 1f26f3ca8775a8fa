import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Confirmation, Freshness, ReadScope } from '../../../compat/fleet/port.ts';
import { catalogRoutes } from '../../../compat/routes/catalog.ts';
import { kvRoutes } from '../../../compat/routes/kv.ts';
import { sessionRoutes } from '../../../compat/routes/session.ts';
import { txnRoutes } from '../../../compat/routes/txn.ts';
import { FrontDoor, type Response } from './harness.ts';

let door: FrontDoor;
let asked: ReadScope[];
let confirm: (scope: ReadScope) => Promise<Confirmation>;
let fresh: (scope: ReadScope) => Freshness;

const confirmed: Confirmation = { kind: 'confirmed' };
const unconfirmed: Confirmation = {
  kind: 'unconfirmed',
  zone: 'eu/',
  owner: 'gw-eu',
  reason: 'gw-eu is not reachable',
};
const refusal = '500 No cluster leader: zone "eu/" is owned by gw-eu (gw-eu is not reachable)';

beforeAll(async () => {
  door = await new FrontDoor({
    routes: [...kvRoutes, ...catalogRoutes, ...sessionRoutes, ...txnRoutes],
    dispatcher: {
      freshness: (scope) => fresh(scope),
      confirm: (scope) => {
        asked.push(scope);
        return confirm(scope);
      },
    },
  }).open();
  await door.request('/v1/kv/eu/a', { method: 'PUT', body: 'one' });
});

afterAll(() => door.close());

beforeEach(() => {
  asked = [];
  confirm = () => Promise.resolve(confirmed);
  fresh = () => ({ knownLeader: true, lastContactMs: 40, remote: true });
});

const get = (path: string): Promise<Response> => door.request(path);

function headersOf({ headers }: Response): readonly unknown[] {
  return [
    headers['x-consul-knownleader'],
    headers['x-consul-lastcontact'],
    headers['x-consul-effective-consistency'],
  ];
}

describe('a read by default', () => {
  test('is answered from here, with the freshness of what it shows, and asks nobody', async () => {
    const seen: ReadScope[] = [];
    fresh = (scope) => {
      seen.push(scope);
      return { knownLeader: false, lastContactMs: seen.length };
    };
    for (const path of ['/v1/kv/eu/a', '/v1/kv/eu/?recurse', '/v1/kv/eu/?keys', '/v1/session/list']) {
      expect(headersOf(await get(path)).slice(0, 2)).toEqual(['false', String(seen.length)]);
    }
    await get('/v1/catalog/nodes');
    expect(seen).toEqual([
      { kind: 'key', key: 'eu/a' },
      { kind: 'prefix', prefix: 'eu/' },
      { kind: 'prefix', prefix: 'eu/' },
      { kind: 'sessions' },
      { kind: 'catalog' },
    ]);
    expect(asked).toEqual([]);
  });

  test('says that it may be stale where others write some of it', async () => {
    expect(headersOf(await get('/v1/catalog/nodes'))).toEqual(['true', '40', 'stale']);
    fresh = () => ({ knownLeader: true, lastContactMs: 0 });
    expect(headersOf(await get('/v1/catalog/nodes'))).toEqual(['true', '0', 'leader']);
    expect(headersOf(await get('/v1/catalog/nodes?stale'))).toEqual(['true', '0', 'stale']);
  });
});

describe('?consistent', () => {
  test('is answered once the owners confirmed, with a contact of 0', async () => {
    expect(headersOf(await get('/v1/catalog/nodes?consistent'))).toEqual(['true', '0', 'consistent']);
    await get('/v1/kv/eu/?recurse&consistent');
    expect(asked).toEqual([{ kind: 'catalog' }, { kind: 'prefix', prefix: 'eu/' }]);
  });

  test('shows what came while the owners were asked', async () => {
    confirm = async () => {
      await door.request('/v1/kv/eu/b', { method: 'PUT', body: 'late' });
      return confirmed;
    };
    expect((await get('/v1/kv/eu/b?raw&consistent')).text).toBe('late');
  });

  test('is refused while an owner cannot be reached, and says who and why', async () => {
    confirm = () => Promise.resolve(unconfirmed);
    const kv = await get('/v1/kv/eu/a?consistent');
    expect(`${kv.status} ${kv.text}`).toBe(refusal);
    expect(kv.headers).not.toHaveProperty('x-consul-index');
    const catalog = await get('/v1/catalog/nodes?consistent');
    expect(`${catalog.status} ${catalog.text}`).toBe(refusal);
    expect([catalog.headers['x-consul-index'], ...headersOf(catalog)]).toEqual([
      '1',
      'false',
      '0',
      undefined,
    ]);
  });

  test('that blocks asks again when it wakes, and answers what the owners have by then', async () => {
    const { index } = await get('/v1/kv/eu/w?consistent');
    let rounds = 0;
    confirm = async () => {
      rounds += 1;
      if (rounds === 2) await door.request('/v1/kv/eu/w', { method: 'PUT', body: 'newest' });
      return confirmed;
    };
    const waiting = get(`/v1/kv/eu/w?raw&consistent&index=${index}&wait=10s`);
    await door.untilWaiting(1);
    await door.request('/v1/kv/eu/w', { method: 'PUT', body: 'first' });
    expect((await waiting).text).toBe('newest');
    expect(rounds).toBe(2);
  });

  test('that blocks is refused when the owner is gone by the time it wakes', async () => {
    const { index } = await get('/v1/kv/eu/x?consistent');
    const waiting = get(`/v1/kv/eu/x?consistent&index=${index}&wait=10s`);
    await door.untilWaiting(1);
    confirm = () => Promise.resolve(unconfirmed);
    await door.request('/v1/kv/eu/x', { method: 'PUT', body: 'x' });
    const { status, text } = await waiting;
    expect(`${status} ${text}`).toBe(refusal);
  });

  test('of a client that went away is forgotten', async () => {
    let release: (confirmation: Confirmation) => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      confirm = () => {
        resolve();
        return new Promise((done) => {
          release = done;
        });
      };
    });
    const gone = new AbortController();
    const request = door.request('/v1/kv/eu/a?consistent', { signal: gone.signal });
    const failed = request.then(
      () => 'answered',
      () => 'aborted',
    );
    await begun;
    gone.abort();
    expect(await failed).toBe('aborted');
    release(confirmed);
    expect((await get('/v1/kv/eu/a?raw')).text).toBe('one');
    expect(door.defects).toEqual([]);
  });

  test('that fails in asking is a defect, and a 500', async () => {
    confirm = () => Promise.reject(new Error('boom'));
    expect((await get('/v1/kv/eu/a?consistent')).status).toBe(500);
    expect(door.defects.splice(0)).toEqual([new Error('boom')]);
  });
});

describe('?max_stale', () => {
  test.each([
    ['100ms', 40, 0, 'stale', '40'],
    ['10ms', 40, 1, 'leader', '0'],
    ['0s', 40, 0, 'stale', '40'],
  ])('of %s with a contact of %i ms asks %i owners', async (d, lastContactMs, owners, effective, contact) => {
    fresh = () => ({ knownLeader: true, lastContactMs, remote: true });
    const answer = await get(`/v1/catalog/nodes?max_stale=${d}`);
    expect(headersOf(answer)).toEqual(['true', contact, effective]);
    expect(asked).toHaveLength(owners);
  });

  test('is refused as a consistent read where what is here is too old and the owner is away', async () => {
    confirm = () => Promise.resolve(unconfirmed);
    const { status, text } = await get('/v1/kv/eu/a?max_stale=1ms');
    expect(`${status} ${text}`).toBe(refusal);
  });
});

describe('a transaction', () => {
  const ops = (...verbs: readonly [string, string][]): string =>
    JSON.stringify(verbs.map(([Verb, Key]) => ({ KV: { Verb, Key, Value: '' } })));

  test('that only reads is as fresh as the oldest part, and consistent when all owners confirmed', async () => {
    const body = ops(['get', 'eu/a'], ['get-tree', 'us/']);
    const consistent = await door.request('/v1/txn?consistent', { method: 'PUT', body });
    expect(consistent.status).toBe(200);
    expect(asked).toEqual([
      { kind: 'key', key: 'eu/a' },
      { kind: 'prefix', prefix: 'us/' },
    ]);
    confirm = ({ kind }) => Promise.resolve(kind === 'key' ? unconfirmed : confirmed);
    const { status, text } = await door.request('/v1/txn?consistent', { method: 'PUT', body });
    expect(`${status} ${text}`).toBe(refusal);
  });

  test('that writes is decided by the owner, and asks nobody before', async () => {
    const body = ops(['set', 'eu/t']);
    expect((await door.request('/v1/txn?consistent', { method: 'PUT', body })).status).toBe(200);
    expect(asked).toEqual([]);
  });
});
