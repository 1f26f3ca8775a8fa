import fc from 'fast-check';
import { type Step, del, get, put, woken } from './scenario.ts';

/**
 * Sequences of requests over few names, so that they meet. `ns` stands for a text of each run's own: what
 * one run leaves behind is then outside of what the next one sees.
 */
export function stepsOf(ns: string, actions: readonly Action[]): readonly Step[] {
  return [...prologue, ...actions.flatMap((action) => expand(ns, action)), ...epilogue(ns)];
}

const keys = ['a', 'a/', 'a/b', 'a/c', 'ab', 'b'] as const;
const prefixes = ['', 'a', 'a/', 'b', 'none'] as const;
const values = ['', 'x', 'y'] as const;
const sessions = ['s0', 's1'] as const;
const nodes = ['n0', 'n1'] as const;
const services = ['web', 'db'] as const;
const statuses = ['passing', 'warning', 'critical'] as const;
const kvVerbs = [
  'set',
  'get',
  'get-tree',
  'delete',
  'delete-tree',
  'check-not-exists',
  'cas',
  'delete-cas',
  'check-index',
  'lock',
  'unlock',
  'check-session',
] as const;

const key = fc.constantFrom(...keys);
const prefix = fc.constantFrom(...prefixes);
const value = fc.constantFrom(...values);
const flags = fc.constantFrom(0, 0, 1, 2);
const session = fc.constantFrom(...sessions);
const node = fc.constantFrom(...nodes);
const service = fc.constantFrom(...services);
const status = fc.constantFrom(...statuses);
// What was last read of the key, what was read of another, or an index that is surely not of today.
const index = fc.constantFrom('read', 'read', 'zero', 'one');

const kvOp = fc.record({ verb: fc.constantFrom(...kvVerbs), key, value, flags, index, session });
type KvOp = typeof kvOp extends fc.Arbitrary<infer T> ? T : never;

const weighted = <T>(
  weight: number,
  arbitrary: fc.Arbitrary<T>,
): { weight: number; arbitrary: fc.Arbitrary<T> } => ({
  weight,
  arbitrary,
});

export const action = fc.oneof(
  weighted(6, fc.record({ do: fc.constant('put' as const), key, value, flags })),
  weighted(3, fc.record({ do: fc.constant('cas' as const), key, value, index })),
  weighted(3, fc.record({ do: fc.constant('delete' as const), key })),
  weighted(2, fc.record({ do: fc.constant('delete-cas' as const), key, index })),
  weighted(1, fc.record({ do: fc.constant('delete-tree' as const), prefix })),
  weighted(4, fc.record({ do: fc.constant('get' as const), key })),
  weighted(3, fc.record({ do: fc.constant('recurse' as const), prefix })),
  weighted(
    3,
    fc.record({ do: fc.constant('keys' as const), prefix, separator: fc.constantFrom('', '/', 'b') }),
  ),
  weighted(4, fc.record({ do: fc.constant('acquire' as const), key, value, session })),
  weighted(2, fc.record({ do: fc.constant('release' as const), key, value, session })),
  weighted(1, fc.record({ do: fc.constant('session' as const), session, remove: fc.boolean() })),
  weighted(1, fc.record({ do: fc.constant('destroy' as const), session })),
  weighted(
    4,
    fc.record({ do: fc.constant('txn' as const), ops: fc.array(kvOp, { minLength: 1, maxLength: 4 }) }),
  ),
  weighted(
    2,
    fc.record({ do: fc.constant('watch' as const), key, flags, tree: fc.boolean(), remove: fc.boolean() }),
  ),
  weighted(2, fc.record({ do: fc.constant('register-node' as const), node, port: fc.constantFrom(1, 2) })),
  weighted(
    3,
    fc.record({ do: fc.constant('register-service' as const), node, service, port: fc.constantFrom(1, 2) }),
  ),
  weighted(
    3,
    fc.record({ do: fc.constant('register-check' as const), node, service: fc.option(service), status }),
  ),
  weighted(1, fc.record({ do: fc.constant('deregister-node' as const), node })),
  weighted(2, fc.record({ do: fc.constant('deregister-service' as const), node, service })),
  weighted(1, fc.record({ do: fc.constant('deregister-check' as const), node, service: fc.option(service) })),
  weighted(2, fc.record({ do: fc.constant('service' as const), service })),
  weighted(3, fc.record({ do: fc.constant('health' as const), service, passing: fc.boolean() })),
  weighted(2, fc.record({ do: fc.constant('checks' as const), node })),
  weighted(2, fc.record({ do: fc.constant('watch-service' as const), node, service })),
);
export type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

const createSession = (name: string, remove: boolean): Step =>
  put(
    '/v1/session/create',
    { LockDelay: '0s', Behavior: remove ? 'delete' : 'release' },
    { capture: { [name]: '$.ID' } },
  );

const prologue: readonly Step[] = sessions.map((name) => createSession(name, false));

function epilogue(ns: string): readonly Step[] {
  return [
    get(`/v1/kv/${ns}/?recurse`),
    ...sessions.map((name) => put(`/v1/session/destroy/<<${name}>>`)),
    get(`/v1/kv/${ns}/?recurse`),
    del(`/v1/kv/${ns}/?recurse`),
    ...nodes.map((name) => put('/v1/catalog/deregister', { Node: `${ns}-${name}` })),
  ];
}

