import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  type CheckDefinition,
  type CheckForm,
  decodeCheckDefinition,
  emptyCheck,
  encodeCheckDefinition,
  isEmptyCheck,
  sameDefinition,
} from '../../../compat/checks/definition.ts';
import { checkKind, checkType } from '../../../compat/checks/probe.ts';
import { parseJson, renderJson } from '../../../compat/wire/go-json.ts';

function decode(text: string, form: CheckForm = 'check') {
  const value = parseJson(text);
  if (!value.ok) throw new Error(value.error);
  return decodeCheckDefinition(value.value, form);
}

function decoded(text: string, form: CheckForm = 'check'): CheckDefinition {
  const result = decode(text, form);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

describe('decoding', () => {
  test('takes every field that Consul knows', () => {
    const text = `{"ID":"c","Name":"n","Notes":"no","Status":"passing","ServiceID":"s","Args":["a","b"],
      "HTTP":"http://x","Header":{"X-A":["1","2"]},"Method":"POST","Body":"b","DisableRedirects":true,
      "TCP":"t:1","TCPUseTLS":true,"UDP":"u:1","GRPC":"g:1","GRPCUseTLS":true,"H2PING":"h","OSService":"o",
      "TLSServerName":"sn","TLSSkipVerify":true,"DockerContainerID":"d","Shell":"sh","AliasNode":"an",
      "AliasService":"as","Interval":"10s","Timeout":5000000,"TTL":"1m","DeregisterCriticalServiceAfter":"90m",
      "SuccessBeforePassing":1,"FailuresBeforeWarning":2,"FailuresBeforeCritical":3,"OutputMaxSize":4}`;
    expect(decoded(text)).toEqual({
      checkId: 'c',
      name: 'n',
      notes: 'no',
      status: 'passing',
      serviceId: 's',
      args: ['a', 'b'],
      http: 'http://x',
      header: { 'X-A': ['1', '2'] },
      method: 'POST',
      body: 'b',
      disableRedirects: true,
      tcp: 't:1',
      tcpUseTls: true,
      udp: 'u:1',
      grpc: 'g:1',
      grpcUseTls: true,
      h2ping: 'h',
      osService: 'o',
      tlsServerName: 'sn',
      tlsSkipVerify: true,
      dockerContainerId: 'd',
      shell: 'sh',
      aliasNode: 'an',
      aliasService: 'as',
      intervalNs: 10e9,
      timeoutNs: 5e6,
      ttlNs: 60e9,
      deregisterCriticalServiceAfterNs: 5400e9,
      successBeforePassing: 1,
      failuresBeforeWarning: 2,
      failuresBeforeCritical: 3,
      outputMaxSize: 4,
    });
  });

  test.each([
    ['{"script_args":["x"]}', { args: ['x'] }],
    ['{"ScriptArgs":[],"args":["x"]}', { args: ['x'] }],
    ['{"ARGS":["x"]}', { args: ['x'] }],
    ['{"deregister_critical_service_after":"1m"}', { deregisterCriticalServiceAfterNs: 60e9 }],
    ['{"tls_skip_verify":true}', { tlsSkipVerify: true }],
    ['{"TLSSkipVerify":false,"tls_skip_verify":true}', { tlsSkipVerify: true }],
    ['{"docker_container_id":"d"}', { dockerContainerId: 'd' }],
    ['{"service_id":"s"}', { serviceId: 's' }],
    ['{"id":"i","name":"n","ttl":"15s"}', { checkId: 'i', name: 'n', ttlNs: 15e9 }],
    ['{"Interval":1.9}', { intervalNs: 1 }],
    ['{"TTL":true,"Interval":[]}', {}],
    ['{"TTL":null,"Header":null,"Args":null}', {}],
    ['{"Header":{"A":null}}', { header: { A: [] } }],
    ['null', {}],
    ['{"Token":"t"}', {}],
    ['{"Check":{},"SomethingNewer":[1],"something_newer":true}', {}],
  ])('%s is understood as Consul does', (text, expected) => {
    expect(decoded(text)).toEqual({ ...emptyCheck, ...expected });
  });

  test.each([
    ['{"Name":5}', 'json: cannot unmarshal number into Go struct field .Name of type string'],
    ['{"Args":"ls"}', 'json: cannot unmarshal string into Go struct field .args of type []string'],
    ['{"Args":["ls",5]}', 'json: cannot unmarshal number into Go struct field .args of type string'],
    [
      '{"Header":[]}',
      'json: cannot unmarshal array into Go struct field .Header of type map[string][]string',
    ],
    ['{"Header":{"A":"b"}}', 'json: cannot unmarshal string into Go struct field .Header of type []string'],
    ['{"GRPCUseTLS":"yes"}', 'json: cannot unmarshal string into Go struct field .GRPCUseTLS of type bool'],
    ['{"TTL":"10"}', 'time: missing unit in duration "10"'],
    ['{"TTL":"10x"}', 'time: unknown unit "x" in duration "10x"'],
    ['{"TTL":""}', 'time: invalid duration ""'],
    ['{"Script":"ls"}', 'json: unknown field "Script"'],
    ['{"SCRIPT":"ls"}', 'json: unknown field "SCRIPT"'],
    ['{"Check_ID":"x"}', 'json: unknown field "Check_ID"'],
    ['{"CheckID":"x"}', 'json: unknown field "CheckID"'],
    ['{"success_before_passing":1}', 'json: unknown field "success_before_passing"'],
  ])('%s fails in the words of Consul 1.8.7', (text, problem) => {
    expect(decode(text)).toEqual({ ok: false, error: problem });
  });

  test('a check inside a service is named by CheckID, not by ID', () => {
    expect(decoded('{"CheckID":"x"}', 'service-check').checkId).toBe('x');
    expect(decode('{"id":"x"}', 'service-check')).toEqual({ ok: false, error: 'json: unknown field "id"' });
  });

  test('of a check inside a service fields of newer clients are passed over, those that mislead are not', () => {
    expect(decoded('{"TTL":"1s","Newer":1}', 'service-check')).toEqual({ ...emptyCheck, ttlNs: 1e9 });
    expect(decode('{"Script":"ls"}', 'service-check').ok).toBe(false);
    expect(decode('{"failures_before_critical":3}', 'service-check').ok).toBe(false);
  });

  test('configuration files may spell every field in snake case and add their own', () => {
    const text = `{"id":"x","success_before_passing":2,"failures_before_critical":3,"tls_server_name":"t",
      "grpc_use_tls":true,"alias_service":"s","output_max_size":9,"disable_redirects":true,"comment":"hi"}`;
    expect(decoded(text, 'config')).toEqual({
      ...emptyCheck,
      checkId: 'x',
      successBeforePassing: 2,
      failuresBeforeCritical: 3,
      tlsServerName: 't',
      grpcUseTls: true,
      aliasService: 's',
      outputMaxSize: 9,
      disableRedirects: true,
    });
  });
});

const text = fc.string({ maxLength: 8 });
const count = fc.integer({ min: -5, max: 1e6 });
const duration = fc.integer({ min: -1e15, max: 1e15 });
const names = fc.string({ minLength: 1, maxLength: 5 }).filter((name) => name !== '__proto__');
const definitions: fc.Arbitrary<CheckDefinition> = fc.record({
  checkId: text,
  name: text,
  notes: text,
  status: text,
  serviceId: text,
  args: fc.array(text, { maxLength: 3 }),
  http: text,
  header: fc.dictionary(names, fc.array(text, { maxLength: 2 }), { noNullPrototype: true, maxKeys: 3 }),
  method: text,
  body: text,
  disableRedirects: fc.boolean(),
  tcp: text,
  tcpUseTls: fc.boolean(),
  udp: text,
  grpc: text,
  grpcUseTls: fc.boolean(),
  h2ping: text,
  osService: text,
  tlsServerName: text,
  tlsSkipVerify: fc.boolean(),
  dockerContainerId: text,
  shell: text,
  aliasNode: text,
  aliasService: text,
  intervalNs: duration,
  timeoutNs: duration,
  ttlNs: duration,
  deregisterCriticalServiceAfterNs: duration,
  successBeforePassing: count,
  failuresBeforeWarning: count,
  failuresBeforeCritical: count,
  outputMaxSize: count,
});

describe('storing', () => {
  test('a stored definition reads back as it was', () => {
    fc.assert(
      fc.property(definitions, (definition) => {
        const stored = decoded(renderJson(encodeCheckDefinition(definition)), 'stored');
        expect(stored).toEqual(definition);
        expect(sameDefinition(stored, definition)).toBe(true);
      }),
    );
  });

  test('zero values are not stored, so a new field costs nothing', () => {
    expect(encodeCheckDefinition(emptyCheck)).toEqual({});
    expect(encodeCheckDefinition({ ...emptyCheck, ttlNs: 1e9 })).toEqual({ TTL: 1e9 });
  });

  test('only a check without any field is empty', () => {
    expect(isEmptyCheck(emptyCheck)).toBe(true);
    expect(isEmptyCheck({ ...emptyCheck, notes: 'n' })).toBe(false);
  });
});

describe('type', () => {
  const timed = { ...emptyCheck, intervalNs: 1e9 };
  test.each([
    [{ ...timed, http: 'x', tcp: 'x', args: ['x'] }, 'http', 'http'],
    [{ ...timed, grpc: 'x', tcp: 'x' }, 'grpc', 'tcp'],
    [{ ...timed, tcp: 'x' }, 'tcp', 'tcp'],
    [{ ...timed, udp: 'x' }, 'udp', 'udp'],
    [{ ...timed, args: ['x'] }, 'script', 'script'],
    [{ ...timed, args: ['x'], dockerContainerId: 'd' }, 'docker', 'docker'],
    [{ ...emptyCheck, ttlNs: 1, dockerContainerId: 'd' }, 'ttl', 'ttl'],
    [{ ...emptyCheck, aliasService: 's' }, 'alias', 'alias'],
    [emptyCheck, '', undefined],
  ])('%# is shown and run as Consul does', (definition, shown, run) => {
    expect([checkType(definition), checkKind(definition)]).toEqual([shown, run]);
  });
});
