import { describe, expect, test } from '@jest/globals';
import { Ledger } from './ledger.ts';

describe('the ledger of acknowledged writes', () => {
  test('finds what was lost, brought back or made up', () => {
    const ledger = new Ledger();
    ledger.begin('a/own/kept', '1').acknowledged();
    ledger.begin('a/own/lost', '1').acknowledged();
    const removed = ledger.begin('a/own/removed', '1');
    removed.acknowledged();
    ledger.begin('a/own/removed', null).acknowledged();
    const found = new Map([
      ['a/own/kept', '1'],
      ['a/own/removed', '1'],
      ['a/own/new', '1'],
    ]);
    expect(ledger.judge('here', found)).toEqual([
      'here: a/own/lost is null, must be "1"',
      'here: a/own/removed is "1", must be null',
      'here: a/own/new was never written',
    ]);
  });

  test('takes both outcomes of a write that nobody answered, and none of one that was refused', () => {
    const ledger = new Ledger();
    ledger.begin('k', '1').acknowledged();
    ledger.begin('k', '2').unknown();
    ledger.begin('r', '1').refused();
    expect(ledger.judge('', new Map([['k', '1']]))).toEqual([]);
    expect(ledger.judge('', new Map([['k', '2']]))).toEqual([]);
    expect(ledger.judge('', new Map([['k', '3']]))).toHaveLength(1);
    expect(
      ledger.judge(
        '',
        new Map([
          ['k', '1'],
          ['r', '1'],
        ]),
      ),
    ).toHaveLength(1);
  });

  test('knows how far a counter can be, and that no number is given out twice', () => {
    const ledger = new Ledger();
    ledger.increment('c', 1)('applied');
    ledger.increment('c', 2)('unknown');
    ledger.increment('c', 2)('not-applied');
    expect(ledger.judge('', new Map([['c', '0']]))).toHaveLength(1);
    expect(ledger.judge('', new Map([['c', '2']]))).toEqual([]);
    expect(ledger.judge('', new Map([['c', '3']]))).toHaveLength(1);
    ledger.increment('c', 1)('applied');
    expect(ledger.problems).toEqual(['c was counted to 1 twice']);
  });

  test('knows what a restored snapshot takes back, and takes either for what was written meanwhile', () => {
    const ledger = new Ledger();
    ledger.begin('k', '1').acknowledged();
    const page = ledger.page();
    ledger.begin('k', '2').acknowledged();
    ledger.begin('new', '1').acknowledged();
    const before = ledger.begin('during', '1');
    ledger.beginFog();
    expect(before.acknowledged()).toBe(false);
    ledger.rewind(page);
    expect(ledger.judge('', new Map([['k', '1']]))).toEqual([]);
    expect(
      ledger.judge(
        '',
        new Map([
          ['k', '1'],
          ['during', '1'],
        ]),
      ),
    ).toEqual([]);
    expect(ledger.judge('', new Map([['k', '2']]))).toEqual([': k is "2", must be "1"']);
    expect(
      ledger.judge(
        '',
        new Map([
          ['k', '1'],
          ['new', '1'],
        ]),
      ),
    ).toHaveLength(1);
    ledger.begin('k', '3').acknowledged();
    expect(ledger.judge('', new Map([['k', '1']]))).toHaveLength(1);
  });

  test('finds a group of which some is older', () => {
    const group = ['a', 'b', 'c'].map((name) => [`p/group/1/${name}`, name === 'c' ? '1' : '2'] as const);
    expect(new Ledger().judge('here', new Map(group))).toEqual(['here: p/group/1/ is torn']);
  });
});
