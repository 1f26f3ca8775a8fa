import type { Area } from '../harness.ts';
import { del, get, put, request, scenario } from '../scenario.ts';

const aclOff = { expect: { status: 401, body: 'ACL support disabled' } };

export const refusals: Area = {
  name: 'Refusals',
  scenarios: [
    scenario(
      'access control is off',
      put('/v1/acl/bootstrap', '', aclOff),
      get('/v1/acl/tokens', aclOff),
      get('/v1/acl/policies', aclOff),
      get('/v1/acl/roles', aclOff),
      get('/v1/acl/auth-methods', aclOff),
      get('/v1/acl/binding-rules', aclOff),
      get('/v1/acl/token/self', aclOff),
      get('/v1/acl/token/00000000-0000-0000-0000-000000000002', aclOff),
      put('/v1/acl/token', {}, aclOff),
      put('/v1/acl/policy', {}, aclOff),
      get('/v1/acl/policy/x', aclOff),
      put('/v1/acl/role', {}, aclOff),
      get('/v1/acl/role/x', aclOff),
      get('/v1/acl/replication', aclOff),
      request('POST', '/v1/acl/login', {}, aclOff),
      request('POST', '/v1/acl/logout', {}, aclOff),
      put('/v1/acl/auth-method', {}, aclOff),
      get('/v1/acl/auth-method/x', aclOff),
      put('/v1/acl/binding-rule', {}, aclOff),
      get('/v1/acl/binding-rule/x', aclOff),
      del('/v1/acl/token/x', aclOff),
      request('POST', '/v1/acl/tokens', '', { expect: { status: 405 } }),
    ),
    scenario(
      'there is no mesh',
      get('/v1/connect/ca/roots', {
        expect: { status: 500, body: 'Connect must be enabled in order to use this endpoint' },
      }),
      get('/v1/connect/ca/configuration', {
        expect: { status: 500, body: 'Connect must be enabled in order to use this endpoint' },
      }),
      put('/v1/connect/ca/configuration', {}, { expect: { status: 500 } }),
      get('/v1/agent/connect/ca/roots', { expect: { status: 500 } }),
      get('/v1/agent/connect/ca/leaf/x', { expect: { status: 500 } }),
      request('POST', '/v1/agent/connect/authorize', '{}', {
        expect: { status: 400, body: 'Target service must be specified' },
        differs: {
          id: 'refused',
          at: ['status', 'body'],
          gateway: { status: 500, body: 'Connect must be enabled' },
        },
      }),
      get('/v1/connect/intentions'),
      get('/v1/discovery-chain/x'),
      get('/v1/catalog/connect/x', { expect: { status: 200, body: '[]' } }),
    ),
    scenario(
      'there are no configuration entries',
      get('/v1/config/service-defaults', { expect: { status: 200, body: '[]' } }),
      get('/v1/config/service-defaults/web', {
        expect: { status: 404, body: 'Config entry not found for "service-defaults" / "web"' },
      }),
      get('/v1/config/nope'),
    ),
    scenario(
      'there are no prepared queries yet',
      get('/v1/query', { expect: { status: 200, body: '[]' } }),
      get('/v1/query/11111111-2222-3333-4444-555555555555', { expect: { status: 404 } }),
      get('/v1/query/none/execute', { expect: { status: 404 } }),
    ),
    scenario(
      'what is not built, and what is of newer versions',
      get('/v1/internal/ui/nodes', {
        expect: { status: 200 },
        differs: { id: 'refused', at: ['status', 'body', 'header'], gateway: { status: 501 } },
      }),
      get('/v1/federation-states', {
        differs: { id: 'unknown-path', at: ['body', 'header'], gateway: { status: 404 } },
      }),
      get('/v1/peerings', {
        expect: { status: 404 },
        differs: { id: 'unknown-path', at: ['status', 'body', 'header'] },
      }),
      get('/ui/', { differs: { id: 'unknown-path', at: ['body', 'header'], gateway: { status: 404 } } }),
    ),
  ],
};
