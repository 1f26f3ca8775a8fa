import { expect, test } from '@jest/globals';
import { describePythonConsul, tellsPython } from './support/python-consul.ts';

/** What each scenario of test/clients/python tells: its questions are in the script, by the same names. */
const gone = expect.stringMatching(/^Session id '[0-9a-f-]{36}' not found$/);

describePythonConsul('python-consul', (server) => {
  test('keys: values, lists, check-and-set, waiting, deletion', async () => {
    expect(await tellsPython(server, 'kv')).toEqual({
      missing: [true, null],
      put: [true, true, true, true],
      get: [true, 'app/a', 'one', 0, 0],
      flags: true,
      bytes: true,
      directory: null,
      space: 'ü',
      recurse: ['app/a', 'app/b/c', 'app/b/d', 'app/key with space'],
      keys: ['app/a', 'app/b/c', 'app/b/d', 'app/key with space'],
      separator: ['app/a', 'app/b/', 'app/key with space'],
      'missing tree': null,
      stale: 'one',
      consistent: 'one',
      cas: [false, false, true, false, false, true],
      'bad cas': ['ConsulException', '500 strconv.ParseUint: parsing "abc": invalid syntax'],
      wait: [true, true, 'woken'],
      'wait in vain': [true, 'woken'],
      'wait without unit': ['BadRequest', '400 Invalid wait time'],
      'wait for a key': [true, 'x'],
      'wait for a deletion': null,
      delete: [true, true, true],
      left: null,
      'no such datacenter': ['ConsulException', '500 No path to datacenter'],
    });
  });

  test('sessions and locks, with the bodies that Patroni sends', async () => {
    expect(await tellsPython(server, 'sessions')).toEqual({
      info: {
        Name: 'cluster-member',
        Node: 'agent-one',
        LockDelay: 1_000_000,
        Behavior: 'delete',
        TTL: '15.0s',
      },
      'other info': '15.0s',
      list: ['cluster-member', 'second'],
      'of the node': 2,
      renew: true,
      acquire: [true, false, true],
      held: [true, 1, 'first again'],
      release: [false, true],
      released: false,
      'acquire again': true,
      'gone with its session': [null, true],
      'gone session': null,
      'renew of a gone session': ['NotFound', gone],
      'acquire with a gone session': ['ConsulException', expect.stringMatching(/^500 invalid session "/)],
      'TTL that is too short': [
        'ConsulException',
        "500 Invalid Session TTL '5000000000', must be between [10s=24h0m0s]",
      ],
      'TTL that is none': [
        'ConsulException',
        '500 Session TTL \'soon\' invalid: time: invalid duration "soon"',
      ],
      destroy: [true, true],
      'none left': [],
    });
  });

  test('the agent: services, checks and maintenance', async () => {
    expect(await tellsPython(server, 'agent')).toEqual({
      self: ['agent-one', 'dc1', 'agent-one'],
      members: ['agent-one'],
      register: true,
      service: ['py/web', 80, ['a', 'b'], true],
      'before the first pass': 'critical',
      'pass by GET': false,
      pass: true,
      passing: ['passing', 'all well', 'py/web/1'],
      instances: ['py/web/1'],
      maintenance: true,
      'in maintenance': 'a reason',
      'out of maintenance': true,
      'node maintenance': [true, true],
      'other check': true,
      checks: ['py-http', 'service:py/web/1'],
      deregister: [true, true],
      left: [{}, {}],
      'unknown check': true,
      'bad service': ['BadRequest', '400 Missing service name'],
      status: [true, 1],
    });
  });

  test('catalog, health, transactions and events', async () => {
    expect(await tellsPython(server, 'catalog')).toEqual({
      datacenters: ['dc1'],
      came: [true, [['passing']]],
      failed: [true, [['critical']]],
      'same index': true,
      passing: [],
      tagged: [1, 0],
      services: ['main'],
      service: [5432],
      nodes: ['agent-one', 'py-node'],
      node: ['db-1'],
      'unknown node': null,
      checks: ['db-1'],
      state: ['db-1'],
      'health of the node': ['critical'],
      modes: [2, 2, 2],
      gone: [true, false],
      'register without an address': [
        'ConsulException',
        '500 Must provide address if SkipNodeUpdate is not set',
      ],
      txn: [null, null, 'YQ==', true],
      'txn that fails': { Results: null, Errors: [{ OpIndex: 0, What: 'key "py/a" exists' }] },
      'still there': 'a',
      event: [true, 'payload'],
    });
  });
});
