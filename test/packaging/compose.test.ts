import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decideGossip } from '../../compat/config/decide-gossip.ts';
import { type AgentProcess, projectRoot, runCommand, startAgent } from '../support/agent-process.ts';
import { gatewayCommand } from '../support/gateway-process.ts';
import { consulBinary, describeRealConsul } from '../support/real-consul.ts';
import {
  agentArgs,
  composeText,
  configOf,
  copiesFromContext,
  execForm,
  readCompose,
  readDockerStages,
  type Instruction,
} from './docker-files.ts';

const root = projectRoot();
const key = randomBytes(32).toString('base64');
const compose = readCompose({ GOSSIP_KEY: key });
const { services, volumes } = compose;
const [buildStage = [], imageStage = []] = readDockerStages();
const gateways = ['gateway-eu', 'gateway-us', 'gateway-ap'];

function textOf(stage: readonly Instruction[], name: string): string {
  return stage.find((instruction) => instruction.name === name)?.text ?? '';
}

describe('docker-compose.yml', () => {
  test('has a source, three gateways, and a migration that waits until both sides are healthy', () => {
    expect(Object.keys(services)).toEqual(['consul', ...gateways, 'migrate']);
    expect(services['migrate']).toMatchObject({
      build: '.',
      profiles: ['migrate'],
      depends_on: {
        consul: { condition: 'service_healthy' },
        'gateway-eu': { condition: 'service_healthy' },
      },
    });
    // Gateways are asked by the check of their image.
    for (const name of gateways) {
      expect(services[name]).toMatchObject({ build: '.', image: 'grapevine:local' });
      expect(services[name]?.healthcheck).toBeUndefined();
    }
  });

  test('publishes on loopback only, each port once: neither side asks for a token', () => {
    const published = Object.values(services).flatMap((service) => service.ports ?? []);
    expect(published.length).toBe(4);
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:\d+:8500$/);
    expect(new Set(published).size).toBe(published.length);
  });

  test('keeps data in volumes that are declared, one each, where the programs are told to put it', () => {
    const used = new Set<string>();
    for (const name of ['consul', ...gateways]) {
      const [volume = '', path = ''] = services[name]?.volumes?.[0]?.split(':') ?? [];
      expect(volumes).toHaveProperty([volume]);
      expect(agentArgs(compose, name)).toContain(`-data-dir=${path}`);
      used.add(volume);
    }
    expect(used.size).toBe(4);
    expect(textOf(imageStage, 'VOLUME')).toBe('/var/lib/grapevine');
  });

  test('gives the gateways configurations that are valid: one founds, all look for the others, by service name', async () => {
    const configs = await Promise.all(gateways.map((name) => configOf(agentArgs(compose, name))));
    expect(configs.map(({ nodeName }) => nodeName)).toEqual(gateways);
    expect(configs.map(({ region }) => region)).toEqual(['eu', 'us', 'ap']);
    expect(configs.map(({ bootstrap }) => bootstrap)).toEqual([true, false, false]);
    for (const { join: joining, nodeName, server, ignoredKeys, warnings } of configs) {
      expect(joining.retryJoin.toSorted()).toEqual(gateways.filter((name) => name !== nodeName).toSorted());
      expect(server).toBe(true);
      expect([...ignoredKeys, ...warnings]).toEqual([]);
    }
  });

  test('places a zone in each region, by the same rules on all gateways', async () => {
    for (const name of gateways) {
      const { zones } = await configOf(agentArgs(compose, name));
      expect(zones).toEqual(['eu', 'us', 'ap'].map((region) => ({ prefix: `${region}/`, region })));
    }
  });

  test('encrypts gossip with a key that whoever runs it makes, and has none itself', async () => {
    expect(() => readCompose({})).toThrow(/GOSSIP_KEY is missing a value: make a key first/);
    for (const name of gateways) {
      const config = await configOf(agentArgs(compose, name));
      expect(config.gossip.encryptKey).toBe(key);
      expect(decideGossip(config, 'lan', config.gossip.encryptKey !== undefined)).toEqual({
        kind: 'open',
        bind: '0.0.0.0',
      });
    }
    const example = readFileSync(join(root, '.env.example'), 'utf8');
    expect(example).toMatch(/^GOSSIP_KEY=$/m);
    for (const text of [composeText(), example]) expect(text).not.toMatch(/[A-Za-z0-9+/]{22,}=/);
    expect(readFileSync(join(root, '.gitignore'), 'utf8').split('\n')).toContain('/.env');
    expect(readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')).toContain('.env');
  });

  test('names in its head the variable and the ports that it has', () => {
    const head = composeText().split('\nx-gateway')[0] ?? '';
    expect(head).toContain('GOSSIP_KEY=$(openssl rand -base64 32)');
    const published = gateways.map((name) => services[name]?.ports?.[0]?.split(':')[1]);
    for (const [, port] of head.matchAll(/127\.0\.0\.1:(\d+)/g)) expect(published).toContain(port);
  });
});

