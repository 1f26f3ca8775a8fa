import { readFileSync, readdirSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseGoBool } from './argv.ts';
import { textFlag } from './flags.ts';

/** Flags of every command that talks to a gateway, by their names in commander. */
export interface ClientFlags {
  readonly httpAddr?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly caPath?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly tlsServerName?: string;
}

/** Adds the flags by which a gateway is reached, those of the consul command line. */
export function addClientFlags(command: Command): Command {
  const flags = [
    textFlag(
      'http-addr',
      'address',
      'Gateway to ask: host:port, https://host:port or unix:///path. Default: $GRAPEVINE_HTTP_ADDR, $CONSUL_HTTP_ADDR or 127.0.0.1:8500.',
    ),
    textFlag('token', 'token', 'Token to send. Default: $CONSUL_HTTP_TOKEN.'),
    textFlag('token-file', 'path', 'File that holds the token. Default: $CONSUL_HTTP_TOKEN_FILE.'),
    textFlag('ca-file', 'path', 'CA that signed the certificate of the gateway. Default: $CONSUL_CACERT.'),
    textFlag('ca-path', 'path', 'Directory of such CAs. Default: $CONSUL_CAPATH.'),
    textFlag('client-cert', 'path', 'Certificate to show to the gateway. Default: $CONSUL_CLIENT_CERT.'),
    textFlag('client-key', 'path', 'Key of that certificate. Default: $CONSUL_CLIENT_KEY.'),
    textFlag(
      'tls-server-name',
      'name',
      'Name that the certificate must carry. Default: $CONSUL_TLS_SERVER_NAME.',
    ),
  ];
  for (const each of flags) command.addOption(each.helpGroup('Which gateway:'));
  return command;
}

