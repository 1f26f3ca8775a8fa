import { describe, expect, test } from '@jest/globals';
import type { CommandOutcome } from '../../src/state/command.ts';
import type { PutMode } from '../../src/state/kv.ts';
import { check, health, Machine, put, register, textOf } from '../node/machine.ts';

const one = '00000000-0000-4000-8000-00000000000a';
const two = '00000000-0000-4000-8000-00000000000b';

function machineWithSessions(fields: Parameters<Machine['session']>[0] = {}): Machine {
  const machine = new Machine();
  machine.session({ id: one, ...fields });
  machine.session({ id: two, lockDelayNs: 0 });
  return machine;
}

function acquire(machine: Machine, session: string, text = 'v', key = 'lock'): CommandOutcome {
  return machine.do(put(key, text, { kind: 'acquire', session }));
}

function release(machine: Machine, session: string, text = 'v'): CommandOutcome {
  return machine.do(put('lock', text, { kind: 'release', session }));
}

const granted = { kind: 'kv', applied: true };
const denied = { kind: 'kv', applied: false };

describe('locks', () => {
  test('LockIndex counts holders: 1 for the first, the same for a repeat, one more for the next', () => {
    const machine = machineWithSessions();
    expect(acquire(machine, one)).toMatchObject(granted);
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 1, session: one });
    expect(acquire(machine, one, 'other value')).toMatchObject(granted);
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 1, session: one });
    expect(acquire(machine, two)).toMatchObject(denied);
    expect(textOf(machine.kv('lock'))).toBe('other value');
    expect(release(machine, one, 'free')).toMatchObject(granted);
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 1, session: '' });
    expect(acquire(machine, two)).toMatchObject(granted);
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 2, session: two });
  });

  test('repeating the acquire of a holder with the same value keeps the index: nobody is woken', () => {
    const machine = machineWithSessions();
    acquire(machine, one);
    const before = machine.kv('lock');
    const step = machine.step(put('lock', 'v', { kind: 'acquire', session: one }));
    expect([...step.touched]).toEqual([]);
    expect(machine.kv('lock')).toEqual(before);
  });

  test('only its holder releases a lock; of a key that is not there nobody does', () => {
    const machine = machineWithSessions();
    expect(release(machine, one)).toMatchObject(denied);
    acquire(machine, one);
    expect(release(machine, two)).toMatchObject(denied);
    expect(release(machine, 'nonsense')).toMatchObject(denied);
    expect(machine.kv('lock')?.session).toBe(one);
    expect(release(machine, '')).toEqual({ kind: 'refused', status: 500, message: 'missing session' });
  });

  test.each([
    ['plain', { kind: 'plain' }],
    ['compare-and-set', 'cas'],
  ] as const)('a %s write goes through a lock, keeps its holder and resets LockIndex', (_title, how) => {
    const machine = machineWithSessions();
    acquire(machine, one);
    const index = BigInt(machine.kv('lock')?.modifyIndex ?? 0);
    const mode: PutMode = how === 'cas' ? { kind: 'cas', index } : how;
    expect(machine.do(put('lock', 'rude', mode))).toMatchObject(granted);
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 0, session: one });
    expect(textOf(machine.kv('lock'))).toBe('rude');
    // The lock itself still works.
    expect(acquire(machine, two)).toMatchObject(denied);
    expect(release(machine, one)).toMatchObject(granted);
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 0, session: '' });
  });

  test('a locked key may be deleted, and locked anew from LockIndex 1 by anybody', () => {
    const machine = machineWithSessions();
    acquire(machine, one);
    machine.step({ kind: 'kv-delete', key: 'lock' });
    expect(acquire(machine, two)).toMatchObject(granted);
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 1, session: two });
    // The first session's end does not touch what the other one holds now.
    machine.step({ kind: 'session-destroy', id: one });
    expect(machine.kv('lock')).toMatchObject({ lockIndex: 1, session: two });
  });

  test('a session that is missing, malformed or unknown is refused in the words of Consul', () => {
    const machine = machineWithSessions();
    expect(acquire(machine, '')).toEqual({ kind: 'refused', status: 500, message: 'missing session' });
    expect(acquire(machine, 'short')).toEqual({
      kind: 'refused',
      status: 500,
      message: 'failed session lookup: index error: UUID must be 36 characters',
    });
    const unknown = '11111111-2222-3333-4444-555555555555';
    expect(acquire(machine, unknown)).toEqual({
      kind: 'refused',
      status: 500,
      message: `invalid session "${unknown}"`,
    });
    expect(machine.kv('lock')).toBeUndefined();
  });
});

