import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const root = join(__dirname, '..', '..');

/** Runs the real program from its sources, as a person would. */
async function grapevine(...args: readonly string[]): Promise<Ran> {
  const { CONSUL_HTTP_ADDR: _1, CONSUL_HTTP_TOKEN: _2, GRAPEVINE_HTTP_ADDR: _3, ...env } = process.env;
  const command = ['--import', 'tsx', join(root, 'bin', 'grapevine.ts'), ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, { cwd: root, env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grapevine-cli-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe('what is not understood exits with 2 and says what would be', () => {
  test.each<readonly [args: readonly string[], error: string]>([
    [['inof'], 'Unknown command "inof". Did you mean "info"? Run `grapevine help` for'],
    [
      ['agent', '-datadir=/x'],
      'flag provided but not defined: -datadir. Did you mean "-data-dir"? Run `grapevine help agent`',
    ],
    [['agent', '-http-port', 'abc'], 'invalid value "abc" for flag -http-port: it must be a whole number.'],
    [['agent', '-http-port'], 'flag needs an argument: -http-port.'],
    [['agent', '-dev=maybe'], 'invalid value "maybe" for flag -dev: it must be true or false.'],
    [['agent', '-dev', 'extra'], 'Unexpected extra arguments: "extra".'],
    [['validate'], 'Must specify at least one config file or directory.'],
    [
      ['validate', '-config-format', 'yaml', 'x'],
      'invalid value "yaml" for flag -config-format: it must be hcl or json.',
    ],
  ])('%j', async (args, error) => {
    const ran = await grapevine(...args);
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(ran.err).toContain(error);
  });

  test('no command shows what there is', async () => {
    const ran = await grapevine();
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('Commands:');
  });
});

describe('help', () => {
  test.each([[['help']], [['-h']], [['--help']], [['-help']]])('%j lists the commands', async (args) => {
    const ran = await grapevine(...args);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).toMatch(/Commands:\n +agent +Run a gateway/);
  });

  test.each([[['help', 'agent']], [['agent', '-h']], [['agent', '-help']]])(
    '%j lists the flags',
    async (args) => {
      const ran = await grapevine(...args);
      expect(ran).toMatchObject({ code: 0, err: '' });
      expect(ran.out).toMatch(/-data-dir=<path> +Directory for the database/);
      expect(ran.out).toContain('$ grapevine agent -dev');
    },
  );
});

describe('version and keygen', () => {
  test.each([[['version']], [['-v']], [['--version']]])(
    '%j prints the version of the package',
    async (args) => {
      const ran = await grapevine(...args);
      expect(ran).toMatchObject({ code: 0, err: '' });
      expect(ran.out).toMatch(/^Grapevine v\d+\.\d+\.\d+\nSpeaks Consul's HTTP API/);
    },
  );

  test('the version comes as JSON too', async () => {
    const ran = await grapevine('version', '-format', 'json');
    expect(JSON.parse(ran.out)).toMatchObject({ Version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  });

  test('keys are 32 bytes, each another one', async () => {
    const [one, other] = await Promise.all([grapevine('keygen'), grapevine('keygen')]);
    expect(Buffer.from(one.out, 'base64')).toHaveLength(32);
    expect(one.out).not.toBe(other.out);
  });
});

describe('validate', () => {
  async function file(name: string, text: string): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, text);
    return path;
  }

  test('says that a valid configuration is valid, and what of it has no effect', async () => {
    const path = await file('good.hcl', 'data_dir = "/x" bind_addr = "127.0.0.1" connect { enabled = true }');
    expect(await grapevine('validate', path)).toEqual({
      code: 0,
      out: 'Accepted, without effect in Grapevine: connect\nConfiguration is valid!\n',
      err: '',
    });
    expect(await grapevine('validate', '-quiet', path)).toEqual({ code: 0, out: '', err: '' });
  });

  test('says what is wrong with one that is not', async () => {
    const path = await file('bad.json', '{"data_dir": "/x", "bind_addr": "127.0.0.1", "datacenter": "a b"}');
    expect(await grapevine('validate', path)).toEqual({
      code: 1,
      out: '',
      err: `Config validation failed: datacenter cannot be "a b". Please use only [a-z0-9-_] (in ${path})\n`,
    });
  });
});

test('an agent with a wrong configuration does not start', async () => {
  const ran = await grapevine('agent', '-datacenter', 'a b', '-bind=127.0.0.1', '-data-dir', '/x');
  expect(ran).toEqual({
    code: 1,
    out: '',
    err: '==> datacenter cannot be "a b". Please use only [a-z0-9-_] (on the command line)\n',
  });
});

describe('commands that ask a gateway', () => {
  let server: Server;
  let address: string;
  const asked: string[] = [];

  beforeAll(async () => {
    const member = {
      Name: 'n1',
      Addr: '127.0.0.1',
      Port: 8301,
      Status: 1,
      Tags: { role: 'consul', dc: 'dc1' },
    };
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      if (request.url?.startsWith('/v1/agent/members') === true) response.end(JSON.stringify([member]));
      else if (request.url === '/v1/agent/self')
        response.end(JSON.stringify({ Stats: { agent: { checks: '1' } } }));
      else if (request.url === '/v1/agent/leave') response.writeHead(403).end('Permission denied');
      else response.end();
    });
    address = join(directory, 'gateway.sock');
    server.listen(address);
    await once(server, 'listening');
  });

  afterAll(async () => {
    server.close();
    await once(server, 'close');
  });

  test.each<readonly [args: readonly string[], request: string, ran: Partial<Ran>]>([
    [['reload'], 'PUT /v1/agent/reload', { code: 0, out: 'Configuration reload triggered\n', err: '' }],
    [['info'], 'GET /v1/agent/self', { code: 0, out: 'agent:\n\tchecks = 1\n', err: '' }],
    [
      ['leave'],
      'PUT /v1/agent/leave',
      { code: 1, out: '', err: 'Error leaving: Unexpected response code: 403 (Permission denied)\n' },
    ],
    [
      ['members', '-wan', '-status=failed'],
      'GET /v1/agent/members?segment=_all&wan=1',
      { code: 2, out: '', err: '' },
    ],
    [
      ['members'],
      'GET /v1/agent/members?segment=_all',
      { code: 0, out: expect.stringMatching(/^Node +Address.*\nn1 /) as unknown as string },
    ],
  ])('%j', async (args, request, ran) => {
    asked.length = 0;
    expect(await grapevine(...args, '-http-addr', `unix://${address}`)).toMatchObject(ran);
    // What is not there is a Consul's, and then these commands do without.
    expect(asked.filter((each) => !each.includes('/v1/grapevine/'))).toEqual([request]);
  });
});
