import { describe, expect, test } from '@jest/globals';
import { orderProblem, pageHostProblem } from '../../../compat/http/browser-orders.ts';

const json = { 'content-type': 'application/json' };

describe('an order', () => {
  test.each([
    ['of a program, which says no origin', { host: 'gateway:8500' }],
    ['of the page at an address', { host: '10.0.0.1:8500', origin: 'http://10.0.0.1:8500', ...json }],
    ['of the page at an IPv6 address', { host: '[fd00::1]:8500', origin: 'http://[fd00::1]:8500', ...json }],
    ['of the page at localhost', { host: 'localhost:8500', origin: 'http://localhost:8500', ...json }],
    ['of the page at a name without dots', { host: 'gateway', origin: 'http://gateway', ...json }],
    ['of the page over HTTPS', { host: 'gateway', origin: 'https://gateway', ...json }],
    [
      'of the page at a name of Consul',
      { host: 'gw.node.consul:8500', origin: 'http://gw.node.consul:8500', ...json },
    ],
    ['that the browser calls its own', { host: 'localhost', 'sec-fetch-site': 'same-origin', ...json }],
    [
      'of the page at a public name that was configured',
      { host: 'move.example.com', origin: 'https://move.example.com', ...json },
    ],
    [
      'through a proxy that calls the gateway by another name',
      { host: '10.0.0.1:8500', origin: 'https://move.example.com', ...json },
    ],
    [
      'with a character set',
      { host: 'localhost', origin: 'http://localhost', 'content-type': 'application/json; charset=utf-8' },
    ],
  ])('%s is taken', (_, headers) => {
    expect(orderProblem(headers, ['move.example.com'])).toBeUndefined();
  });

  test.each([
    [
      'of a page of another host',
      { host: '10.0.0.1:8500', origin: 'http://evil.example', ...json },
      /another origin/,
    ],
    [
      'of a page of another port',
      { host: '10.0.0.1:8500', origin: 'http://10.0.0.1:9000', ...json },
      /another origin/,
    ],
    ['of a page that hides its origin', { host: 'localhost', origin: 'null', ...json }, /another origin/],
    [
      'of a page of the same site',
      { host: 'a.internal', 'sec-fetch-site': 'same-site', ...json },
      /another origin/,
    ],
    ['of any other page', { host: 'localhost', 'sec-fetch-site': 'cross-site', ...json }, /another origin/],
    [
      'of an extension',
      { host: 'localhost', origin: 'chrome-extension://localhost', ...json },
      /another origin/,
    ],
    [
      'of a page at a public name that points here (DNS rebinding)',
      { host: 'evil.example:8500', origin: 'http://evil.example:8500', ...json },
      /page_hosts/,
    ],
    [
      'of a name that only begins like an address',
      { host: '10.0.0.1.evil.example', origin: 'http://10.0.0.1.evil.example', ...json },
      /page_hosts/,
    ],
    [
      'of a name that only ends like a configured one',
      { host: 'evilmove.example.com', origin: 'https://evilmove.example.com', ...json },
      /page_hosts/,
    ],
    ['without a host', { origin: 'http://localhost', ...json }, /another origin/],
    [
      'of a form',
      {
        host: 'localhost',
        origin: 'http://localhost',
        'content-type': 'application/x-www-form-urlencoded',
      },
      /JSON/,
    ],
    ['of a browser without a type', { host: 'localhost', 'sec-fetch-site': 'none' }, /JSON/],
  ])('%s is refused', (_, headers, why) => {
    expect(orderProblem(headers, ['move.example.com'])).toMatch(why);
  });

  test('is foretold by the host that the page was opened at', () => {
    expect(pageHostProblem('127.0.0.1:8500', [])).toBeUndefined();
    expect(pageHostProblem('evil.example:8500', [])).toMatch(/evil\.example/);
    expect(pageHostProblem('move.example:8500', ['move.example:8500'])).toBeUndefined();
    expect(pageHostProblem(undefined, [])).toBeDefined();
  });
});
