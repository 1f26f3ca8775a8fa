import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type {
  LockCall,
  LockOperation,
  LockResult,
  Operation,
  RegisterCall,
  RegisterOperation,
  RegisterResult,
} from './history.ts';
import { checkLinearizable } from './linearizability.ts';
import { lockModel, registerModel } from './models.ts';

let ids = 0;

function operation<Call, Result>(
  call: Call,
  invokedAt: number,
  completedAt: number,
  result: Result | undefined,
): Operation<Call, Result> {
  return { id: ++ids, gateway: 'g', key: 'k', call, invokedAt, completedAt, result };
}

function write(value: string | null, from: number, to: number): RegisterOperation {
  return operation({ kind: 'write', value }, from, to, to === Infinity ? undefined : { applied: true });
}

function read(value: string | null, from: number, to: number): RegisterOperation {
  return operation({ kind: 'read' }, from, to, { value });
}

function cas(
  expected: string | null,
  value: string,
  from: number,
  to: number,
  applied?: boolean,
): RegisterOperation {
  return operation(
    { kind: 'cas', expected, value },
    from,
    to,
    applied === undefined ? undefined : { applied },
  );
}

type Row = readonly [
  title: string,
  history: readonly RegisterOperation[],
  verdict: 'linearizable' | 'violated',
];

describe('a register', () => {
  const rows: readonly Row[] = [
    ['nothing happened', [], 'linearizable'],
    ['what was written is read', [write('a', 0, 1), read('a', 2, 3)], 'linearizable'],
    ['a write is not read after it ended', [write('a', 0, 1), read(null, 2, 3)], 'violated'],
    [
      'a write that goes on is read by one and not yet by another',
      [write('a', 0, 9), read(null, 1, 2), read('a', 3, 4)],
      'linearizable',
    ],
    [
      'a write that goes on is read, and then not',
      [write('a', 0, 9), read('a', 1, 2), read(null, 3, 4)],
      'violated',
    ],
    [
      'two writes at once, read in one order',
      [write('a', 0, 9), write('b', 0, 9), read('b', 10, 11), read('b', 12, 13)],
      'linearizable',
    ],
    [
      'two writes at once, read in both orders',
      [write('a', 0, 9), write('b', 0, 9), read('b', 10, 11), read('a', 12, 13)],
      'violated',
    ],
    [
      'an unanswered write happens late',
      [write('a', 0, Infinity), read(null, 5, 6), read('a', 7, 8)],
      'linearizable',
    ],
    ['an unanswered write never happens', [write('a', 0, Infinity), read(null, 5, 6)], 'linearizable'],
    [
      'an unanswered write happens and goes',
      [write('a', 0, Infinity), read('a', 5, 6), read(null, 7, 8)],
      'violated',
    ],
    ['a value before it was written', [read('a', 0, 1), write('a', 2, 3)], 'violated'],
    ['one of two equal CAS wins', [cas(null, 'a', 0, 5, true), cas(null, 'b', 0, 5, false)], 'linearizable'],
    ['both of two equal CAS win', [cas(null, 'a', 0, 5, true), cas(null, 'b', 0, 5, true)], 'violated'],
    ['no CAS wins although nothing was there', [cas(null, 'a', 0, 5, false)], 'violated'],
    [
      'a CAS on what was overwritten',
      [write('a', 0, 1), write('b', 2, 3), cas('a', 'c', 4, 5, true)],
      'violated',
    ],
    ['an unanswered CAS explains a read', [cas(null, 'a', 0, Infinity), read('a', 4, 5)], 'linearizable'],
    [
      'a deletion, and what was there again',
      [write('a', 0, 1), write(null, 2, 3), read('a', 4, 5)],
      'violated',
    ],
    ['touching operations overlap', [write('a', 0, 1), read(null, 1, 2)], 'linearizable'],
  ];
  test.each(rows)('%s', (_title, history, verdict) => {
    expect(checkLinearizable(registerModel, history).kind).toBe(verdict);
  });

  test('an explanation names the operation that cannot have happened', () => {
    const verdict = checkLinearizable(registerModel, [write('a', 0, 1), read('b', 2, 3)]);
    expect(verdict).toMatchObject({ kind: 'violated', explanation: expect.stringContaining('"value":"b"') });
  });

  test('a search that takes too long is not a pass', () => {
    const history = Array.from({ length: 12 }, (_, i) => write(`v${i}`, 0, 100));
    expect(checkLinearizable(registerModel, [...history, read('nobody', 101, 102)], 1000).kind).toBe(
      'unknown',
    );
  });

  test('every history of a real register is linearizable, and a wrong read in it is found', () => {
    // Operations take effect one after the other at 1, 2, 3, …, and seem to take longer to who asked.
    const step = fc.record({
      call: fc.constantFrom('read', 'write', 'delete', 'cas'),
      early: fc.double({ min: 0, max: 3, noNaN: true }),
      late: fc.double({ min: 0, max: 3, noNaN: true }),
      unanswered: fc.boolean(),
      guess: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let value: string | null = null;
        const history = steps.map(({ call, early, late, unanswered, guess }, i): RegisterOperation => {
          const [from, to] = [i - early, unanswered ? Infinity : i + late];
          const done = (made: RegisterCall, result: RegisterResult): RegisterOperation =>
            operation(made, from, to, unanswered ? undefined : result);
          if (call === 'read') return done({ kind: 'read' }, { value });
          if (call !== 'cas') {
            value = call === 'write' ? `v${i}` : null;
            return done({ kind: 'write', value }, { applied: true });
          }
          const expected: string | null = guess ? value : 'other';
          const applied: boolean = expected === value;
          if (applied) value = `v${i}`;
          return done({ kind: 'cas', expected, value: `v${i}` }, { applied });
        });
        expect(checkLinearizable(registerModel, history)).toEqual({ kind: 'linearizable' });
        const wrong = [...history, read('never written', 100, 101)];
        expect(checkLinearizable(registerModel, wrong).kind).toBe('violated');
      }),
      { numRuns: 200 },
    );
  });

  test('a long history takes few steps', () => {
    const history = Array.from({ length: 2000 }, (_, i) =>
      i % 2 === 0 ? write(`v${i}`, i, i + 3) : read(`v${i - 1}`, i + 0.5, i + 0.9),
    );
    expect(checkLinearizable(registerModel, history, 50_000).kind).toBe('linearizable');
  });
});