describe('the end of a session', () => {
  test('with behavior release keeps its keys: value and LockIndex stay, the index rises once for all of them', () => {
    const machine = machineWithSessions();
    acquire(machine, one, 'a', 'x');
    acquire(machine, one, 'b', 'y');
    acquire(machine, two, 'c', 'z');
    const other = machine.kv('z');
    const { index } = machine.step({ kind: 'session-destroy', id: one });
    for (const key of ['x', 'y']) {
      expect(machine.kv(key)).toMatchObject({ lockIndex: 1, session: '', modifyIndex: index });
    }
    expect(textOf(machine.kv('x'))).toBe('a');
    expect(machine.kv('z')).toEqual(other);
  });

  test('with behavior delete takes its keys with it, and those it released before stay', () => {
    const machine = machineWithSessions({ behavior: 'delete' });
    acquire(machine, one, 'a', 'held');
    acquire(machine, one, 'b');
    release(machine, one, 'b');
    machine.step({ kind: 'session-destroy', id: one });
    expect(machine.kv('held')).toBeUndefined();
    expect(textOf(machine.kv('lock'))).toBe('b');
  });

  test.each(['release', 'delete'] as const)(
    'with behavior %s starts the lock-delay of its keys: no lock until it has passed, whoever asks',
    (behavior) => {
      const machine = machineWithSessions({ behavior, lockDelayNs: 5e9 });
      acquire(machine, one);
      machine.step({ kind: 'session-destroy', id: one });
      const endedUs = machine.nowUs;
      expect(acquire(machine, two)).toMatchObject(denied);
      // Consul looks at the delay before the session: even one that is not there gets a plain no.
      expect(acquire(machine, one)).toMatchObject(denied);
      // Other writes and other keys are free.
      expect(machine.do(put('lock', 'plain'))).toMatchObject(granted);
      expect(acquire(machine, two, 'v', 'other')).toMatchObject(granted);
      machine.nowUs = endedUs + 4_990_000;
      expect(acquire(machine, two)).toMatchObject(denied);
      machine.nowUs = endedUs + 5_010_000;
      expect(acquire(machine, two)).toMatchObject(granted);
    },
  );

  test('is followed by no lock-delay where it is 0, and by 60 s at most where it is longer', () => {
    const machine = new Machine();
    machine.session({ id: one, lockDelayNs: 0 });
    acquire(machine, one);
    machine.step({ kind: 'session-destroy', id: one });
    machine.session({ id: two, lockDelayNs: 3600e9 });
    expect(acquire(machine, two)).toMatchObject(granted);
    machine.step({ kind: 'session-destroy', id: two });
    machine.session({ id: one });
    const endedUs = machine.nowUs;
    expect(acquire(machine, one)).toMatchObject(denied);
    machine.nowUs = endedUs + 60_010_000;
    expect(acquire(machine, one)).toMatchObject(granted);
  });

  test('a lock-delay outlives a restart of the gateway', () => {
    const machine = machineWithSessions();
    acquire(machine, one);
    machine.step({ kind: 'session-destroy', id: one });
    machine.restarted();
    expect(acquire(machine, two)).toMatchObject(denied);
  });

  test('releasing a lock oneself starts no lock-delay', () => {
    const machine = machineWithSessions();
    acquire(machine, one);
    release(machine, one);
    expect(acquire(machine, two)).toMatchObject(granted);
  });

  test.each([
    ['its node is critical', health('n1', 'critical')],
    ['its node is gone from the members', health('n1', undefined)],
    ['its node is deregistered', { kind: 'catalog-deregister', node: 'n1', serviceId: '', checkId: '' }],
    ['a check that it lists turns critical', register('n1', [check('n1', 'disk', 'critical')])],
    [
      'a check that it lists is deregistered',
      { kind: 'catalog-deregister', node: 'n1', serviceId: '', checkId: 'disk' },
    ],
  ] as const)('comes when %s, and with it the release of its lock', (_title, command) => {
    const machine = new Machine();
    machine.step(register('n1', [check('n1', 'disk', 'passing')]));
    machine.session({ id: one, nodeChecks: ['serfHealth', 'disk'] });
    acquire(machine, one);
    machine.step(command);
    expect(machine.kv('lock')?.session).toBe('');
    expect(acquire(machine, one)).toMatchObject(denied);
    machine.nowUs += 61_000_000;
    expect(acquire(machine, one)).toMatchObject({ message: `invalid session "${one}"` });
  });

  test('does not come from a check that the session does not list, nor from a warning', () => {
    const machine = new Machine();
    machine.step(register('n1', [check('n1', 'disk', 'passing'), check('n1', 'other', 'passing')]));
    machine.session({ id: one, nodeChecks: ['disk'] });
    acquire(machine, one);
    machine.step(health('n1', 'critical'));
    machine.step(register('n1', [check('n1', 'disk', 'warning'), check('n1', 'other', 'critical')]));
    expect(machine.kv('lock')?.session).toBe(one);
  });

  test('destroying a session that is not there is fine', () => {
    const machine = machineWithSessions();
    const { headSeq } = machine.replica;
    expect(machine.do({ kind: 'session-destroy', id: '11111111-2222-3333-4444-555555555555' })).toEqual({
      kind: 'session',
    });
    expect(machine.replica.headSeq).toBe(headSeq);
  });
});