/** Reads the key for its index: `<<read>>` is zero where it is not there. */
const readIndex = (path: string): Step =>
  get(path, { capture: { read: '$[0].ModifyIndex' }, captureElse: '0' });
const indexText = { read: '<<read>>', zero: '0', one: '1' } as const;

// The kinds of requests are many and each is short: a table of them reads better than it would in parts.
function expand(ns: string, a: Action): readonly Step[] {
  const kv = (name: string, query = ''): string => `/v1/kv/${ns}/${name}${query}`;
  const nodeName = 'node' in a ? `${ns}-${a.node}` : '';
  const nodeBody = { Node: nodeName, Address: '10.0.0.1' };
  switch (a.do) {
    case 'put':
      return [put(kv(a.key, `?flags=${a.flags}`), a.value)];
    case 'cas':
      return [readIndex(kv(a.key)), put(kv(a.key, `?cas=${indexText[a.index as 'read']}`), a.value)];
    case 'delete':
      return [del(kv(a.key))];
    case 'delete-cas':
      return [readIndex(kv(a.key)), del(kv(a.key, `?cas=${indexText[a.index as 'read']}`))];
    case 'delete-tree':
      return [del(kv(a.prefix, '?recurse'))];
    case 'get':
      return [get(kv(a.key)), get(kv(a.key, '?raw'))];
    case 'recurse':
      return [get(kv(a.prefix, '?recurse'))];
    case 'keys':
      return [get(kv(a.prefix, `?keys&separator=${a.separator}`))];
    case 'acquire':
    case 'release':
      return [put(kv(a.key, `?${a.do}=<<${a.session}>>`), a.value)];
    case 'session':
      return [createSession(a.session, a.remove), get(`/v1/session/info/<<${a.session}>>`)];
    case 'destroy':
      return [put(`/v1/session/destroy/<<${a.session}>>`), get(`/v1/session/info/<<${a.session}>>`)];
    case 'txn':
      return [
        readIndex(kv(a.ops[0]?.key ?? 'a')),
        put('/v1/txn', `[${a.ops.map((op) => kvOpText(ns, op)).join(',')}]`),
      ];
    case 'watch':
      return [
        put(kv(a.key), 'before'),
        get(kv(a.key, a.tree ? '?recurse' : ''), { capture: { index: 'header X-Consul-Index' } }),
        woken(kv(a.key, a.tree ? '?recurse&index=<<index>>' : '?index=<<index>>'), [
          a.remove ? del(kv(a.key)) : put(kv(a.key, `?flags=${a.flags}`), 'after'),
        ]),
      ];
    case 'register-node':
      return [
        put('/v1/catalog/register', { ...nodeBody, NodeMeta: { port: String(a.port) } }),
        get(`/v1/catalog/node/${nodeName}`),
      ];
    case 'register-service':
      return [
        put('/v1/catalog/register', {
          ...nodeBody,
          Service: { Service: `${ns}-${a.service}`, Port: a.port },
        }),
      ];
    case 'register-check':
      return [
        put('/v1/catalog/register', { ...nodeBody, Check: checkBody(ns, nodeName, a.service, a.status) }),
      ];
    case 'deregister-node':
      return [put('/v1/catalog/deregister', { Node: nodeName })];
    case 'deregister-service':
      return [put('/v1/catalog/deregister', { Node: nodeName, ServiceID: `${ns}-${a.service}` })];
    case 'deregister-check':
      return [put('/v1/catalog/deregister', { Node: nodeName, CheckID: `check-${a.service ?? 'node'}` })];
    case 'service':
      return [get(`/v1/catalog/service/${ns}-${a.service}`)];
    case 'health':
      return [
        get(`/v1/health/service/${ns}-${a.service}${a.passing ? '?passing' : ''}`),
        get(`/v1/health/checks/${ns}-${a.service}`),
      ];
    case 'checks':
      return [get(`/v1/health/node/${nodeName}`)];
    case 'watch-service':
      return [
        put('/v1/catalog/register', { ...nodeBody, Service: { Service: `${ns}-${a.service}`, Port: 8 } }),
        get(`/v1/health/service/${ns}-${a.service}`, { capture: { index: 'header X-Consul-Index' } }),
        woken(`/v1/health/service/${ns}-${a.service}?index=<<index>>`, [
          put('/v1/catalog/register', { ...nodeBody, Service: { Service: `${ns}-${a.service}`, Port: 9 } }),
        ]),
      ];
  }
}

function checkBody(ns: string, Node: string, serviceName: string | null, Status: string): object {
  const id = `check-${serviceName ?? 'node'}`;
  return {
    Node,
    CheckID: id,
    Name: id,
    Status,
    ...(serviceName === null ? {} : { ServiceID: `${ns}-${serviceName}` }),
  };
}

function kvOpText(ns: string, op: KvOp): string {
  const fields = {
    Verb: op.verb,
    Key: `${ns}/${op.key}`,
    Value: Buffer.from(op.value).toString('base64'),
    Flags: op.flags,
    Session: `<<${op.session}>>`,
  };
  // The index is a number, which the text of it becomes only once it is known.
  return `{"KV":${JSON.stringify(fields).slice(0, -1)},"Index":${indexText[op.index as 'read']}}}`;
}