describe('a lock', () => {
  const acquire = (session: string, from: number, to: number, applied: boolean): LockOperation =>
    operation({ kind: 'acquire', session }, from, to, { applied });
  const release = (session: string, from: number, to: number, applied: boolean): LockOperation =>
    operation({ kind: 'release', session }, from, to, { applied });
  const ended = (session: string, from: number): LockOperation =>
    operation<LockCall, LockResult>({ kind: 'invalidate', session, final: true }, from, Infinity, undefined);

  const rows: readonly (readonly [string, readonly LockOperation[], string])[] = [
    ['is granted and refused', [acquire('a', 0, 1, true), acquire('b', 2, 3, false)], 'linearizable'],
    ['is not granted twice', [acquire('a', 0, 1, true), acquire('b', 2, 3, true)], 'violated'],
    ['is granted again to its holder', [acquire('a', 0, 1, true), acquire('a', 2, 3, true)], 'linearizable'],
    [
      'moves on after a release',
      [acquire('a', 0, 1, true), release('a', 2, 3, true), acquire('b', 4, 5, true)],
      'linearizable',
    ],
    ['is not released by others', [acquire('a', 0, 1, true), release('b', 2, 3, true)], 'violated'],
    [
      'moves on after its session ended',
      [acquire('a', 0, 1, true), ended('a', 2), acquire('b', 4, 5, true)],
      'linearizable',
    ],
    [
      'does not move on before its session ended',
      [acquire('a', 0, 1, true), acquire('b', 2, 3, true), ended('a', 4)],
      'violated',
    ],
    [
      'is not granted to a session that had to end for another',
      [
        acquire('a', 0, 1, true),
        ended('a', 2),
        acquire('b', 4, 5, true),
        release('b', 6, 7, true),
        acquire('a', 8, 9, true),
      ],
      'violated',
    ],
    [
      'shows its holder',
      [acquire('a', 0, 1, true), operation({ kind: 'holder' }, 2, 3, { holder: 'a' })],
      'linearizable',
    ],
    [
      'shows nobody else',
      [acquire('a', 0, 1, true), operation({ kind: 'holder' }, 2, 3, { holder: null })],
      'violated',
    ],
  ];
  test.each(rows)('%s', (_title, history, verdict) => {
    expect(checkLinearizable(lockModel, history).kind).toBe(verdict);
  });

  test('that may have been taken from its holders at any of many times is decided in few steps', () => {
    const lost = (session: string, from: number): LockOperation => {
      const call: LockCall = { kind: 'invalidate', session, final: false };
      return operation<LockCall, LockResult>(call, from, Infinity, undefined);
    };
    const history = Array.from({ length: 60 }, (_, i) => {
      const holder = i % 2 === 0 ? 'a' : 'b';
      return [acquire(holder, 10 * i, 10 * i + 1, true), lost('a', 10 * i), lost('b', 10 * i)];
    }).flat();
    expect(checkLinearizable(lockModel, history, 20_000).kind).toBe('linearizable');
    const wrong = [...history, acquire('c', 700, 701, true), release('d', 702, 703, true)];
    expect(checkLinearizable(lockModel, wrong, 20_000).kind).toBe('violated');
  });
});
