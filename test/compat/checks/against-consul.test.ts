import { createServer } from 'node:net';
import { ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CheckDefinition, decodeCheckDefinition } from '../../../compat/checks/definition.ts';
import { decodeHealthDefinition, renderHealthDefinition } from '../../../compat/checks/health-definition.ts';
import { checkKind, checkType } from '../../../compat/checks/probe.ts';
import { systemProbes } from '../../../compat/checks/runner.ts';
import { admitCheck, admitServiceChecks } from '../../../compat/checks/validate.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '../../../compat/wire/go-json.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../support/real-consul.ts';
import { type HealthServer, startHealthServer } from './grpc-server.ts';
import { closedPort, listen, startWebServer, type TestServer } from './servers.ts';

type Answer = { readonly status: number; readonly body: string };

const policy = { remoteScripts: true };

function parsed(text: string): JsonValue {
  const value = parseJson(text);
  if (!value.ok) throw new Error(value.error);
  return value.value;
}

function ownAnswerToCheck(text: string): Answer {
  const decoded = decodeCheckDefinition(parsed(text), 'check');
  if (!decoded.ok) return { status: 400, body: `Request decode failed: ${decoded.error}` };
  const admitted = admitCheck(decoded.value, policy);
  return admitted.ok ? { status: 200, body: '' } : admitted.error;
}

function decodeAll(items: readonly JsonValue[]): readonly CheckDefinition[] | Answer {
  const decoded: CheckDefinition[] = [];
  for (const item of items) {
    const one = decodeCheckDefinition(item, 'service-check');
    if (!one.ok) return { status: 400, body: `Request decode failed: ${one.error}` };
    decoded.push(one.value);
  }
  return decoded;
}

function ownAnswerToService(checks: { Check?: JsonValue; Checks?: readonly JsonValue[] }): Answer {
  const check = decodeAll(checks.Check === undefined ? [] : [checks.Check]);
  const list = decodeAll(checks.Checks ?? []);
  if ('status' in check) return check;
  if ('status' in list) return list;
  const admitted = admitServiceChecks({ id: 's', name: 's' }, check[0], list, policy);
  return admitted.ok ? { status: 200, body: '' } : admitted.error;
}

