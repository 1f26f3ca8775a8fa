import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { kvRoutes } from '../../../compat/routes/kv.ts';
import type { Read } from '../../../compat/wire/http.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { apiRequest, StateFixture } from '../../support/state.ts';

function read(url: string): Read {
  const request = apiRequest('GET', url);
  const result = kvRoutes[0]?.methods.GET?.(
    { ...request, rest: request.path.slice('/v1/kv/'.length) },
    {} as never,
  );
  if (result?.kind !== 'read') throw new Error(`${url} is not a read`);
  return result;
}

function put(fixture: StateFixture, key: string, body = 'x'): number {
  fixture.request(kvRoutes, 'PUT', `/v1/kv/${key}`, body);
  return fixture.replica.highestIndex;
}

function remove(fixture: StateFixture, key: string): number {
  fixture.request(kvRoutes, 'DELETE', `/v1/kv/${key}`);
  return fixture.replica.highestIndex;
}

function indexOf(fixture: StateFixture, url: string): number | undefined {
  return fixture.evaluate(kvRoutes, url).index;
}

describe('reads that share an answer', () => {
  test('are told apart by everything that their answer depends on', () => {
    const part = fc.constantFrom('a', ':', 'r', 'p', 'rp', '1', '/', '::', 'r:a', 'p:a', '0:');
    const query = fc.record({
      key: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('')),
      how: fc.constantFrom('', 'raw', 'recurse', 'keys'),
      separator: fc.array(part, { maxLength: 2 }).map((parts) => parts.join('')),
      pretty: fc.boolean(),
    });
    fc.assert(
      fc.property(query, query, (a, b) => {
        const [one, two] = [a, b].map(({ key, how, separator, pretty }) => ({
          // What the answer depends on, in a form of its own.
          meaning: JSON.stringify([key, how, how === 'keys' ? separator : '', pretty]),
          key: read(
            `/v1/kv/${encodeURIComponent(key)}?x&${how}&separator=${encodeURIComponent(separator)}${pretty ? '&pretty' : ''}`,
          ).key,
        }));
        expect(one?.key === two?.key).toBe(one?.meaning === two?.meaning);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the index of a KV answer', () => {
  test('of a key is its ModifyIndex, whatever happens to others', () => {
    const fixture = new StateFixture();
    const index = put(fixture, 'a');
    put(fixture, 'b');
    expect(indexOf(fixture, '/v1/kv/a')).toBe(index);
    expect(indexOf(fixture, '/v1/kv/a?raw')).toBe(index);
  });

  test('of a missing key is that of the table, above every answer that it was in', () => {
    const fixture = new StateFixture();
    put(fixture, 'a');
    const gone = remove(fixture, 'a');
    expect(indexOf(fixture, '/v1/kv/a')).toBe(gone);
    const last = put(fixture, 'b');
    expect(indexOf(fixture, '/v1/kv/a')).toBe(last);
    expect(indexOf(fixture, '/v1/kv/never')).toBe(last);
  });

  test.each(['recurse', 'keys'])('of a prefix (%s) is the highest below it, deletions included', (how) => {
    const fixture = new StateFixture();
    put(fixture, 'p/a');
    const second = put(fixture, 'p/b');
    put(fixture, 'q');
    expect(indexOf(fixture, `/v1/kv/p/?${how}`)).toBe(second);
    const deleted = remove(fixture, 'p/a');
    put(fixture, 'q', 'y');
    expect(indexOf(fixture, `/v1/kv/p/?${how}`)).toBe(deleted);
    const last = remove(fixture, 'p/b');
    put(fixture, 'q', 'z');
    expect(fixture.evaluate(kvRoutes, `/v1/kv/p/?${how}`)).toMatchObject({ status: 404, index: last });
  });

  test.each(['recurse', 'keys'])(
    'of all keys (%s) and of a prefix without any is that of the table',
    (how) => {
      const fixture = new StateFixture();
      put(fixture, 'a');
      const last = remove(fixture, 'a');
      expect(indexOf(fixture, `/v1/kv/?${how}`)).toBe(last);
      expect(indexOf(fixture, `/v1/kv/none/?${how}`)).toBe(last);
      expect(fixture.store.tableIndex(Kind.kv)).toBe(last);
    },
  );

  test('never falls for any query, whatever is written', () => {
    const keys = ['a', 'a/b', 'b'];
    const urls = ['a', 'a/b', 'b', '?recurse', 'a?recurse', 'a/?keys', 'none?keys'].map(
      (query) => `/v1/kv/${query}`,
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...keys), fc.constantFrom('1', '2', undefined)), { maxLength: 15 }),
        (changes) => {
          const fixture = new StateFixture();
          let before = urls.map(() => 0);
          for (const [key, value] of changes) {
            if (value === undefined) remove(fixture, key);
            else put(fixture, key, value);
            const after = urls.map((url) => indexOf(fixture, url) ?? 0);
            expect(after.filter((index, i) => index < (before[i] ?? 0))).toEqual([]);
            before = after;
          }
        },
      ),
    );
  });
});
