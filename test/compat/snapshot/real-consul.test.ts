import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { runCommand, type CommandResult } from '../../support/agent-process.ts';
import { gatewayCommand, startGateway, type GatewayProcess } from '../../support/gateway-process.ts';
import { consulBinary, describeRealConsul } from '../../support/real-consul.ts';

describeRealConsul('the consul command line against a gateway', () => {
  let gateway: GatewayProcess;
  let place: string;

  beforeAll(async () => {
    place = mkdtempSync(join(tmpdir(), 'grapevine-cli-test-'));
    gateway = await startGateway();
  }, 60_000);

  afterAll(async () => {
    await gateway.stop();
    rmSync(place, { recursive: true, force: true });
  });

  const consul = (...args: readonly string[]): Promise<CommandResult> =>
    runCommand(consulBinary(), args, { cwd: place, env: { CONSUL_HTTP_ADDR: gateway.url } });

  const grapevine = (...args: readonly string[]): Promise<CommandResult> => {
    const [command, ...before] = gatewayCommand();
    return runCommand(command, [...before, ...args], {
      cwd: place,
      env: { GRAPEVINE_HTTP_ADDR: gateway.url },
    });
  };

  const put = (key: string, value: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/kv/${key}`, { method: 'PUT', body: value });

  const keys = async (): Promise<unknown> => (await fetch(`${gateway.url}/v1/kv/?keys`)).json();

  test('consul snapshot saves, verifies and restores an archive; so does grapevine snapshot', async () => {
    for (const cli of [consul, grapevine]) {
      await put('kept', '1');
      const saved = await cli('snapshot', 'save', 'state.tgz');
      expect(saved).toMatchObject({ code: 0, stderr: '' });
      expect(saved.stdout).toMatch(/^Saved and verified snapshot to index \d+\n$/);
      const inspected = await cli('snapshot', 'inspect', 'state.tgz');
      expect(inspected.code).toBe(0);
      expect(inspected.stdout).toMatch(/ID +1-\d+-\d+\nSize +\d+\nIndex +\d+\nTerm +1\nVersion +2/);
      await put('late', '1');
      const before = (await fetch(`${gateway.url}/v1/kv/?recurse`)).headers.get('x-consul-index');
      expect(await cli('snapshot', 'restore', 'state.tgz')).toMatchObject({
        code: 0,
        stdout: 'Restored snapshot\n',
      });
      expect(await keys()).toEqual(['kept']);
      const after = (await fetch(`${gateway.url}/v1/kv/?recurse`)).headers.get('x-consul-index');
      expect(Number(after)).toBeGreaterThan(Number(before));
    }
  }, 60_000);

  test('what is no archive is refused by both', async () => {
    const { code, stderr } = await grapevine('snapshot', 'restore', 'nothing.tgz');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error restoring snapshot: .*no such file/);
    const restored = await consul('snapshot', 'restore', consulBinary());
    expect(restored.stderr).toContain('Unexpected response code: 500 (failed to decompress snapshot: ');
    expect(await keys()).toEqual(['kept']);
  }, 60_000);

  test('consul event fires, and consul watch sees it with its payload', async () => {
    const watch = spawn(consulBinary(), ['watch', '-type=event', '-name=deploy', 'cat'], {
      env: { ...process.env, CONSUL_HTTP_ADDR: gateway.url },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      let seen = '';
      const events = new Promise<string>((resolve) => {
        watch.stdout.on('data', (text: Buffer) => {
          seen += text.toString();
          if (seen.includes('"Payload":"djIuMQ=="')) resolve(seen);
        });
      });
      // The first thing that a watch prints is the list as it is: then it waits.
      await new Promise<void>((resolve) => watch.stdout.once('data', () => resolve()));
      const fired = await consul('event', '-name=deploy', 'v2.1');
      expect(fired).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Event ID: [0-9a-f-]{36}\n$/) });
      expect(await events).toContain('"Name":"deploy"');
    } finally {
      watch.kill();
    }
  }, 60_000);

  test('consul operator raft list-peers shows the gateway as the leader', async () => {
    const { code, stdout } = await consul('operator', 'raft', 'list-peers');
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`${gateway.nodeName} .* leader +true +3`));
  }, 60_000);
});
