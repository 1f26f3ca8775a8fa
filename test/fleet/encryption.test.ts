import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCommand } from '../support/agent-process.ts';
import { type FleetGateway, FleetProcess, newKey } from '../support/fleet-process.ts';
import { gatewayCommand } from '../support/gateway-process.ts';

const testMsMax = 120_000;

describe('encrypted gossip', () => {
  let fleet: FleetProcess;
  let g1: FleetGateway;
  beforeAll(async () => {
    fleet = await FleetProcess.start({ regions: ['eu', 'us', 'ap'] });
    g1 = fleet.gateway('g1');
  }, testMsMax);
  afterAll(() => fleet?.close(), testMsMax);

  test.each([
    ['no key', { encrypt: '' }],
    ['another key', { encrypt: newKey() }],
  ])(
    'a gateway with %s is not let in',
    async (_, config) => {
      const stranger = await fleet.add({ name: 'stranger', region: 'eu', config });
      await fleet.until('it hears nothing', async () => /Join cluster failed/.test(stranger.agent.output()));
      expect([...(await stranger.members()).keys()]).toEqual(['stranger']);
      expect(await stranger.keys('')).toEqual(new Map());
      await fleet.remove(stranger);
      for (const gateway of fleet.gateways) {
        expect([...(await gateway.members()).keys()].toSorted()).toEqual(['g1', 'g2', 'g3']);
      }
    },
    testMsMax,
  );

  test(
    'a key is installed, used and the old one removed while writes go on through all gateways',
    async () => {
      const before = fleet.encrypt ?? '';
      const next = newKey();
      let writing = true;
      const written = new Map<string, string>();
      const writers = fleet.gateways.map(async (gateway) => {
        for (let n = 0; writing; n++) {
          await gateway.putKey(`rotation/${gateway.name}/${n}`, `${n}`);
          written.set(`rotation/${gateway.name}/${n}`, `${n}`);
        }
      });
      const keyring = async (...args: readonly string[]): Promise<string> => {
        const { code, stdout, stderr } = await g1.cli('keyring', ...args);
        expect([args, code, stderr]).toEqual([args, 0, '']);
        return stdout;
      };
      // Each step is followed by writes of everybody, over connections old and new.
      const goesOn = async (): Promise<void> => {
        const sizes = fleet.gateways.map(({ name }) => count(written, name));
        await fleet.until('all go on writing', async () =>
          fleet.gateways.every(({ name }, i) => count(written, name) > (sizes[i] ?? 0) + 20),
        );
      };
      try {
        await goesOn();
        await keyring('install', next);
        await goesOn();
        await keyring('use', next);
        await goesOn();
        await keyring('remove', before);
        await goesOn();
        const listed = await keyring('list');
        expect(listed).toContain(next);
        expect(listed).not.toContain(before);
      } finally {
        writing = false;
        await Promise.all(writers);
      }
      for (const gateway of fleet.gateways) {
        await gateway.putKey(`rotation/last/${gateway.name}`, 'last');
        for (const reader of fleet.gateways) await reader.untilKey(`rotation/last/${gateway.name}`, 'last');
      }
      for (const reader of fleet.gateways) {
        const there = await reader.keys('rotation/');
        expect([...written].filter(([key, value]) => there.get(key)?.value !== value)).toEqual([]);
      }
    },
    testMsMax,
  );

  test(
    'the keyring outlives a restart, and the configuration does not bring an old key back',
    async () => {
      const g3 = fleet.gateway('g3');
      await g3.kill();
      await g3.restart();
      await fleet.untilTogether();
      const { stdout } = await g1.cli('keyring', 'list');
      expect(stdout).not.toContain(fleet.encrypt);
      expect(stdout).toContain('3/3');
      await g3.putKey('rotation/restarted', 'yes');
      await g1.untilKey('rotation/restarted', 'yes');
    },
    testMsMax,
  );
});

function count(written: ReadonlyMap<string, string>, name: string): number {
  return [...written.keys()].filter((key) => key.startsWith(`rotation/${name}/`)).length;
}

test('a gateway that is to gossip in plain text off loopback does not start, and says what to do', async () => {
  const place = await mkdtemp(join(tmpdir(), 'grapevine-test-plain-'));
  try {
    const [command, ...before] = gatewayCommand();
    const { code, stdout, stderr } = await runCommand(command, [
      ...before,
      ...['agent', '-server', '-bind=0.0.0.0', '-advertise=192.0.2.1', `-data-dir=${place}`],
      ...['-http-port=-1', '-dns-port=-1', '-retry-join=192.0.2.2'],
    ]);
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/retry_join asks for gossip at 0\.0\.0\.0, unencrypted[^]*-encrypt/);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}, 60_000);
