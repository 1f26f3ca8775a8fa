import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Dot } from '../../src/crdt/dot.ts';
import { contradicted } from '../../src/replication/contradiction.ts';
import { Intake } from '../../src/replication/intake.ts';
import { OriginTable } from '../../src/replication/origins.ts';
import { noStats } from '../../src/replication/stats.ts';
import { contextOf } from '../../src/replication/superseded.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { Phase } from '../../src/state/migration.ts';
import { Gateway } from './fleet.ts';
import { kvOp, put } from './machine.ts';

// Of a transaction some was overwritten since: what is left of it must not be seen without what overwrote the rest.

const keys = ['a', 'b', 'c', 'd'];

/** A gateway that gets dots of another one as it may ask for them. */
class Reader {
  readonly gateway = new Gateway('b');
  readonly #intake = new Intake(this.gateway.replica, new OriginTable(this.gateway.replica), noStats());

  take(dots: readonly Dot[], from: Gateway): void {
    const { origin } = from.replica;
    const { gateway } = this;
    gateway.nowUs += 10;
    gateway.transact((replica) => {
      for (const each of from.replica.origins()) replica.introduce(each.origin, each.nodeId);
      this.#intake.take(origin, dots, contextOf(from.replica, origin, dots), gateway.now);
      for (let again = true; again;) again = this.#intake.settle(gateway.now).length > 0;
    });
  }

  ask(from: Gateway, fromSeq: number, to: number): void {
    this.take(from.replica.read(from.replica.origin, { from: fromSeq, to }, 100, 1e6), from);
  }
}

function pair(): readonly [Gateway, Reader] {
  const a = new Gateway('a').found();
  const b = new Reader();
  b.ask(a, 1, 1);
  return [a, b];
}

const set = (some: readonly string[], text: string) =>
  ({ kind: 'txn', ops: some.map((key) => kvOp('set', key, text)) }) as const;

const stepTo = (phase: Phase, expectStep: number) =>
  ({
    ...({ kind: 'migration-step', of: 'kv', prefix: 'x/', phase, expectStep } as const),
    ...{ reason: '', overridden: [], fences: [] },
  }) as const;

describe('a dot of which some was overwritten', () => {
  test('says how many registers it had, also to others and after a walk over whole state', () => {
    const [a] = pair();
    const b = new Gateway('b');
    const c = new Gateway('c');
    a.do(set(['x', 'y', 'z'], '1'));
    a.do(put('y', '2'));
    while (b.pull(a));
    c.join(b);
    for (const each of [a, b, c]) {
      const [newest, partial] = each.replica.read(a.replica.origin, { from: 2, to: 3 }, 10, 1e6);
      expect(newest).toEqual(expect.not.objectContaining({ size: expect.anything() }));
      expect([partial?.records.length, partial?.size]).toEqual([2, 3]);
    }
  });

  test('that was logged again after a backup was restored says so too', () => {
    const [a] = pair();
    a.do(set(['x', 'y'], '1'));
    a.do(put('y', '2'));
    a.remint(1);
    const [, partial] = a.replica.read(a.replica.origin, { from: 1, to: 2 }, 10, 1e6);
    expect([partial?.records.length, partial?.size]).toEqual([1, 2]);
  });

  test('says so too where only what was left of it ever came, and contradicts nobody who has all of it', () => {
    const [a, b] = pair();
    const whole = new Gateway('c');
    a.do(set(['x', 'y'], '1'));
    while (whole.pull(a));
    a.do(put('y', '2'));
    b.ask(a, 2, 3);
    const dots = b.gateway.replica.read(a.replica.origin, { from: 2, to: 2 }, 10, 1e6);
    expect(dots).toMatchObject([{ records: [{ key: 'x' }], size: 2 }]);
    const seen = [{ from: 1, to: 2 }];
    expect(contradicted(whole.replica, a.replica.origin, seen, dots)).toBeUndefined();
  });

  test('with a grant in it is merged at once, for others wait for grants, and contradicts nobody either', () => {
    const [a, b] = pair();
    const whole = new Gateway('c');
    a.do(stepTo('mirror', 0));
    while (whole.pull(a));
    a.do(stepTo('dual', 1));
    b.ask(a, 2, 2);
    expect(b.gateway.replica.zones).toMatchObject([{ prefix: '' }, { prefix: 'x/', lent: true }]);
    for (const teller of [a, b.gateway]) {
      const dots = teller.replica.read(a.replica.origin, { from: 2, to: 2 }, 10, 1e6);
      expect(dots).toMatchObject([{ records: [{ kind: Kind.zone }], size: 2 }]);
      const seen = [{ from: 1, to: 2 }];
      expect(contradicted(whole.replica, a.replica.origin, seen, dots)).toBeUndefined();
    }
  });

  test('shows together with what overwrote it', () => {
    const [a, b] = pair();
    a.do(set(['x', 'y'], '1'));
    a.do(put('y', '2'));
    b.ask(a, 2, 2);
    expect([b.gateway.text('x'), b.gateway.text('y')]).toEqual([undefined, undefined]);
    b.ask(a, 3, 3);
    expect([b.gateway.text('x'), b.gateway.text('y')]).toEqual(['1', '2']);
  });

  test('that comes whole from somebody else shows at once', () => {
    const [a, b] = pair();
    a.do(set(['x', 'y'], '1'));
    const whole = a.replica.read(a.replica.origin, { from: 2, to: 2 }, 1, 1e6);
    a.do(put('y', '2'));
    b.ask(a, 2, 2);
    b.take(whole, a);
    expect([b.gateway.text('x'), b.gateway.text('y')]).toEqual(['1', '1']);
    b.ask(a, 3, 3);
    expect([b.gateway.text('x'), b.gateway.text('y')]).toEqual(['1', '2']);
  });

  test('never shows in part, whatever is written and asked for when', () => {
    const write = fc.uniqueArray(fc.constantFrom(...keys), { minLength: 1 });
    const ask = fc.tuple(fc.nat(30), fc.nat(3));
    const step = fc.oneof(fc.record({ write }), fc.record({ ask }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const [a, b] = pair();
        const written: (readonly string[])[] = [];
        // Values are one letter, in order.
        const letter = (n: number): string => String.fromCodePoint(0x30 + n);
        for (const each of steps) {
          if ('write' in each) {
            a.do(set(each.write, letter(written.length)));
            written.push(each.write);
          } else {
            const [seq, more] = each.ask;
            b.ask(a, 2 + (seq % (written.length + 1)), 2 + seq + more);
          }
          written.forEach((some, n) => {
            const held = some.map((key) => b.gateway.text(key) ?? '');
            if (held.includes(letter(n))) expect(held.every((text) => text >= letter(n))).toBe(true);
          });
        }
        b.ask(a, 1, 100);
        expect(b.gateway.state()).toEqual(a.state());
      }),
      { numRuns: 200 },
    );
  });
});
