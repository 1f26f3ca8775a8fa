import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalCatalogValue } from '../../../migration/canonical.ts';
import { digestCatalog, digestKv } from '../../../migration/digest.ts';
import { compareUtf8 } from '../../../src/kernel/utf8-order.ts';
import { ask } from '../../support/ask.ts';
import { StateFixture } from '../../support/state.ts';

let fixture: StateFixture;

const mirrorDigest = {
  kv: digestKv,
  catalog: (kind: 'node' | 'service' | 'check', entry: Parameters<typeof canonicalCatalogValue>[1]) =>
    digestCatalog(kind, canonicalCatalogValue(kind, entry)),
};

beforeEach(() => {
  fixture = new StateFixture({ mirrorDigest });
});

interface Held {
  readonly Entries: readonly {
    readonly Key: string;
    readonly Stamp: number;
    readonly Term: number;
    readonly Deleted: boolean;
    readonly Digest: string;
  }[];
  readonly More: boolean;
}

async function apply(records: readonly object[], over: object = {}): Promise<Record<string, unknown>> {
  const body = { Source: 's', Timeline: 1, Records: records, Cursors: {}, ...over };
  const answer = await ask(fixture, 'POST', '/v1/grapevine/mirror/apply', body);
  if (answer.status !== 200) return { status: answer.status, body: answer.body };
  return JSON.parse(answer.body) as Record<string, unknown>;
}

async function held(kind: string, over: Record<string, string> = {}): Promise<Held> {
  const query = new URLSearchParams({ source: 's', kind, ...over });
  const answer = await ask(fixture, 'GET', `/v1/grapevine/mirror/held?${query}`);
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body) as Held;
}

const kv = (key: string, stamp = 5, value: string | null = 'eA==', flags: number | bigint = 0): object => ({
  Kind: 'kv',
  Key: key,
  Stamp: stamp,
  Created: 1,
  Value: value,
  Flags: flags,
});

const node = {
  Kind: 'node',
  Key: 'Web-1',
  Stamp: 5,
  Created: 5,
  Value: { Node: 'Web-1', Address: '10.0.0.1' },
};
const serviceValue = {
  ID: 'web/a',
  Service: 'web',
  Tags: ['x'],
  Port: 80,
  Weights: { Passing: 1, Warning: 1 },
  Meta: { k: 'v' },
  Proxy: { MeshGateway: {}, Expose: {} },
  Connect: {},
};
const service = { Kind: 'service', Key: 'Web-1/web/a', Stamp: 6, Created: 6, Value: serviceValue };

