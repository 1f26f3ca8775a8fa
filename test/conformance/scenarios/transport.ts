import type { Area } from '../harness.ts';
import { del, get, put, request, scenario } from '../scenario.ts';

const options = (path: string): ReturnType<typeof request> =>
  request('OPTIONS', path, undefined, { expect: { status: 200, body: '' } });
const gzip = { 'Accept-Encoding': 'gzip' };

export const transport: Area = {
  name: 'Transport',
  config: {
    http_config: {
      response_headers: { 'X-Custom': 'yes', 'Access-Control-Allow-Origin': '*' },
      block_endpoints: ['/v1/agent/host'],
    },
  },
  scenarios: [
    scenario(
      'OPTIONS tells the methods of an endpoint',
      ...[
        '/v1/kv/a',
        '/v1/txn',
        '/v1/session/create',
        '/v1/session/list',
        '/v1/catalog/register',
        '/v1/catalog/nodes',
        '/v1/health/service/x',
        '/v1/agent/self',
        '/v1/agent/service/register',
        '/v1/agent/check/pass/x',
        '/v1/event/fire/x',
        '/v1/event/list',
        '/v1/status/leader',
        '/v1/coordinate/nodes',
        '/v1/query',
        '/v1/snapshot',
        '/v1/acl/token',
        '/v1/operator/raft/configuration',
      ].map(options),
    ),
    scenario(
      'headers that are configured come with every answer, errors too',
      get('/v1/status/leader', {
        expect: { headers: { 'X-Custom': 'yes', 'Access-Control-Allow-Origin': '*' } },
      }),
      get('/v1/kv/missing', { expect: { status: 404, headers: { 'X-Custom': 'yes' } } }),
      get('/v1/kv/', { expect: { status: 400, headers: { 'X-Custom': 'yes' } } }),
      request('POST', '/v1/kv/a', '', { expect: { status: 405, headers: { 'X-Custom': 'yes' } } }),
      get('/v1/nope', { differs: { id: 'unknown-path', at: ['body', 'header'], gateway: { status: 404 } } }),
      get('/v1/kv//a', { expect: { status: 301 } }),
    ),
    scenario(
      'a blocked endpoint is refused',
      get('/v1/agent/host', { expect: { status: 403, body: 'Endpoint is blocked by agent configuration' } }),
      request('OPTIONS', '/v1/agent/host', undefined),
      put('/v1/agent/host', ''),
    ),
    scenario(
      'paths that lead nowhere',
      ...['/v1/nope', '/v1/event/', '/v1/events', '/v1/catalog/nodes/'].map((path) =>
        get(path, {
          expect: { status: 404, body: '' },
          differs: {
            id: 'unknown-path',
            at: ['body', 'header'],
            gateway: { status: 404, body: /^Invalid URL path: not a recognized HTTP API endpoint\n$/ },
          },
        }),
      ),
      ...['/nope', '/v2/kv/a', '/V1/kv/a', '/nope?x=/v1/'].map((path) =>
        get(path, {
          expect: { status: 404, body: '' },
          differs: {
            id: 'unknown-path',
            at: ['body', 'header'],
            gateway: { status: 404, body: /^Invalid URL path: .* ensure the path starts with '\/v1\/'\n$/ },
          },
        }),
      ),
    ),
    scenario(
      'the front page is there for every method',
      ...['GET', 'PUT', 'POST', 'OPTIONS', 'HEAD'].map((method) =>
        request(method, '/', undefined, {
          expect: { status: 200, body: method === 'HEAD' ? '' : /^Consul Agent$/ },
          differs: {
            id: 'front-page-headers',
            at: ['header X-Custom', 'header Access-Control-Allow-Origin'],
            gateway: { headers: { 'X-Custom': 'yes' } },
          },
        }),
      ),
    ),
    scenario(
      'pretty JSON is indented by four spaces, and ends in a newline',
      put('/v1/kv/pretty/a', 'x'),
      get('/v1/kv/pretty/a?pretty', { expect: { body: /^\[\n {4}\{\n {8}"LockIndex": 0,[^]*\n\]\n$/ } }),
      get('/v1/kv/pretty/a?pretty=false', { expect: { body: '\n' } }),
      get('/v1/kv/pretty/?keys&pretty'),
      put('/v1/kv/pretty/b?pretty', 'x', { expect: { body: 'true\n' } }),
      del('/v1/kv/pretty/b?pretty', { expect: { body: 'true\n' } }),
      put('/v1/kv/pretty/a?pretty&cas=1', 'x', { expect: { body: 'false\n' } }),
      put('/v1/catalog/register?pretty', { Node: 'p', Address: '10.0.0.1' }, { expect: { body: 'true\n' } }),
      put('/v1/catalog/deregister?pretty', { Node: 'p' }, { expect: { body: 'true\n' } }),
      get('/v1/catalog/node/nobody?pretty'),
      get('/v1/catalog/service/none?pretty'),
      get('/v1/agent/services?pretty', { expect: { body: '{}\n' } }),
      put('/v1/txn?pretty', [{ KV: { Verb: 'get', Key: 'none' } }], { expect: { status: 409 } }),
      get('/v1/kv/pretty/missing?pretty'),
      get('/v1/kv/pretty/a?pretty&raw'),
      put('/v1/session/create?pretty', {}, { expect: { status: 200 } }),
    ),
    scenario(
      'answers are compressed when asked for, small ones need not be',
      put('/v1/kv/zip/big', 'compress me '.repeat(1000)),
      get('/v1/kv/zip/big', {
        headers: gzip,
        expect: { headers: { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' } },
      }),
      get('/v1/kv/zip/big?raw', { headers: gzip, expect: { headers: { 'Content-Encoding': 'gzip' } } }),
      get('/v1/kv/zip/big', { expect: { headers: { 'Content-Encoding': null, Vary: 'Accept-Encoding' } } }),
      get('/v1/kv/zip/big', {
        headers: { 'Accept-Encoding': 'identity' },
        expect: { headers: { 'Content-Encoding': null } },
      }),
      get('/v1/kv/zip/big', { headers: { 'Accept-Encoding': 'deflate, gzip;q=1.0' } }),
      get('/v1/kv/zip/big', { headers: { 'Accept-Encoding': 'gzip;q=0' } }),
      get('/v1/kv/zip/none', {
        headers: gzip,
        expect: { status: 404 },
        differs: { id: 'small-answers-plain', at: ['header'] },
      }),
      get('/v1/status/leader', { headers: gzip, differs: { id: 'small-answers-plain', at: ['header'] } }),
    ),
    scenario(
      'JSON escapes what HTML would read',
      put('/v1/kv/esc/%3Ca%3E%26', 'x'),
      get('/v1/kv/esc/?keys', { expect: { body: String.raw`\u003ca\u003e\u0026` } }),
      put('/v1/catalog/register', {
        Node: 'esc',
        Address: '10.0.0.1',
        NodeMeta: { a: '<&>\u2028\u2029\u0001"\\/é' },
      }),
      get('/v1/catalog/node/esc'),
      put('/v1/catalog/deregister', { Node: 'esc' }),
    ),
    scenario(
      'a body may be long, and come in chunks',
      put('/v1/session/destroy/11111111-2222-3333-4444-555555555555', 'x'.repeat(3_000_000), {
        expect: { status: 200 },
      }),
      put('/v1/session/destroy/11111111-2222-3333-4444-555555555555', 'x'.repeat(16 * 1024 * 1024 + 1), {
        expect: { status: 200 },
        differs: {
          id: 'large-bodies',
          at: ['status', 'body', 'header'],
          gateway: { status: 413, body: 'Request body(16777217 bytes) too large, max size: 16777216 bytes.' },
        },
      }),
      put('/v1/catalog/register', { Node: 'chunked', Address: '10.0.0.1' }, { chunked: true }),
      put('/v1/catalog/deregister', { Node: 'chunked' }, { chunked: true }),
      put(
        '/v1/session/create',
        { Name: 'chunked' },
        { chunked: true, capture: { id: '$.ID' }, expect: { status: 200 } },
      ),
      get('/v1/session/info/<<id>>', {
        expect: { body: '"Name":""' },
        differs: {
          id: 'chunked-bodies',
          at: ['body $[0].Name'],
          gateway: { body: '"Name":"chunked"' },
        },
      }),
      put('/v1/session/destroy/<<id>>'),
      put('/v1/event/fire/chunked', 'payload', {
        chunked: true,
        expect: { body: '"Payload":null' },
        differs: {
          id: 'chunked-bodies',
          at: ['body $.Payload'],
          gateway: { body: '"Payload":"cGF5bG9hZA=="' },
        },
      }),
    ),
    scenario(
      'a token means nothing where access is not controlled',
      put('/v1/kv/token/a?token=x', 'v', { expect: { status: 200 } }),
      get('/v1/kv/token/a', { headers: { 'X-Consul-Token': 'nope' }, expect: { status: 200 } }),
      get('/v1/kv/token/a', { headers: { Authorization: 'Bearer nope' }, expect: { status: 200 } }),
      get('/v1/kv/token/a?token=', { expect: { status: 200 } }),
    ),
    scenario(
      'a repeated parameter counts once',
      put('/v1/kv/twice/a?flags=1&flags=2', 'x'),
      get('/v1/kv/twice/a'),
      put('/v1/kv/twice/b?cas=0&cas=5', 'x'),
      get('/v1/kv/twice/b?raw&raw'),
    ),
    scenario(
      'parameters of Enterprise are refused',
      get('/v1/kv/a?ns=x', {
        expect: {
          status: 400,
          body: 'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature',
        },
        differs: {
          id: 'bad-request-prefix',
          at: ['body'],
          gateway: {
            status: 400,
            body: /^Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature/,
          },
        },
      }),
      put('/v1/kv/a?ns=default', 'x', {
        expect: { status: 400 },
        differs: {
          id: 'bad-request-prefix',
          at: ['body'],
          gateway: { status: 400, body: /^Invalid query parameter: "ns"/ },
        },
      }),
      ...[
        '/v1/catalog/nodes',
        '/v1/catalog/datacenters',
        '/v1/status/leader',
        '/v1/event/list',
        '/v1/agent/members',
        '/v1/coordinate/nodes',
        '/v1/operator/autopilot/configuration',
      ].map((path) => get(`${path}?ns=x`, { expect: { status: 200 }, ignore: ['$'] })),
      put('/v1/txn?ns=x', [], { expect: { status: 200 } }),
      get('/v1/health/service/x?ns=x', {
        expect: { status: 400 },
        differs: {
          id: 'bad-request-prefix',
          at: ['body'],
          gateway: { status: 400, body: /^Invalid query parameter: "ns"/ },
        },
      }),
      get('/v1/session/list?ns=x', {
        expect: { status: 400 },
        differs: {
          id: 'bad-request-prefix',
          at: ['body'],
          gateway: { status: 400, body: /^Invalid query parameter: "ns"/ },
        },
      }),
      get('/v1/kv/a?ns='),
      ...[
        get('/v1/kv/a', { headers: { 'X-Consul-Namespace': 'x' } }),
        get('/v1/kv/a?ns=y', { headers: { 'X-Consul-Namespace': 'x' } }),
        put('/v1/session/create', {}, { headers: { 'X-Consul-Namespace': 'x' } }),
        get('/v1/agent/services', { headers: { 'X-Consul-Namespace': 'x' } }),
      ].map((step) => ({
        ...step,
        expect: { status: 400, body: 'Bad request: Invalid header: "X-Consul-Namespace" - ' },
        differs: {
          id: 'bad-request-prefix' as const,
          at: ['body'],
          gateway: { status: 400, body: /^Invalid header: "X-Consul-Namespace" - / },
        },
      })),
      get('/v1/catalog/nodes', {
        headers: { 'X-Consul-Namespace': 'x' },
        expect: { status: 200 },
        ignore: ['$'],
      }),
    ),
  ],
};
