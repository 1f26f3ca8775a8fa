import type { Area } from '../harness.ts';
import { get, put, request, scenario } from '../scenario.ts';

// The index of the list of events is made from the id of the last one.
const hashedIndex = true;

export const events: Area = {
  name: 'Events',
  scenarios: [
    scenario(
      'there are no events at first',
      get('/v1/event/list', { expect: { status: 200, body: '[]' }, hashedIndex }),
      get('/v1/event/list?name=none', { expect: { body: '[]' }, hashedIndex }),
    ),
    scenario(
      'an event is fired with a payload, and listed',
      put('/v1/event/fire/deploy', 'payload', { expect: { status: 200, body: '"Payload":"cGF5bG9hZA=="' } }),
      get('/v1/event/list?name=deploy', { until: '"deploy"', hashedIndex }),
      put('/v1/event/fire/empty', undefined, { expect: { body: '"Payload":null' } }),
      get('/v1/event/list', { until: '"empty"', hashedIndex, mask: ['$[*].LTime'] }),
      put('/v1/event/fire/filtered?node=agent-.*&service=consul&tag=.*', 'x', {
        expect: { body: '"NodeFilter":"agent-.*","ServiceFilter":"consul","TagFilter":".*"' },
        mask: ['$.LTime'],
      }),
      get('/v1/event/list?name=deploy', { hashedIndex, mask: ['$[*].LTime'] }),
    ),
    scenario(
      'an event for others is not listed here',
      put('/v1/event/fire/others?node=nobody', 'x', { expect: { status: 200 } }),
      put('/v1/event/fire/noservice?service=none', 'x'),
      put('/v1/event/fire/mine?node=agent-one', 'x'),
      get('/v1/event/list?name=mine', { until: '"mine"', hashedIndex, mask: ['$[*].LTime'] }),
      get('/v1/event/list?name=others', { expect: { body: '[]' }, hashedIndex }),
      get('/v1/event/list?name=noservice', { expect: { body: '[]' }, hashedIndex }),
    ),
    scenario(
      'the list of events is filtered',
      put('/v1/event/fire/sel', 'x', { mask: ['$.LTime'] }),
      get('/v1/event/list?name=sel', { until: '"sel"', hashedIndex, mask: ['$[*].LTime'] }),
      get('/v1/event/list?node=agent-one&name=sel', { hashedIndex, mask: ['$[*].LTime'] }),
      get('/v1/event/list?service=none&name=sel', { hashedIndex, mask: ['$[*].LTime'] }),
    ),
    scenario(
      'an event without a name, with bad filters, or for another datacenter is refused',
      put('/v1/event/fire/', 'x', { expect: { status: 400, body: 'Missing name' } }),
      put('/v1/event/fire/bad?node=%5B', 'x', { expect: { status: 500, body: 'Invalid node filter' } }),
      put('/v1/event/fire/bad?service=%5B', 'x', { expect: { status: 500, body: 'Invalid service filter' } }),
      put('/v1/event/fire/bad?tag=x', 'x', {
        expect: { status: 500, body: 'Cannot provide tag filter without service filter' },
      }),
      put('/v1/event/fire/bad?service=x&tag=%5B', 'x', {
        expect: { status: 500, body: 'Invalid tag filter' },
      }),
      put('/v1/event/fire/bad?dc=nowhere', 'x', { expect: { status: 500 } }),
      put('/v1/event/fire/bad?dc=DC1', 'x', { expect: { status: 500 } }),
      put('/v1/event/fire/big', 'x'.repeat(2000)),
    ),
    scenario(
      'methods',
      get('/v1/event/fire/x', { expect: { status: 405 } }),
      request('POST', '/v1/event/fire/x', '', { expect: { status: 405 } }),
      put('/v1/event/list', '', { expect: { status: 405 } }),
    ),
  ],
};