describe('what a mirror may ask', () => {
  test('before anything was mirrored the state is empty', async () => {
    const { body } = await ask(fixture, 'GET', '/v1/grapevine/mirror/state?source=s');
    expect(JSON.parse(body)).toEqual({
      Source: 's',
      Timeline: 0,
      Cursors: {},
      GatewayNode: 'gateway',
      GatewayNodes: ['gateway'],
      Datacenter: 'dc1',
      OtherSources: [],
    });
  });

  test('progress is committed with the records that it covers', async () => {
    await apply([kv('a')], { Cursors: { root: '5' } });
    await apply([kv('b')], { Source: 'other' });
    const { body } = await ask(fixture, 'GET', '/v1/grapevine/mirror/state?source=s');
    expect(JSON.parse(body)).toMatchObject({ Timeline: 1, Cursors: { root: '5' }, OtherSources: ['other'] });
  });

  test('keys and values come through, flags with all of their 64 bits, an empty value as null', async () => {
    const flags = 3_304_740_253_564_472_344n;
    const body = `{"Source":"s","Timeline":1,"Cursors":{},"Records":[{"Kind":"kv","Key":"a","Stamp":5,"Created":1,"Value":"eA==","Flags":${flags}},{"Kind":"kv","Key":"b","Stamp":6,"Created":1,"Value":null,"Flags":0}]}`;
    const answer = await ask(fixture, 'POST', '/v1/grapevine/mirror/apply', body);
    expect(JSON.parse(answer.body)).toMatchObject({ Applied: 2, Refused: [], Conflicts: [] });
    const shown = await ask(fixture, 'GET', '/v1/kv/a');
    expect(shown.body).toContain(`"Flags":${flags},"Value":"eA=="`);
    const entries = (await held('kv')).Entries;
    expect(entries.map(({ Digest }) => Digest)).toEqual([
      digestKv(Buffer.from('x'), flags),
      digestKv(new Uint8Array(), 0n),
    ]);
  });

  test('catalog entries are found by their names, and have the digest that the source computes', async () => {
    const check = {
      Kind: 'check',
      Key: 'Web-1/alive',
      Stamp: 7,
      Created: 7,
      Value: { CheckID: 'alive', Name: 'alive', Status: 'passing', ServiceID: 'web/a', ServiceName: 'web' },
    };
    expect(await apply([node, service, check])).toMatchObject({ Applied: 3, Refused: [] });
    const shown = await ask(fixture, 'GET', '/v1/health/service/web');
    expect(JSON.parse(shown.body)).toMatchObject([
      { Node: { Node: 'Web-1' }, Service: { ID: 'web/a', Port: 80 }, Checks: [{ CheckID: 'alive' }] },
    ]);
    for (const record of [node, service, check]) {
      const kind = record.Kind as 'node' | 'service' | 'check';
      expect((await held(kind)).Entries).toMatchObject([
        { Key: record.Key, Stamp: record.Stamp, Term: 0, Digest: mirrorDigest.catalog(kind, record.Value) },
      ]);
    }
  });

  test('an entry with something that cannot be kept still compares as the one that was copied', async () => {
    const odd = { ...serviceValue, Weights: undefined, Proxy: { Unheard: { of: 1 } } };
    const value = JSON.parse(JSON.stringify(odd)) as typeof serviceValue;
    await apply([node, { ...service, Value: value }]);
    expect((await held('service')).Entries).toMatchObject([
      { Digest: mirrorDigest.catalog('service', value) },
    ]);
  });

  test('pages are in bytewise order and hold every entry once, tombstones included', async () => {
    const name = fc.stringMatching(/^[a-c.A-]{1,4}$/);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(name, { selector: (text) => text.toLowerCase(), minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (names, limit) => {
          fixture = new StateFixture({ mirrorDigest });
          await apply([
            ...names.map((each) => kv(each)),
            ...names.map((each) => ({ ...node, Key: each, Value: { Node: each } })),
            ...names.map((each) => ({ ...service, Key: `${each}/s`, Value: { ...serviceValue, ID: 's' } })),
            { Kind: 'kv', Key: 'zz', Stamp: 9, Deleted: true },
          ]);
          const expected = {
            kv: [...names, 'zz'].toSorted(compareUtf8),
            node: names.toSorted(compareUtf8),
            service: names.map((each) => `${each}/s`).toSorted(compareUtf8),
          };
          for (const kind of ['kv', 'node', 'service'] as const) {
            const seen: string[] = [];
            for (let more = true; more;) {
              const page = await held(kind, { limit: String(limit), after: seen.at(-1) ?? '' });
              expect(page.Entries.length).toBeLessThanOrEqual(limit);
              seen.push(...page.Entries.map(({ Key }) => Key));
              more = page.More;
            }
            expect(seen).toEqual(expected[kind]);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a prefix is one of the names as the mirror writes them', async () => {
    await apply([node, service, kv('a/b'), kv('a'), kv('b')]);
    expect((await held('kv', { prefix: 'a' })).Entries.map(({ Key }) => Key)).toEqual(['a', 'a/b']);
    expect((await held('kv', { prefix: 'a', after: 'a' })).Entries.map(({ Key }) => Key)).toEqual(['a/b']);
    expect((await held('service', { prefix: 'Web-1/' })).Entries.map(({ Key }) => Key)).toEqual([
      'Web-1/web/a',
    ]);
    expect((await held('service', { prefix: 'web-1/' })).Entries).toEqual([]);
  });
});

describe('what a mirror may not', () => {
  test('each record that cannot be taken is named with its reason; the others are applied', async () => {
    const outcome = await apply([
      kv('good'),
      kv(''),
      kv('stamp', 0),
      kv('base64', 5, '!!'),
      kv('large', 5, Buffer.alloc(524_289).toString('base64')),
      { Kind: 'nope', Key: 'x', Stamp: 1 },
      { Kind: 'node', Key: 'Gateway', Stamp: 5, Value: { Node: 'Gateway' } },
      { Kind: 'service', Key: 'gateway/web', Stamp: 5, Deleted: true },
      { Kind: 'service', Key: 'noslash', Stamp: 5, Deleted: true },
      { Kind: 'node', Key: 'a', Stamp: 5, Value: { Node: 'b' } },
      { Kind: 'check', Key: 'a/c', Stamp: 5, Value: { CheckID: 'c', Node: 'z' } },
      { Kind: 'node', Key: 'a', Stamp: 5 },
    ]);
    expect(outcome).toMatchObject({ Applied: 1 });
    expect((outcome['Refused'] as { Why: string }[]).map(({ Why }) => Why)).toEqual([
      'Key is empty',
      'Stamp must be the ModifyIndex, 1 or above',
      'illegal base64 data at input byte 0',
      'value of 524289 bytes is above kv_max_value_size (524288 bytes)',
      'Kind must be kv, node, service or check',
      'node "Gateway" is a gateway\'s own',
      'node "gateway" is a gateway\'s own',
      'Key of a service is <node>/<id>',
      'Value is of "b", but Key names "a"',
      'Value is on node "z", but Key names "a"',
      'Value must be an object',
    ]);
  });

  test('what was written here comes back as a conflict, with the version that is held', async () => {
    await apply([kv('a')]);
    await ask(fixture, 'PUT', '/v1/kv/a', 'local');
    const outcome = await apply([{ Kind: 'kv', Key: 'a', Stamp: 9, Deleted: true }]);
    expect(outcome['Conflicts']).toMatchObject([{ Kind: 'kv', Key: 'a', HeldTerm: 1, HeldTimeline: 0 }]);
  });

  test.each([
    [{ Source: '' }, 400, 'Missing source'],
    [{ Timeline: -1 }, 400, 'Invalid Timeline: 0 or above is allowed'],
    [{ Records: [1] }, 400, 'Request decode failed: Records[0] must be an object'],
    [
      { Records: Array.from({ length: 1025 }, () => ({})) },
      413,
      'Too many records: 1025, at most 1024 are taken',
    ],
  ])('a batch with %j is refused whole', async (over, status, body) => {
    expect(await apply([], over)).toEqual({ status, body });
  });

  test.each([
    ['kind=kv', 'Missing source'],
    ['source=s&kind=x', 'Invalid kind: kv, node, service or check is allowed'],
    ['source=s&kind=kv&limit=0', 'Invalid limit: 1 to 1000 is allowed'],
  ])('held?%s is refused', async (query, body) => {
    expect(await ask(fixture, 'GET', `/v1/grapevine/mirror/held?${query}`)).toMatchObject({
      status: 400,
      body,
    });
  });
});
