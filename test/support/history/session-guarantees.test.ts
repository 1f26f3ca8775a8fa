import { describe, expect, test } from '@jest/globals';
import { Recorder, type RegisterCall, type RegisterOperation, type RegisterResult } from './history.ts';
import { checkMonotonicReads, checkNothingLost, checkReadYourWrites } from './session-guarantees.ts';

let ids = 0;

function read(gateway: string, value: string | null, at: number): RegisterOperation {
  return {
    id: ++ids,
    gateway,
    key: 'k',
    call: { kind: 'read' },
    invokedAt: at,
    completedAt: at,
    result: { value },
  };
}

function write(gateway: string, value: string | null, from: number, to: number): RegisterOperation {
  const result = to === Infinity ? undefined : { applied: true };
  return {
    id: ++ids,
    gateway,
    key: 'k',
    call: { kind: 'write', value },
    invokedAt: from,
    completedAt: to,
    result,
  };
}

describe('monotonic reads', () => {
  const check = (...localReads: RegisterOperation[]): number =>
    checkMonotonicReads({ localReads, writes: [] }).length;

  test('a gateway that shows newer and newer values passes', () => {
    expect(check(read('a', null, 0), read('a', 'v1', 1), read('a', 'v1', 2), read('a', 'v2', 3))).toBe(0);
  });

  test('a value that was gone and is shown again is found', () => {
    expect(check(read('a', 'v1', 1), read('a', 'v2', 2), read('a', 'v1', 3))).toBe(1);
    expect(check(read('a', 'v1', 1), read('a', null, 2), read('a', 'v1', 3))).toBe(1);
  });

  test('gateways may differ', () => {
    expect(check(read('a', 'v1', 1), read('a', 'v2', 2), read('b', 'v1', 3))).toBe(0);
  });

  test('reads at one time may be answered in any order', () => {
    const slow = { ...read('a', 'v1', 0), completedAt: 9 };
    expect(check(read('a', 'v1', 1), read('a', 'v2', 2), slow)).toBe(0);
  });

  test('a gateway restored from a backup begins anew', () => {
    const localReads = [read('a', 'v1', 1), read('a', 'v2', 2), read('a', 'v1', 5)];
    expect(checkMonotonicReads({ localReads, writes: [], lifeOf: (_, at) => (at > 4 ? 1 : 0) })).toEqual([]);
  });
});

describe('read your writes', () => {
  const check = (localReads: RegisterOperation[], ...writes: RegisterOperation[]): number =>
    checkReadYourWrites({ localReads, writes }).length;

  test('what was acknowledged is read where it was written', () => {
    expect(check([read('a', 'v1', 2)], write('a', 'v1', 0, 1))).toBe(0);
    expect(check([read('a', null, 2)], write('a', 'v1', 0, 1))).toBe(1);
  });

  test('an older value is found', () => {
    expect(check([read('a', 'v1', 9)], write('b', 'v1', 0, 1), write('a', 'v2', 2, 3))).toBe(1);
  });

  test('a newer value, or one of the same time, is right', () => {
    expect(check([read('a', 'v2', 9)], write('a', 'v1', 0, 1), write('b', 'v2', 2, 3))).toBe(0);
    expect(check([read('a', 'v2', 9)], write('a', 'v1', 0, 2), write('b', 'v2', 1, 3))).toBe(0);
    expect(check([read('a', 'v2', 9)], write('a', 'v1', 0, 2), write('b', 'v2', 1, Infinity))).toBe(0);
  });

  test('elsewhere it may be missing for a while', () => {
    expect(check([read('b', null, 2)], write('a', 'v1', 0, 1))).toBe(0);
  });
});

describe('nothing acknowledged is lost', () => {
  const check = (value: string | null, ...writes: RegisterOperation[]): number =>
    checkNothingLost(writes, () => value).length;

  test('the last write is there', () => {
    expect(check('v2', write('a', 'v1', 0, 1), write('b', 'v2', 2, 3))).toBe(0);
    expect(check('v1', write('a', 'v1', 0, 1), write('b', 'v2', 2, 3))).toBe(1);
    expect(check(null, write('a', 'v1', 0, 1))).toBe(1);
  });

  test('of writes at one time either may be the last', () => {
    expect(check('v1', write('a', 'v1', 0, 5), write('b', 'v2', 2, 3))).toBe(0);
  });

  test('an unanswered write may have happened at any time since', () => {
    expect(check('v1', write('a', 'v1', 0, Infinity), write('b', 'v2', 2, 3))).toBe(0);
    expect(check('v2', write('a', 'v1', 0, Infinity), write('b', 'v2', 2, 3))).toBe(0);
    expect(check(null, write('a', null, 0, Infinity), write('b', 'v2', 2, 3))).toBe(0);
  });

  test('a value from nowhere is found', () => {
    expect(check('v9', write('a', 'v1', 0, 1))).toBe(1);
  });

  test('a write that a takeover fenced is excused', () => {
    const writes = [write('a', 'v1', 0, 1), write('b', 'v2', 2, 3)];
    expect(
      checkNothingLost(
        writes,
        () => 'v1',
        (each) => each === writes[1],
      ),
    ).toEqual([]);
  });
});

test('what was refused is not in the history, what was not answered is unknown', () => {
  const recorder = new Recorder<RegisterCall, RegisterResult>();
  const first = recorder.invoke('a', 'k', { kind: 'write', value: 'v1' }, 1);
  const second = recorder.invoke('a', 'k', { kind: 'write', value: 'v2' }, 2);
  recorder.invoke('a', 'k', { kind: 'write', value: 'v3' }, 3);
  recorder.complete(second, { applied: true }, 4);
  recorder.refused(first);
  expect(recorder.operations().map(({ call, completedAt }) => [call, completedAt])).toEqual([
    [{ kind: 'write', value: 'v2' }, 4],
    [{ kind: 'write', value: 'v3' }, Infinity],
  ]);
});
