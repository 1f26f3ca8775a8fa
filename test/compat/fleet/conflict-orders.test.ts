import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  dropConflicts,
  replayConflicts,
  type ConflictOrders,
} from '../../../compat/fleet/conflict-orders.ts';
import type { Command, CommandOutcome } from '../../../src/state/command.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { SetAside } from '../../../src/state/store.ts';
import { encodeKv } from '../../../src/state/values.ts';
import { originOf } from '../../support/fleet.ts';

function conflict(id: number, key: string, over: Partial<SetAside> = {}): SetAside {
  return {
    ...{ id, kind: Kind.kv, key, ix: null, term: 1, timeline: 0, stamp: 1, born: 1 },
    value: encodeKv({ flags: 3n, lockIndex: 4, session: 'gone', value: new TextEncoder().encode(`v${id}`) }),
    ...{ origin: originOf('b'), seq: id, zone: '', zoneTerm: 2, atUs: 1, why: '', replayed: false },
    ...over,
  };
}

const notOwned: CommandOutcome = {
  kind: 'not-owned',
  zone: 'eu/',
  owner: 'x',
  reason: 'owned by another gateway',
};

let kept: SetAside[];
let proposed: string[];
let answer: (command: Command) => CommandOutcome;
let orders: ConflictOrders;

beforeEach(() => {
  kept = [conflict(1, 'a'), conflict(2, 'b', { replayed: true }), conflict(3, 'a')];
  proposed = [];
  answer = () => ({ kind: 'conflict', found: true });
  orders = {
    view: { setAside: (_table, after, limit) => kept.filter(({ id }) => id > after).slice(0, limit) },
    propose: (command, done) => {
      proposed.push('id' in command ? `${command.kind} ${command.id}` : command.kind);
      setImmediate(() => done(answer(command)));
    },
  };
});

const done = (id: string, key: string) => ({ id, key, outcome: { kind: 'done' } });

describe('a replay', () => {
  test('writes those that were not yet, those of one key one after the other', async () => {
    expect(await replayConflicts(orders, undefined)).toEqual([done('1', 'a'), done('3', 'a')]);
    expect(proposed).toEqual(['conflict-replay 1', 'conflict-replay 3']);
  });

  test('of several writes of one key ends with the newest, in whichever order they came', async () => {
    kept = [conflict(1, 'a', { stamp: 9 }), conflict(2, 'a', { stamp: 4 }), conflict(3, 'a', { stamp: 7 })];
    await replayConflicts(orders, undefined);
    expect(proposed).toEqual(['conflict-replay 2', 'conflict-replay 3', 'conflict-replay 1']);
  });

  test('of those that are named takes them in their order, whatever was replayed before', async () => {
    expect(await replayConflicts(orders, ['3', '2', '99', 'x'])).toEqual([
      done('3', 'a'),
      done('2', 'b'),
      ...['99', 'x'].map((id) => ({
        id,
        key: '',
        outcome: { kind: 'refused', status: 404, message: 'there is no such conflict here' },
      })),
    ]);
  });

  test('hands the write to the owner where that is another gateway, and then notes it', async () => {
    const writes: Command[] = [];
    answer = (command) => {
      writes.push(command);
      if (command.kind === 'conflict-replay') return notOwned;
      return command.kind === 'kv-put' ? { kind: 'kv', applied: true } : { kind: 'conflict', found: true };
    };
    expect(await replayConflicts(orders, ['1'])).toEqual([done('1', 'a')]);
    expect(writes[1]).toMatchObject({ kind: 'kv-put', key: 'a', flags: 3n, mode: { kind: 'plain' } });
    expect(proposed).toEqual(['conflict-replay 1', 'kv-put', 'conflict-mark 1']);
  });

  test('that the owner cannot take is not noted as done', async () => {
    answer = () => notOwned;
    expect(await replayConflicts(orders, ['1'])).toEqual([
      {
        ...{ id: '1', key: 'a' },
        outcome: {
          ...{ kind: 'refused', status: 500 },
          message: 'No cluster leader: zone "eu/" is owned by x (owned by another gateway)',
        },
      },
    ]);
    expect(proposed).toEqual(['conflict-replay 1', 'kv-put']);
  });
});

test('a drop forgets those that were replayed, or those that are named', async () => {
  expect(await dropConflicts(orders, undefined)).toEqual([done('2', 'b')]);
  await dropConflicts(orders, ['1']);
  expect(proposed).toEqual(['conflict-drop 2', 'conflict-drop 1']);
});