/** Where a client connects, and what it sends with every request. */
export interface Target {
  /** As in error messages: `http://127.0.0.1:8500`. */
  readonly shown: string;
  readonly secure: boolean;
  readonly socketPath: string | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

export interface GatewayClient {
  readonly target: Target;
  /** Sends a request and reads the whole answer. The error is one line, in the words of the consul command line. */
  request(method: string, path: string, body?: string | Buffer): Promise<Result<Answer, string>>;
  /** As `request`, and every status but 200 is an error that names the status and the body. */
  expectOk(method: string, path: string, body?: string | Buffer): Promise<Result<Buffer, string>>;
  /** Sends a request, which may be a stream, and hands over the answer as a stream. */
  open(method: string, path: string, body?: Readable | Buffer): Promise<Result<IncomingMessage, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads flags and environment (flags win). The error says what of them cannot be used. */
export function openClient(
  flags: ClientFlags,
  env: Environment = process.env,
): Result<GatewayClient, string> {
  const target = findTarget(flags, env);
  if (!target.ok) return err(`Error connecting to Grapevine agent: ${target.error}`);
  const tls = target.value.secure ? readTls(flags, env) : ok({});
  if (!tls.ok) return err(`Error connecting to Grapevine agent: ${tls.error}`);
  return ok(clientOf(target.value, tls.value));
}

/** Where flags and environment point; nothing is connected. */
export function findTarget(flags: ClientFlags, env: Environment): Result<Target, string> {
  const address =
    firstSet(flags.httpAddr, env['GRAPEVINE_HTTP_ADDR'], env['CONSUL_HTTP_ADDR']) ?? '127.0.0.1:8500';
  const headers = readHeaders(flags, env);
  if (!headers.ok) return headers;
  const [, scheme, rest = ''] = /^(?:([A-Za-z][\w+.-]*):\/\/)?([\s\S]*)$/.exec(address) ?? [];
  if (scheme === 'unix') {
    const shown = `unix://${rest}`;
    return ok({
      shown,
      secure: false,
      socketPath: rest,
      host: undefined,
      port: undefined,
      headers: headers.value,
    });
  }
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    return err(`Unknown protocol scheme: ${scheme} (use http, https or unix)`);
  }
  const secure =
    scheme === 'https' || (scheme === undefined && parseGoBool(env['CONSUL_HTTP_SSL'] ?? '') === true);
  const url = URL.parse(`${secure ? 'https' : 'http'}://${rest}`);
  if (url === null || url.hostname === '')
    return err(`cannot understand the address ${JSON.stringify(address)}`);
  return ok({
    shown: `${secure ? 'https' : 'http'}://${url.host}`,
    secure,
    socketPath: undefined,
    host: url.hostname.replaceAll(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    headers: headers.value,
  });
}

function readHeaders(flags: ClientFlags, env: Environment): Result<Readonly<Record<string, string>>, string> {
  const tokenFile = firstSet(flags.tokenFile, env['CONSUL_HTTP_TOKEN_FILE']);
  let token = firstSet(flags.token, env['CONSUL_HTTP_TOKEN']);
  if (tokenFile !== undefined) {
    const read = readText('token file', tokenFile);
    if (!read.ok) return read;
    token = read.value.trim() === '' ? token : read.value.trim();
  }
  const login = firstSet(env['CONSUL_HTTP_AUTH']);
  return ok({
    ...(token === undefined ? {} : { 'X-Consul-Token': token }),
    ...(login === undefined ? {} : { Authorization: `Basic ${Buffer.from(login).toString('base64')}` }),
  });
}

function readTls(flags: ClientFlags, env: Environment): Result<RequestOptions, string> {
  const files = {
    caFile: firstSet(flags.caFile, env['CONSUL_CACERT']),
    caPath: firstSet(flags.caPath, env['CONSUL_CAPATH']),
    cert: firstSet(flags.clientCert, env['CONSUL_CLIENT_CERT']),
    key: firstSet(flags.clientKey, env['CONSUL_CLIENT_KEY']),
  };
  const servername = firstSet(flags.tlsServerName, env['CONSUL_TLS_SERVER_NAME']);
  try {
    const ca = [
      ...(files.caFile === undefined ? [] : [readFileSync(files.caFile)]),
      ...(files.caPath === undefined
        ? []
        : readdirSync(files.caPath).map((name) => readFileSync(join(files.caPath ?? '', name)))),
    ];
    return ok({
      ...(ca.length === 0 ? {} : { ca }),
      ...(files.cert === undefined ? {} : { cert: readFileSync(files.cert) }),
      ...(files.key === undefined ? {} : { key: readFileSync(files.key) }),
      ...(servername === undefined ? {} : { servername }),
      rejectUnauthorized: parseGoBool(env['CONSUL_HTTP_SSL_VERIFY'] ?? 'true') !== false,
    } as RequestOptions);
  } catch (error) {
    return err(`Error loading TLS files: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readText(what: string, path: string): Result<string, string> {
  try {
    return ok(readFileSync(path, 'utf8'));
  } catch (error) {
    return err(`Error loading ${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function firstSet(...values: readonly (string | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== '');
}

function clientOf(target: Target, tls: RequestOptions): GatewayClient {
  const open: GatewayClient['open'] = async (method, path, body) => {
    const send = target.secure ? (await import('node:https')).request : httpRequest;
    return new Promise((resolve) => {
      const fail = (error: Error): void => resolve(err(describeFailure(method, target, path, error)));
      const request = send(
        {
          method,
          path,
          // Of a DELETE Node says no length by itself, and its body would be taken for another request.
          headers: Buffer.isBuffer(body)
            ? { ...target.headers, 'Content-Length': String(body.length) }
            : target.headers,
          ...(target.socketPath === undefined
            ? { host: target.host, port: target.port }
            : { socketPath: target.socketPath }),
          ...tls,
        },
        (response) => resolve(ok(response)),
      );
      request.on('error', fail);
      if (body === undefined || Buffer.isBuffer(body)) request.end(body);
      else {
        body.on('error', (error) => request.destroy(error));
        body.pipe(request);
      }
    });
  };

  const request: GatewayClient['request'] = async (method, path, body) => {
    const opened = await open(method, path, typeof body === 'string' ? Buffer.from(body) : body);
    if (!opened.ok) return opened;
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of opened.value) chunks.push(chunk as Buffer);
      return ok({ status: opened.value.statusCode ?? 0, body: Buffer.concat(chunks) });
    } catch (error) {
      return err(describeFailure(method, target, path, error));
    }
  };

  const expectOk: GatewayClient['expectOk'] = async (method, path, body) => {
    const answer = await request(method, path, body);
    if (!answer.ok) return answer;
    if (answer.value.status === 200) return ok(answer.value.body);
    return err(`Unexpected response code: ${answer.value.status} (${answer.value.body.toString().trim()})`);
  };

  return { target, request, expectOk, open };
}

/** The JSON in an answer. What answered may be no gateway at all, and then the error says so. */
export function parseAnswer<T>(body: Buffer): Result<T, string> {
  try {
    return ok(JSON.parse(body.toString()) as T);
  } catch {
    return err(`the answer is not JSON: ${JSON.stringify(body.toString().slice(0, 80))}`);
  }
}

/** Go's text of a failed request, and for the commonest failure what to do about it. */
function describeFailure(method: string, target: Target, path: string, error: unknown): string {
  const verb = `${method.slice(0, 1)}${method.slice(1).toLowerCase()}`;
  const code = (error as NodeJS.ErrnoException).code;
  const dialled = target.socketPath ?? `${target.host}:${target.port}`;
  const dial = `dial ${target.socketPath === undefined ? 'tcp' : 'unix'} ${dialled}`;
  const hint =
    ' (is a gateway running there? Start one, or name another with -http-addr or GRAPEVINE_HTTP_ADDR)';
  const what = `${verb} "${target.shown}${path}"`;
  switch (code) {
    case 'ECONNREFUSED':
      return `${what}: ${dial}: connect: connection refused${hint}`;
    case 'ENOENT':
      return `${what}: ${dial}: connect: no such file or directory${hint}`;
    case 'EACCES':
      return `${what}: ${dial}: connect: permission denied`;
    case 'ENOTFOUND':
      return `${what}: ${dial}: lookup ${target.host}: no such host`;
    case 'EPROTO':
      return `${what}: the server does not speak HTTPS here`;
    default:
      // A failure to reach any of several addresses has no message of its own.
      return `${what}: ${(error instanceof Error && error.message) || code || String(error)}`;
  }
}
