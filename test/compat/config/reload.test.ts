import { describe, expect, test } from '@jest/globals';
import { keysForRestart } from '../../../compat/config/reload.ts';

describe('what a reload leaves to a restart', () => {
  test('is named by key, changed, new or gone', () => {
    expect(
      keysForRestart(
        { datacenter: 'dc1', ports: { http: 1, dns: 2 }, recursors: ['a'], domain: 'x' },
        { datacenter: 'dc1', ports: { http: 3, dns: 2 }, recursors: ['a', 'b'], pid_file: '/p' },
        [],
      ),
    ).toEqual(['domain', 'pid_file', 'ports.http', 'recursors']);
  });

  test('is nothing of what a running gateway takes, nor of what means nothing here', () => {
    expect(
      keysForRestart(
        { log_level: 'info', node_meta: { a: '1' }, services: [], raft_protocol: 3, acl: { enabled: false } },
        {
          log_level: 'debug',
          node_meta: { a: '2', b: '3' },
          services: [{ name: 'x' }],
          telemetry: { prefix_filter: ['-x'] },
        },
        ['raft_protocol', 'acl'],
      ),
    ).toEqual([]);
  });
});
