import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../support/agent-process.ts';
import { gatewayCommand, startGateway, type GatewayProcess } from '../../support/gateway-process.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../support/real-consul.ts';

describeRealConsul('archives of a gateway and a real Consul', () => {
  let consul: RealConsul;
  let gateway: GatewayProcess;
  let directory: string;

  beforeAll(async () => {
    [consul, gateway] = await Promise.all([startRealConsul(), startGateway()]);
    directory = await mkdtemp(join(tmpdir(), 'archives-'));
    for (const { url } of [consul, gateway]) await fetch(`${url}/v1/kv/held`, { method: 'PUT', body: url });
  });
  afterAll(async () => {
    await Promise.all([consul.stop(), gateway.stop()]);
    await rm(directory, { recursive: true });
  });

  async function held({ url }: { readonly url: string }): Promise<string> {
    return (await fetch(`${url}/v1/kv/held?raw`)).text();
  }

  test("Consul's tools save and inspect one of a gateway; a Consul refuses to restore it, and lives", async () => {
    const file = join(directory, 'gateway.tgz');
    const env = { CONSUL_HTTP_ADDR: gateway.url };
    expect(await consul.cli(['snapshot', 'save', file], { env })).toMatchObject({ code: 0 });
    const inspected = await consul.cli(['snapshot', 'inspect', file], { env });
    expect(inspected).toMatchObject({ code: 0, stdout: expect.stringMatching(/Version +2/) });
    const restored = await consul.cli(['snapshot', 'restore', file]);
    expect(restored.code).toBe(1);
    expect(restored.stderr).toContain('unsupported snapshot version 2');
    expect(await held(consul)).toBe(consul.url);
  });

  test('a gateway refuses to restore one of a Consul, and keeps what it has', async () => {
    const file = join(directory, 'consul.tgz');
    expect(await consul.cli(['snapshot', 'save', file])).toMatchObject({ code: 0 });
    const [program, ...before] = gatewayCommand();
    const args = [...before, 'snapshot', 'restore', `-http-addr=${gateway.url}`, file];
    const restored = await runCommand(program, args);
    expect(restored.code).toBe(1);
    expect(restored.stderr).toContain('copy a running Consul with grapevine migrate');
    const raw = await fetch(`${gateway.url}/v1/snapshot`, { method: 'PUT', body: await readFile(file) });
    expect(raw.status).toBe(500);
    expect(await held(gateway)).toBe(gateway.url);
  });
});
