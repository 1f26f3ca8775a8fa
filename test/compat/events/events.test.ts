import { describe, expect, test } from '@jest/globals';
import { EventLog } from '../../../compat/events/event-log.ts';
import {
  eventIndex,
  eventProblem,
  eventReaches,
  type EventPlace,
  type UserEvent,
} from '../../../compat/events/user-event.ts';

function event(over: Partial<UserEvent> = {}): UserEvent {
  return {
    id: '3029911c-7812-8929-f590-cc0ef6f5a58c',
    name: 'deploy',
    payload: new Uint8Array(),
    nodeFilter: '',
    serviceFilter: '',
    tagFilter: '',
    version: 1,
    lTime: 0,
    ...over,
  };
}

const place: EventPlace = {
  nodeName: 'gateway-1',
  services: [
    { service: 'web', tags: ['blue', 'v2'] },
    { service: 'db', tags: [] },
  ],
};

describe('user events', () => {
  test('the index of an event is its id folded as Consul folds it', () => {
    expect(eventIndex('3029911c-7812-8929-f590-cc0ef6f5a58c')).toBe(14_247_521_230_451_584_165n);
  });

  test('filters are regular expressions on the node, and on one service with one of its tags', () => {
    expect(eventReaches(event({ nodeFilter: '^gateway' }), place)).toBe(true);
    expect(eventReaches(event({ nodeFilter: '^way' }), place)).toBe(false);
    expect(eventReaches(event({ serviceFilter: '^w' }), place)).toBe(true);
    expect(eventReaches(event({ serviceFilter: 'none' }), place)).toBe(false);
    expect(eventReaches(event({ serviceFilter: 'web', tagFilter: '^v' }), place)).toBe(true);
    expect(eventReaches(event({ serviceFilter: 'db', tagFilter: '^v' }), place)).toBe(false);
    expect(eventReaches(event({ version: 2 }), place)).toBe(false);
  });

  test('a filter that is no expression is refused by its name', () => {
    const problem = (over: Partial<UserEvent>): string | undefined => eventProblem(event(over));
    expect(problem({ nodeFilter: 'a(' })).toBe(
      'Invalid node filter: error parsing regexp: missing closing ): `a(`',
    );
    expect(problem({ serviceFilter: '[z' })).toMatch(/^Invalid service filter: /);
    expect(problem({ serviceFilter: 'a', tagFilter: '*' })).toMatch(/^Invalid tag filter: /);
    expect(problem({ tagFilter: 'a' })).toBe('Cannot provide tag filter without service filter');
  });

  // The largest payloads that a real Consul 1.8.7 took.
  test.each([
    [{ name: 'x' }, 414],
    [{ name: 'x'.repeat(10) }, 396],
    [{ name: 'x', nodeFilter: 'abc', serviceFilter: 'de', tagFilter: 'f' }, 396],
    [{ name: 'y'.repeat(40), nodeFilter: 'abc' }, 326],
  ])('%j takes a payload of %d bytes and no more', (over, bytes) => {
    expect(eventProblem(event({ ...over, payload: new Uint8Array(bytes) }))).toBeUndefined();
    expect(eventProblem(event({ ...over, payload: new Uint8Array(bytes + 1) }))).toContain(
      'encoded user event exceeds configured limit of 512 bytes after encoding',
    );
    expect(eventProblem(event({ ...over, payload: new Uint8Array(600) }))).toContain(
      'user event exceeds configured limit of 512 bytes before encoding',
    );
  });
});

describe('the event log', () => {
  test('it keeps the last 256 events, oldest first', () => {
    const log = new EventLog({ here: () => place, onChange: () => undefined });
    for (let i = 0; i < 300; i++) log.fire(event({ name: `e${i}` }));
    const names = log.list().map(({ name }) => name);
    expect(names).toHaveLength(256);
    expect(names[0]).toBe('e44');
    expect(names.at(-1)).toBe('e299');
    expect(log.list('e100').map(({ name }) => name)).toEqual(['e100']);
  });

  test('time only moves on, also with what is not for us', () => {
    let changes = 0;
    const log = new EventLog({ here: () => place, onChange: () => void (changes += 1) });
    log.fire(event());
    log.receive(event({ nodeFilter: 'elsewhere', lTime: 40 }));
    log.receive(event({ lTime: 7 }));
    log.fire(event());
    expect(log.list().map(({ lTime }) => lTime)).toEqual([2, 7, 41]);
    expect(changes).toBe(3);
  });
});