describe('the Dockerfile', () => {
  test('copies what is there and what .dockerignore lets through', () => {
    const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n').filter(Boolean);
    const copied = [...copiesFromContext(buildStage).values()];
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect(existsSync(join(root, path))).toBe(true);
      expect(ignored).not.toContain(path);
      expect(path).not.toMatch(/\.log$/);
    }
    // Patterns without a slash hold at the top only: nothing below what is copied is left out by them.
    for (const pattern of ignored) expect(pattern).not.toContain('/');
    // What was installed or built here is for this machine's C library.
    expect(ignored).toEqual(expect.arrayContaining(['node_modules', 'dist']));
    expect(copiesFromContext(imageStage).size).toBe(0);
  });

  test('runs the program from where it is put, without privileges', () => {
    expect(textOf(imageStage, 'RUN')).toContain(
      'ln -s /grapevine/dist/bin/grapevine.js /usr/local/bin/grapevine',
    );
    expect(textOf(imageStage, 'COPY')).toContain('/grapevine/package.json');
    expect(execForm(textOf(imageStage, 'ENTRYPOINT'))).toEqual(['grapevine']);
    expect(textOf(imageStage, 'USER')).toBe('node');
  });

  test('has a Node that the package allows', () => {
    const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    expect(engines.node).toMatch(/^>=20\./);
    for (const stage of [buildStage, imageStage]) expect(textOf(stage, 'FROM')).toMatch(/^node:20-bookworm/);
  });
});

describeRealConsul('the services of docker-compose.yml, run as processes', () => {
  let place: string;
  let consul: AgentProcess;
  let gateway: AgentProcess;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'compose-'));
    const [program, ...before] = gatewayCommand();
    [consul, gateway] = await Promise.all([
      run('consul', consulBinary(), []),
      run('gateway-eu', program, before),
    ]);
  }, 60_000);
  afterAll(async () => {
    await Promise.all([consul.stop(), gateway.stop()]);
    await rm(place, { recursive: true });
  });

  /** Starts a service with the very flags of the file; only data directory and ports are this machine's. */
  function run(service: string, program: string, before: readonly string[]): Promise<AgentProcess> {
    const dataDir = join(place, service);
    const args = agentArgs(compose, service).map((arg) =>
      arg.startsWith('-data-dir=') ? `-data-dir=${dataDir}` : arg,
    );
    const name = args.find((arg) => arg.startsWith('-node='))?.slice('-node='.length);
    return startAgent(
      {
        command: program,
        namePrefix: service,
        startMsMax: 60_000,
        args: (configFile) => [...before, ...args, `-config-file=${configFile}`],
        // In a container an address is found; here there may be several.
        config: ({ ports, nodeName }) => ({
          ...(name === undefined ? { node_name: nodeName } : {}),
          advertise_addr: '127.0.0.1',
          performance: { raft_multiplier: 1 },
          ports: {
            http: ports.http,
            dns: ports.dns,
            server: ports.server,
            serf_lan: ports.serfLan,
            serf_wan: ports.serfWan,
            grpc: -1,
          },
        }),
      },
      name === undefined ? { dataDir } : { dataDir, config: { node_name: name } },
    );
  }

  test("the source's health check holds", async () => {
    const [kind, program, ...args] = services['consul']?.healthcheck?.test ?? [];
    expect([kind, program]).toEqual(['CMD', 'consul']);
    const ran = await runCommand(consulBinary(), args, { env: { CONSUL_HTTP_ADDR: consul.url } });
    expect(ran.code).toBe(0);
  });

  test("the image's health check holds for a gateway, and fails where none is", async () => {
    const [program, flag, script = ''] = execForm(textOf(imageStage, 'HEALTHCHECK'));
    expect([program, flag]).toEqual(['node', '-e']);
    const at = (port: number): string => script.replace(':8500/', `:${port}/`);
    expect(await runCommand(process.execPath, ['-e', at(gateway.httpPort)])).toMatchObject({ code: 0 });
    expect(await runCommand(process.execPath, ['-e', at(gateway.ports.grpc)])).toMatchObject({ code: 1 });
    // The migration is no gateway.
    expect(services['migrate']?.healthcheck).toEqual({ disable: true });
  });

  test("the image's own command is understood: what stops it is not the flags", async () => {
    const [program, ...before] = gatewayCommand();
    const args = [...before, ...execForm(textOf(imageStage, 'CMD')), '-config-file=/nowhere.json'];
    const ran = await runCommand(program, args);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('/nowhere.json');
  });

  test('the migration copies the source into the gateway, and finds both equal', async () => {
    await fetch(`${consul.url}/v1/kv/app/greeting`, { method: 'PUT', body: 'hello' });
    const [shell, flag] = services['migrate']?.entrypoint ?? [];
    expect([shell, flag]).toEqual(['sh', '-c']);
    const report = join(place, 'report.json');
    const script = String(services['migrate']?.command?.[0])
      .replaceAll('http://consul:8500', consul.url)
      .replaceAll('http://gateway-eu:8500', gateway.url)
      .replaceAll('/tmp/report.json', report);
    const words = gatewayCommand().map((word) => `'${word}'`);
    const ran = await runCommand('sh', ['-c', `grapevine() { ${words.join(' ')} "$@"; }; ${script}`]);
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining('EQUAL: all') });
    expect(JSON.parse(await readFile(report, 'utf8'))).toMatchObject({ verdict: { result: 'equal' } });
    const copied = await fetch(`${gateway.url}/v1/kv/app/greeting?raw`);
    expect(await copied.text()).toBe('hello');
  }, 60_000);
});