describeRealConsul('agent checks beside a real Consul', () => {
  let consul: RealConsul;
  let web: TestServer;
  let tcp: TestServer;
  let grpc: HealthServer;

  beforeAll(async () => {
    consul = await startRealConsul({ config: { enable_script_checks: true } });
    web = await startWebServer();
    tcp = await listen(createServer((socket) => socket.on('error', () => undefined).destroy()));
    grpc = await startHealthServer(ServerCredentials.createInsecure(), true);
  }, 90_000);

  afterAll(async () => {
    await consul.stop();
    await web.close();
    await tcp.close();
    grpc.server.forceShutdown();
  });

  async function put(path: string, body: string): Promise<Answer> {
    const response = await fetch(consul.url + path, { method: 'PUT', body });
    return { status: response.status, body: await response.text() };
  }

  async function agentChecks(): Promise<JsonObject> {
    const checks = parsed(await (await fetch(`${consul.url}/v1/agent/checks`)).text());
    if (!isJsonObject(checks)) throw new Error('checks are an object');
    return checks;
  }

  test.each([
    '{}',
    'null',
    '{"Name":"a"}',
    '{"Name":"a","Status":"foo"}',
    '{"Status":"foo"}',
    '{"Name":"a","TTL":"10s","Interval":"10s"}',
    '{"Name":"a","HTTP":"http://x"}',
    '{"Name":"a","HTTP":"http://x","TTL":"10s"}',
    '{"Name":"a","TCP":"x:1","Interval":"-1s"}',
    '{"Name":"a","GRPC":"x:1"}',
    '{"Name":"a","script_args":["x"]}',
    '{"Name":"a","args":["x"]}',
    '{"Name":"a","Interval":"10s"}',
    '{"Name":"a","AliasService":"x","HTTP":"http://x","Interval":"10s"}',
    '{"Name":"a","AliasService":"x","TTL":"10s"}',
    '{"Name":"a","AliasService":"x","Interval":"10s"}',
    '{"Name":"a","OutputMaxSize":-1,"TTL":"10s"}',
    '{"Name":"a","TTL":"10"}',
    '{"Name":"a","TTL":"10x"}',
    '{"Name":"a","TTL":""}',
    '{"Name":"a","TTL":10}',
    '{"Name":"a","TTL":1.5}',
    '{"Name":"a","TTL":true}',
    '{"Name":"a","ttl":"-5s"}',
    '{"Name":5,"TTL":"10s"}',
    '{"Name":"a","Args":"ls","Interval":"10s"}',
    '{"Name":"a","Args":["ls",5],"Interval":"10s"}',
    '{"Name":"a","Script":"ls","Interval":"10s"}',
    '{"Name":"a","Header":{"A":"b"},"HTTP":"http://x","Interval":"10s"}',
    '{"Name":"a","Header":[],"HTTP":"http://x","Interval":"10s"}',
    '{"Name":"a","SuccessBeforePassing":"3","HTTP":"http://x","Interval":"10s"}',
    '{"Name":"a","SuccessBeforePassing":-3,"TTL":"10s"}',
    '{"Name":"a","DockerContainerID":"x","Interval":"10s"}',
    '{"Name":"a","TTL":"10s","DeregisterCriticalServiceAfter":"bogus"}',
    '{"Name":"a","TTL":"10s","deregister_critical_service_after":"bogus"}',
    '{"Name":"a","TTL":"10s","Token":"t","tls_skip_verify":true,"docker_container_id":"d","Shell":"sh"}',
  ])('check/register %s is answered alike', async (body) => {
    expect(ownAnswerToCheck(body)).toEqual(await put('/v1/agent/check/register', body));
  });

  test.each<{ Check?: JsonValue; Checks?: readonly JsonValue[] }>([
    { Check: {} },
    { Check: { HTTP: 'http://x' } },
    { Check: { TTL: '10s', Interval: '1s' } },
    { Check: { TTL: '10s', Status: 'bogus' } },
    { Check: { TTL: '10y' } },
    { Check: { TTL: true } },
    { Check: { id: 'x', TTL: '10s' } },
    { Checks: [] },
    { Checks: [{}] },
    { Checks: [{ TTL: '10s' }, { HTTP: 'x' }] },
    { Checks: [{ TTL: '10s', Status: 'bogus' }, { HTTP: 'x' }] },
    { Check: { TTL: '1h', CheckID: 'mine', Status: 'passing' }, Checks: [{ TTL: '1h' }] },
  ])('service/register with %j is answered alike', async (checks) => {
    const answer = await put('/v1/agent/service/register', JSON.stringify({ Name: 's', ...checks }));
    expect(ownAnswerToService(checks)).toEqual(answer);
  });

  test('ids and names of the checks of a service are made alike', async () => {
    const given = [{ TTL: '1h', Name: 'my' }, { TTL: '1h', CheckID: 'c2' }, { TTL: '1h' }];
    await put('/v1/agent/service/register', JSON.stringify({ Name: 'web', ID: 'web1', Checks: given }));
    const decoded = decodeAll(given);
    if ('status' in decoded) throw new Error(decoded.body);
    const admitted = admitServiceChecks({ id: 'web1', name: 'web' }, undefined, decoded, policy);
    const theirs = Object.values(await agentChecks())
      .filter(isJsonObject)
      .filter((check) => check['ServiceID'] === 'web1')
      .map((check) => [check['CheckID'], check['Name'], check['Type']]);
    const own = admitted.ok ? admitted.value.map((one) => [one.checkId, one.name, checkType(one)]) : [];
    expect(own.toSorted()).toEqual(theirs.toSorted());
  });

  test('running checks show the same status, output and type', async () => {
    const base = `http://127.0.0.1:${web.port}`;
    const bodies: Record<string, JsonObject> = {
      echo: { HTTP: `${base}/echo` },
      // Not the whole echo: the order of headers is each client's own.
      post: { HTTP: `${base}/200`, Method: 'POST', Body: 'b' },
      big: { HTTP: `${base}/big`, OutputMaxSize: 20 },
      slow: { HTTP: `${base}/429` },
      broken: { HTTP: `${base}/500` },
      empty: { HTTP: `${base}/204` },
      odd: { HTTP: `${base}/odd` },
      nowhere: { HTTP: `${base}/nowhere` },
      loop: { HTTP: `${base}/loop` },
      hang: { HTTP: `${base}/hang`, Timeout: '300ms' },
      part: { HTTP: `${base}/hang-in-body`, Timeout: '300ms' },
      reset: { HTTP: `${base}/reset` },
      refused: { HTTP: `http://127.0.0.1:${closedPort}/` },
      scheme: { HTTP: 'bogus' },
      plain: { HTTP: `https://127.0.0.1:${web.port}/200` },
      space: { HTTP: 'http://a b/' },
      method: { HTTP: base, Method: 'B AD' },
      tcp: { TCP: `127.0.0.1:${tcp.port}` },
      'tcp-refused': { TCP: `127.0.0.1:${closedPort}` },
      'tcp-portless': { TCP: '127.0.0.1' },
      hi: { Args: ['sh', '-c', 'echo hi'] },
      warn: { Args: ['sh', '-c', 'echo warn >&2; exit 1'] },
      bad: { Args: ['sh', '-c', 'echo bad; exit 2'] },
      late: { Args: ['sh', '-c', 'echo part; sleep 5'], Timeout: '300ms' },
      long: { Args: ['sh', '-c', 'seq 1 3000'], OutputMaxSize: 30 },
      missing: { Args: ['/nonexistent'] },
      unknown: { Args: ['no-such-command'] },
      'grpc-up': { GRPC: `127.0.0.1:${grpc.port}/up` },
      'grpc-down': { GRPC: `127.0.0.1:${grpc.port}/down` },
      'grpc-nope': { GRPC: `127.0.0.1:${grpc.port}/nope` },
      'grpc-hang': { GRPC: `127.0.0.1:${grpc.port}/hang`, Timeout: '300ms' },
    };
    for (const [id, body] of Object.entries(bodies)) {
      const registration = { ID: id, Name: id, Interval: '1s', ...body };
      expect(await put('/v1/agent/check/register', JSON.stringify(registration))).toEqual({
        status: 200,
        body: '',
      });
    }
    const own: Record<string, unknown> = {};
    for (const [id, body] of Object.entries(bodies)) {
      const decoded = decodeCheckDefinition({ Name: id, Interval: '1s', ...body }, 'check');
      if (!decoded.ok) throw new Error(decoded.error);
      const kind = checkKind(decoded.value) as keyof typeof systemProbes;
      const probe = systemProbes[kind](decoded.value, decoded.value.outputMaxSize || 4096);
      const { status, output } = await probe(new AbortController().signal);
      own[id] = { status, output: comparable(id, output), type: checkType(decoded.value) };
    }
    const theirs: Record<string, unknown> = {};
    // Each of their checks has run once there is an output; the one without body says as much.
    while (Object.keys(theirs).length < Object.keys(bodies).length) {
      const checks = await agentChecks();
      for (const id of Object.keys(bodies)) {
        const check = checks[id];
        if (!isJsonObject(check) || check['Output'] === '') continue;
        theirs[id] = {
          status: check['Status'],
          output: comparable(id, String(check['Output'])),
          type: check['Type'],
        };
      }
    }
    expect(own).toEqual(theirs);
  }, 30_000);

  test('definitions in the catalog are shown alike', async () => {
    const definition = {
      Interval: '10s',
      Timeout: 90e9,
      DeregisterCriticalServiceAfter: '1h30m',
      HTTP: 'http://x',
      TCP: 't',
      Header: { a: ['b'] },
      Method: 'GET',
      Body: 'b',
      TLSSkipVerify: true,
      OutputMaxSize: 7,
      GRPC: 'g',
      GRPCUseTLS: true,
      AliasNode: 'n',
      TTL: '5s',
    };
    const check = { Node: 'ext', Name: 'x', CheckID: 'x', Status: 'passing', Definition: definition };
    await put('/v1/catalog/register', JSON.stringify({ Node: 'ext', Address: '10.0.0.1', Check: check }));
    const rows = parsed(await (await fetch(`${consul.url}/v1/health/node/ext`)).text());
    const row = Array.isArray(rows) ? (rows as readonly JsonValue[])[0] : undefined;
    const own = decodeHealthDefinition(definition);
    if (!own.ok || !isJsonObject(row)) throw new Error('no definition to compare');
    expect(renderHealthDefinition(own.value)).toEqual(row['Definition']);
  });
});

/** Leaves out what each client words or orders in its own way. */
function comparable(id: string, output: string): string {
  switch (id) {
    case 'echo':
      return output.replace(/\[.*\]/, '[headers]');
    // Client and server both end a call at its deadline: whose words are seen is a race, in Consul as here.
    case 'grpc-hang':
      return output.replace('context deadline exceeded', 'Deadline exceeded');
    default:
      return output;
  }
}
