import { describe, expect, test } from '@jest/globals';
import { MemoryStore } from '../../../src/io/memory-store.ts';
import { ask } from '../../support/ask.ts';
import { StateFixture } from '../../support/state.ts';

describe('status', () => {
  test('leader and peers show the address of the gateway', async () => {
    const fixture = new StateFixture();
    expect((await ask(fixture, 'GET', '/v1/status/leader')).body).toBe('"127.0.0.1:8300"');
    expect((await ask(fixture, 'GET', '/v1/status/peers')).body).toBe('["127.0.0.1:8300"]');
  });

  test('there is no leader until the datacenter was founded', async () => {
    const fixture = new StateFixture({ view: new MemoryStore() });
    expect((await ask(fixture, 'GET', '/v1/status/leader')).body).toBe('""');
  });

  test('an IPv6 address stands in brackets', async () => {
    const { gateway } = new StateFixture().context;
    const fixture = new StateFixture({ gateway: { ...gateway, address: '::1' } });
    expect((await ask(fixture, 'GET', '/v1/status/leader')).body).toBe('"[::1]:8300"');
  });
});
