import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CheckDefinition, emptyCheck } from '../../../compat/checks/definition.ts';
import { encodeHealthRequest, grpcProbe } from '../../../compat/checks/probe-grpc.ts';
import { tcpProbe } from '../../../compat/checks/probe-tcp.ts';
import { udpProbe } from '../../../compat/checks/probe-udp.ts';
import { makeCertificate } from './certificate.ts';
import { type HealthServer, startHealthServer } from './grpc-server.ts';
import { closedPort, listen, type TestServer } from './servers.ts';

const certificate = makeCertificate('foo.test');

function signal(): AbortSignal {
  return new AbortController().signal;
}

function probeTcp(fields: Partial<CheckDefinition>) {
  return tcpProbe({ ...emptyCheck, ...fields })(signal());
}

function probeUdp(udp: string, timeoutNs = 0) {
  return udpProbe({ ...emptyCheck, udp, timeoutNs })(signal());
}

function probeGrpc(grpc: string, fields: Partial<CheckDefinition> = {}) {
  return grpcProbe({ ...emptyCheck, grpc, timeoutNs: 2e9, ...fields })(signal());
}

describe('TCP', () => {
  let plain: TestServer;
  let tls: TestServer;

  beforeAll(async () => {
    plain = await listen(createServer((socket) => socket.on('error', () => undefined).destroy()));
    tls = await listen(
      createTls(certificate, (socket) => socket.end()).on('tlsClientError', () => undefined),
    );
  });

  afterAll(async () => {
    await plain.close();
    await tls.close();
  });

  test('passes when somebody accepts', async () => {
    const tcp = `127.0.0.1:${plain.port}`;
    expect(await probeTcp({ tcp })).toEqual({ status: 'passing', output: `TCP connect ${tcp}: Success` });
    expect((await probeTcp({ tcp: `localhost:${plain.port}` })).status).toBe('passing');
  });

  test.each([
    [`127.0.0.1:${closedPort}`, `dial tcp 127.0.0.1:${closedPort}: connect: connection refused`],
    ['127.0.0.1', 'dial tcp: address 127.0.0.1: missing port in address'],
    ['::1:80', 'dial tcp: address ::1:80: too many colons in address'],
  ])('%s is critical', async (tcp, output) => {
    expect(await probeTcp({ tcp })).toEqual({ status: 'critical', output });
  });

  test('with TLS wants a session, verified unless told otherwise', async () => {
    const tcp = `127.0.0.1:${tls.port}`;
    expect((await probeTcp({ tcp, tcpUseTls: true, tlsSkipVerify: true })).status).toBe('passing');
    expect(await probeTcp({ tcp, tcpUseTls: true, tlsServerName: 'foo.test' })).toEqual({
      status: 'critical',
      output: 'x509: certificate signed by unknown authority',
    });
  });

  test('gives up when cancelled', async () => {
    const gone = AbortSignal.abort();
    expect(await tcpProbe({ ...emptyCheck, tcp: `127.0.0.1:${plain.port}` })(gone)).toEqual({
      status: 'critical',
      output: `dial tcp 127.0.0.1:${plain.port}: i/o timeout`,
    });
  });
});

describe('UDP', () => {
  test.each([true, false])('passes whether or not (%s) the server answers', async (answers) => {
    const server = createSocket('udp4');
    server.on('message', (_message, from) => answers && server.send('pong', from.port, from.address));
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const udp = `127.0.0.1:${server.address().port}`;
    expect(await probeUdp(udp, answers ? 10e9 : 50e6)).toEqual({
      status: 'passing',
      output: `UDP connect ${udp}: Success`,
    });
    server.close();
  });

  test('is critical when nobody has the port', async () => {
    const { status: shown, output } = await probeUdp(`127.0.0.1:${closedPort}`);
    expect(shown).toBe('critical');
    expect(output).toContain('connection refused');
    expect((await probeUdp('nowhere')).output).toBe('dial udp: address nowhere: missing port in address');
  });
});

describe('gRPC', () => {
  let plain: HealthServer;
  let bare: HealthServer;
  let tls: HealthServer;

  beforeAll(async () => {
    plain = await startHealthServer(ServerCredentials.createInsecure(), true);
    bare = await startHealthServer(ServerCredentials.createInsecure(), false);
    const pair = { private_key: Buffer.from(certificate.key), cert_chain: Buffer.from(certificate.cert) };
    tls = await startHealthServer(ServerCredentials.createSsl(null, [pair]), true);
  });

  afterAll(() => {
    for (const { server } of [plain, bare, tls]) server.forceShutdown();
  });

  test('passes when the server, or the service named after the slash, serves', async () => {
    const at = `127.0.0.1:${plain.port}`;
    expect(await probeGrpc(at)).toEqual({ status: 'passing', output: `gRPC check ${at}: success` });
    expect(await probeGrpc(`${at}/up`)).toEqual({
      status: 'passing',
      output: `gRPC check ${at}/up: success`,
    });
  });

  test.each([
    ['down', "gRPC application didn't report service healthy"],
    ['unknown', "gRPC application didn't report service healthy"],
    ['nope', 'rpc error: code = NotFound desc = unknown service'],
  ])('is critical for the service %s', async (service, output) => {
    expect(await probeGrpc(`127.0.0.1:${plain.port}/${service}`)).toEqual({ status: 'critical', output });
  });

  test('is critical when the answer does not come in time', async () => {
    expect(await probeGrpc(`127.0.0.1:${plain.port}/hang`, { timeoutNs: 200e6 })).toEqual({
      status: 'critical',
      output: 'rpc error: code = DeadlineExceeded desc = context deadline exceeded',
    });
  });

  test('is critical without a health service, and without a server', async () => {
    expect((await probeGrpc(`127.0.0.1:${bare.port}`)).output).toMatch(
      /^rpc error: code = Unimplemented desc = /,
    );
    expect((await probeGrpc(`127.0.0.1:${closedPort}`)).output).toMatch(
      /^rpc error: code = Unavailable desc = /,
    );
  });

  test('uses TLS when told to, verified unless told otherwise', async () => {
    const at = `127.0.0.1:${tls.port}`;
    expect((await probeGrpc(at, { grpcUseTls: true, tlsSkipVerify: true })).status).toBe('passing');
    expect((await probeGrpc(at, { grpcUseTls: true })).output).toMatch(
      /^rpc error: code = Unavailable desc = /,
    );
    expect((await probeGrpc(at)).status).toBe('critical');
  });

  test('encodes service names of any length', () => {
    const name = 'n'.repeat(300);
    expect(encodeHealthRequest(name)).toEqual(
      Buffer.concat([Buffer.from([0x0a, 0xac, 0x02]), Buffer.from(name)]),
    );
  });
});
