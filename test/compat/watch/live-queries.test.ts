import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { kvRoutes } from '../../../compat/routes/kv.ts';
import { LiveQueries, type SharedAnswer } from '../../../compat/watch/live-queries.ts';
import type { Read } from '../../../compat/wire/http.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { Command } from '../../../src/state/command.ts';
import { Machine, put } from '../../node/machine.ts';
import { apiRequest } from '../../support/state.ts';

/** The read that the KV route makes of a URL. */
function kvRead(url: string): Read {
  const request = apiRequest('GET', url);
  const route = kvRoutes.find(({ path }) => request.path.startsWith(path));
  const result = route?.methods.GET?.(
    { ...request, rest: request.path.slice(route.path.length) },
    {} as never,
  );
  if (result?.kind !== 'read') throw new Error(`${url} is not a read`);
  return result;
}

class Watched {
  readonly machine = new Machine();
  readonly live: LiveQueries;

  constructor(memoBytesMax = 1024 * 1024) {
    this.live = new LiveQueries({ view: this.machine.store, memoBytesMax });
  }

  step(command: Command): void {
    this.live.touch(this.machine.step(command).touched);
  }

  /** Waits from the present index on; the answers that it got. */
  watch(read: Read): { readonly got: SharedAnswer[]; cancel(): void; expire(): void } {
    const got: SharedAnswer[] = [];
    const { index } = this.live.answer(read).answer;
    return { got, ...this.live.wait(read, index, (shared) => got.push(shared)) };
  }
}

type Shown = readonly [status: number, body: string];

function shown({ status, body }: SharedAnswer['answer']): Shown {
  return [status, typeof body === 'string' ? body : Buffer.from(body).toString()];
}

/** What a read shows when evaluated from nothing. */
function evaluated(watched: Watched, read: Read): SharedAnswer['answer'] {
  return read.evaluate(watched.machine.store, new Set());
}

const keys = ['a', 'a/b', 'a/b/c', 'a/bc', 'b', 'b/\u{1f600}', '\u{1f600}'] as const;
const prefixes = ['', 'a', 'a/', 'a/b', 'b/', 'none/', '\u{1f600}'] as const;

/** A query, and the keys that its result depends on. */
interface Query {
  readonly url: string;
  readonly key?: string;
  readonly prefix?: string;
}

function covers({ key, prefix }: Query, changed: string): boolean {
  return key === undefined ? changed.startsWith(prefix ?? '') : changed === key;
}

const query: fc.Arbitrary<Query> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...keys, 'missing'), fc.constantFrom('', '?raw'))
    .map(([key, how]) => ({ url: `/v1/kv/${encodeURIComponent(key)}${how}`, key })),
  fc
    .tuple(fc.constantFrom(...prefixes), fc.constantFrom('?recurse', '?keys', '?keys&separator=/'))
    .map(([prefix, how]) => ({ url: `/v1/kv/${encodeURIComponent(prefix)}${how}`, prefix })),
);

const change: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...keys), fc.constantFrom('1', '2')).map(([key, v]) => put(key, v)),
  },
  { weight: 2, arbitrary: fc.constantFrom(...keys).map((key): Command => ({ kind: 'kv-delete', key })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...prefixes).map((prefix): Command => ({ kind: 'kv-delete-tree', prefix })),
  },
);

type Step =
  | { readonly do: 'change'; readonly command: Command }
  | { readonly do: 'watch'; readonly query: Query }
  | { readonly do: 'read'; readonly query: Query }
  | { readonly do: 'cancel'; readonly nth: number }
  | { readonly do: 'expire'; readonly nth: number };

const nth = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('change'), command: change }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('watch'), query }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('read'), query }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel'), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('expire'), nth }) },
);

interface Open {
  readonly query: Query;
  readonly read: Read;
  readonly index: number;
  readonly watch: ReturnType<Watched['watch']>;
}

