import { describe, expect, test } from '@jest/globals';
import { EventLog, eventsTopic } from '../../../compat/events/event-log.ts';
import { eventIndex } from '../../../compat/events/user-event.ts';
import { eventRoutes } from '../../../compat/routes/event.ts';
import { ask } from '../../support/ask.ts';
import { StateFixture } from '../../support/state.ts';

function gateway(): StateFixture {
  const fixture: StateFixture = new StateFixture({
    events: new EventLog({
      here: () => ({ nodeName: 'gateway', services: [] }),
      onChange: () => fixture.live.touch([eventsTopic]),
    }),
  });
  return fixture;
}

describe('events', () => {
  test('what was fired is listed, with its payload, and is the index of the list', async () => {
    const fixture = gateway();
    const none = await ask(fixture, 'GET', '/v1/event/list');
    expect(none).toMatchObject({ body: '[]', index: 1 });
    const fired = await ask(fixture, 'PUT', '/v1/event/fire/deploy?node=gate', 'hello');
    const event = JSON.parse(fired.body) as { ID: string };
    expect(event).toMatchObject({
      Name: 'deploy',
      Payload: 'aGVsbG8=',
      NodeFilter: 'gate',
      Version: 1,
      LTime: 0,
    });
    const listed = await ask(fixture, 'GET', '/v1/event/list');
    expect(JSON.parse(listed.body)).toMatchObject([{ ID: event.ID, LTime: 2 }]);
    expect(listed.index).toBe(eventIndex(event.ID));
  });

  test('an event for other nodes is not listed here; an empty payload is null', async () => {
    const fixture = gateway();
    await ask(fixture, 'PUT', '/v1/event/fire/a?node=elsewhere');
    await ask(fixture, 'PUT', '/v1/event/fire/b');
    const { body } = await ask(fixture, 'GET', '/v1/event/list');
    expect(JSON.parse(body)).toMatchObject([{ Name: 'b', Payload: null }]);
  });

  test('who waits on the list of a name is woken by an event of that name', () => {
    const fixture = gateway();
    const waiting = fixture.wait(eventRoutes, '/v1/event/list?name=b');
    void ask(fixture, 'PUT', '/v1/event/fire/a');
    expect(waiting.outcome).toBeUndefined();
    void ask(fixture, 'PUT', '/v1/event/fire/b');
    expect(waiting.outcome).toMatchObject({ status: 200 });
  });

  test('nothing is fired into another datacenter, or without a name', async () => {
    const fixture = gateway();
    expect(await ask(fixture, 'PUT', '/v1/event/fire/a?dc=elsewhere')).toMatchObject({
      status: 500,
      body: 'No path to datacenter',
    });
    expect(await ask(fixture, 'PUT', '/v1/event/fire/')).toMatchObject({ status: 400, body: 'Missing name' });
    expect((await ask(fixture, 'GET', '/v1/event/list')).body).toBe('[]');
  });
});
