import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { gatewayCommand } from '../support/gateway-process.ts';
import { takePortBlock, type PortBlock } from '../support/port-block.ts';

let dir: string;
let block: PortBlock;

beforeAll(async () => {
  block = await takePortBlock();
});
afterAll(() => block.release());
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'grapevine-test-agent-'));
});
afterEach(async () => {
  for (const agent of agents.splice(0)) {
    agent.signal('SIGKILL');
    await agent.exited;
  }
  rmSync(dir, { recursive: true, force: true });
});

// Where the program is not built it starts from its sources, which takes a while.
jest.setTimeout(60_000);

const agents: Agent[] = [];

/** Runs `grapevine agent -dev` with a configuration that tests change. */
class Agent {
  readonly #child;
  readonly #config: string;
  readonly exited: Promise<number | null>;
  output = '';

  constructor(config: object = {}) {
    agents.push(this);
    this.#config = join(dir, 'agent.json');
    this.write(config);
    const [command, ...before] = gatewayCommand();
    this.#child = spawn(command, [...before, 'agent', '-dev', `-config-file=${this.#config}`]);
    this.exited = once(this.#child, 'exit').then(([code]) => code as number | null);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
  }

  write(config: object): void {
    const [http, dns, server, lan, wan] = [0, 1, 2, 3, 4].map((offset) => block.port(offset));
    const ports = { http, dns, server, serf_lan: lan, serf_wan: wan, grpc: -1 };
    writeFileSync(this.#config, JSON.stringify({ ports, ...config }));
  }

  /** Resolves when it has printed the text; rejects when it ends before. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      const ended = this.exited.then((code) => {
        throw new Error(`it ended with ${code}:\n${this.output}`);
      });
      await Promise.race([once(this.#child.stdout, 'data'), ended]);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

const url = (path: string): string => `http://127.0.0.1:${block.port(0)}/v1/${path}`;

describe('grapevine agent', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'ends with 0 on %s, its log and pid file in order',
    async (signal) => {
      const [pidFile, logFile] = [join(dir, 'pid'), join(dir, 'log')];
      const agent = new Agent({ pid_file: pidFile, log_file: logFile });
      await agent.printed('gateway is running');
      expect((await fetch(url('status/leader'))).status).toBe(200);
      expect(readFileSync(pidFile, 'utf8')).toMatch(/^\d+$/);
      agent.signal(signal);
      expect(await agent.exited).toBe(0);
      expect(existsSync(pidFile)).toBe(false);
      expect(readFileSync(logFile, 'utf8')).toContain(`stopping: why=${signal}`);
    },
  );

  test('that is told to stop while it starts stops once it can', async () => {
    const agent = new Agent({ log_level: 'info' });
    await agent.printed('HTTP API is listening');
    agent.signal('SIGTERM');
    expect(await agent.exited).toBe(0);
  });

  test('takes what it can of a changed configuration on SIGHUP, and names the rest', async () => {
    const agent = new Agent({ node_meta: { rack: '1' } });
    await agent.printed('gateway is running');
    agent.write({ node_meta: { rack: '2' }, services: [{ name: 'web' }], domain: 'other' });
    agent.signal('SIGHUP');
    await agent.printed('configuration reloaded');
    expect(agent.output).toContain('these keys are taken at a restart only: keys=domain');
    expect(await (await fetch(url('agent/services'))).json()).toHaveProperty('web');
    expect(await (await fetch(url('agent/self'))).json()).toHaveProperty('Meta.rack', '2');
    agent.write({ services: [{ name: '' }] });
    agent.signal('SIGHUP');
    await agent.printed('reload failed, the running configuration stays');
    expect(await (await fetch(url('agent/services'))).json()).toHaveProperty('web');
    agent.signal('SIGTERM');
    expect(await agent.exited).toBe(0);
  });

  test('that cannot run ends with 1, a sentence, and the files of the one that runs untouched', async () => {
    const pid_file = join(dir, 'pid');
    const first = new Agent({ pid_file });
    await first.printed('gateway is running');
    const pid = readFileSync(pid_file, 'utf8');
    const second = new Agent({ pid_file });
    expect(await second.exited).toBe(1);
    expect(second.output).toContain('something listens there already');
    expect(second.output).not.toContain('    at ');
    expect(readFileSync(pid_file, 'utf8')).toBe(pid);
    first.signal('SIGTERM');
    expect(await first.exited).toBe(0);
  });
});