/** Runs the steps beside the obvious model; answers what the waiters got and what they should have got. */
function runBeside(watched: Watched, steps: readonly Step[]): { got: unknown[]; expected: unknown[] } {
  const got: unknown[] = [];
  const expected: unknown[] = [];
  let open: Open[] = [];
  const compare = (one: Open, answers: readonly [Shown, boolean][]): void => {
    got.push([one.query.url, one.watch.got.map(({ answer }) => [shown(answer), answer.index > one.index])]);
    expected.push([one.query.url, answers]);
  };
  for (const one of steps) {
    switch (one.do) {
      case 'watch': {
        const read = kvRead(one.query.url);
        const index = Number(watched.live.answer(read).answer.index);
        open.push({ query: one.query, read, index, watch: watched.watch(read) });
        break;
      }
      case 'read': {
        const read = kvRead(one.query.url);
        got.push(shown(watched.live.answer(read).answer));
        expected.push(shown(evaluated(watched, read)));
        break;
      }
      case 'change': {
        const before = watched.machine.replica.highestIndex;
        watched.step(one.command);
        const changed = [...watched.machine.store.range(Kind.kv, '', undefined)].filter(
          (row) => row.modifyIndex > before,
        );
        const woken = open.filter((waiter) => changed.some((row) => covers(waiter.query, row.key)));
        for (const waiter of open) {
          const answer: [Shown, boolean] = [shown(evaluated(watched, waiter.read)), true];
          compare(waiter, woken.includes(waiter) ? [answer] : []);
        }
        open = open.filter((waiter) => !woken.includes(waiter));
        break;
      }
      default: {
        const [closed] = open.splice(one.nth, 1);
        if (closed === undefined) break;
        closed.watch[one.do]();
        compare(closed, one.do === 'cancel' ? [] : [[shown(evaluated(watched, closed.read)), false]]);
      }
    }
  }
  return {
    got: [...got, watched.live.stats.waiting],
    expected: [...expected, open.length],
  };
}

describe('wake-ups', () => {
  test.each([
    ['enough', 1024 * 1024],
    ['hardly any', 3000],
    ['no', 0],
  ])(
    'with %s memory: a waiter is woken exactly by changes of what its result shows, with a higher index',
    (_title, memoBytesMax) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const { got, expected } = runBeside(new Watched(memoBytesMax), steps);
          expect(got).toEqual(expected);
        }),
        { numRuns: 150 },
      );
    },
  );

  test('10,000 waiters of one read cost one evaluation per change and share one answer', () => {
    const watched = new Watched();
    watched.step(put('a', '1'));
    const read = (): Read => kvRead('/v1/kv/a');
    const watches = Array.from({ length: 10_000 }, () => watched.watch(read()));
    expect(watched.live.stats).toMatchObject({ entries: 1, waiting: 10_000, evaluations: 1 });
    watched.step(put('unrelated', '1'));
    expect(watched.live.stats.evaluations).toBe(1);
    watched.step(put('a', '2'));
    expect(watched.live.stats).toMatchObject({ waiting: 0, evaluations: 2 });
    expect(new Set(watches.flatMap(({ got }) => got)).size).toBe(1);
    expect(watches.every(({ got }) => got.length === 1)).toBe(true);
  });

  test('a read of the catalog of all keys below a prefix is not evaluated for keys beside it', () => {
    const watched = new Watched();
    const read = kvRead('/v1/kv/app/?recurse');
    const { got } = watched.watch(read);
    for (const key of ['ap', 'app', 'apps', 'b/app/', 'App/x']) watched.step(put(key, '1'));
    expect([got.length, watched.live.stats.evaluations]).toEqual([0, 1]);
    watched.step(put('app/', '1'));
    expect(got).toHaveLength(1);
  });

  test('a read may wake on a different index too, bigints included', () => {
    const watched = new Watched();
    let index: bigint | number = 2n ** 63n + 5n;
    const read: Read = {
      kind: 'read',
      key: 'events',
      wakesOn: 'difference',
      evaluate: (_view, dependencies) => {
        dependencies.add('events');
        return { status: 200, body: '[]', contentType: undefined, index };
      },
    };
    const { got } = watched.watch(read);
    watched.live.touch(['events']);
    expect(got).toHaveLength(0);
    index = 7;
    watched.live.touch(['events']);
    expect(got).toHaveLength(1);
  });

  test('who is woken may ask again at once and sees the new state of everything', () => {
    const watched = new Watched();
    const [one, two] = [kvRead('/v1/kv/a'), kvRead('/v1/kv/b')];
    watched.live.answer(two);
    const seen: unknown[] = [];
    const { index } = watched.live.answer(one).answer;
    watched.live.wait(one, index, () => {
      seen.push(watched.live.answer(two).answer.status, watched.watch(one).got.length);
    });
    watched.step({
      kind: 'txn',
      ops: ['a', 'b'].map((key) => ({
        kind: 'kv',
        verb: 'set',
        key,
        value: new Uint8Array([1]),
        flags: 0n,
        index: 0n,
        session: '',
      })),
    });
    expect(seen).toEqual([200, 0]);
    expect(watched.live.stats.waiting).toBe(1);
  });
});

describe('the end of a wait', () => {
  test('delivers the current answer with its index unchanged, once', () => {
    const watched = new Watched();
    watched.step(put('a', '1'));
    const read = kvRead('/v1/kv/a');
    const { index } = watched.live.answer(read).answer;
    const watch = watched.watch(read);
    watched.step(put('b', '1'));
    watch.expire();
    watch.expire();
    watch.cancel();
    expect(watch.got.map(({ answer }) => answer.index)).toEqual([index]);
    watched.step(put('a', '2'));
    expect(watch.got).toHaveLength(1);
  });

  test('by a client that went away delivers nothing and leaves nothing', () => {
    const watched = new Watched();
    const watch = watched.watch(kvRead('/v1/kv/a'));
    watch.cancel();
    watch.expire();
    watched.step(put('a', '1'));
    expect(watch.got).toEqual([]);
    expect(watched.live.stats).toMatchObject({ waiting: 0, entries: 0, memoBytes: 0 });
  });
});

describe('memory', () => {
  test('results that nobody waits for are dropped above the budget, the least recently used first', () => {
    const watched = new Watched(10_000);
    const read = (i: number): Read => kvRead(`/v1/kv/missing-${i}`);
    for (let i = 0; i < 9; i++) watched.live.answer(read(i));
    watched.live.answer(read(0));
    for (let i = 9; i < 12; i++) watched.live.answer(read(i));
    expect(watched.live.stats.memoBytes).toBeLessThanOrEqual(10_000);
    const before = watched.live.stats.evaluations;
    watched.live.answer(read(0));
    expect(watched.live.stats.evaluations).toBe(before);
    watched.live.answer(read(1));
    expect(watched.live.stats.evaluations).toBe(before + 1);
  });

  test('answers that are waited on stay within the budget too, and every waiter is still woken or expired', () => {
    const watched = new Watched(100_000);
    for (let i = 0; i < 100; i++) watched.step(put(`big/${i}`, 'x'.repeat(10_000)));
    const watches = Array.from({ length: 100 }, (_, i) => watched.watch(kvRead(`/v1/kv/big/${i}`)));
    expect(watched.live.stats.waiting).toBe(100);
    expect(watched.live.stats.memoBytes).toBeLessThanOrEqual(100_000);
    for (const [i, watch] of watches.entries()) {
      if (i % 2 === 0) watched.step(put(`big/${i}`, 'new'));
      else watch.expire();
      expect(watch.got).toHaveLength(1);
      expect(String(watch.got[0]?.answer.body)).toContain(`"Key":"big/${i}"`);
    }
    expect(watched.live.stats.waiting).toBe(0);
    expect(watched.live.stats.memoBytes).toBeLessThanOrEqual(100_000);
  });

  test('one answer above the budget is given, but not kept', () => {
    const watched = new Watched(5000);
    watched.step(put('a', 'x'.repeat(10_000)));
    expect(watched.live.answer(kvRead('/v1/kv/a')).answer.status).toBe(200);
    expect(watched.live.stats).toMatchObject({ entries: 0, memoBytes: 0 });
  });
});

describe('a read that throws', () => {
  function fragile(): { read: Read; broken: { value: boolean } } {
    const broken = { value: false };
    return {
      broken,
      read: {
        kind: 'read',
        key: 'fragile',
        evaluate: (view, dependencies) => {
          dependencies.add('k/a');
          if (broken.value) throw new Error('a defect');
          return { status: 200, body: 'fine', contentType: undefined, index: view.tableIndex(1) };
        },
      },
    };
  }

  test('answers its waiters with a 500, costs nobody else a wake-up, and is reported', () => {
    const watched = new Watched();
    const { read, broken } = fragile();
    const failing = watched.watch(read);
    const healthy = watched.watch(kvRead('/v1/kv/a'));
    broken.value = true;
    expect(() => watched.step(put('a', '1'))).toThrow('a defect');
    expect(failing.got.map(({ answer }) => answer.status)).toEqual([500]);
    expect(healthy.got.map(({ answer }) => answer.status)).toEqual([200]);
    expect(watched.live.stats.waiting).toBe(0);
  });

  test('is not kept: it is tried again by the next to ask', () => {
    const watched = new Watched();
    const { read, broken } = fragile();
    watched.live.answer(read);
    broken.value = true;
    watched.step(put('a', '1'));
    expect(() => watched.live.answer(read)).toThrow('a defect');
    broken.value = false;
    expect(watched.live.answer(read).answer.body).toBe('fine');
  });

  test('a client that cannot be answered costs no other its wake-up', () => {
    const watched = new Watched();
    const read = kvRead('/v1/kv/a');
    const { index } = watched.live.answer(read).answer;
    watched.live.wait(read, index, () => {
      throw new Error('socket trouble');
    });
    const other = watched.watch(read);
    expect(() => watched.step(put('a', '1'))).toThrow('socket trouble');
    expect(other.got).toHaveLength(1);
  });
});
