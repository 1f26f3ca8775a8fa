import { describe, expect, test } from '@jest/globals';
import { type CheckDefinition, emptyCheck } from '../../../compat/checks/definition.ts';
import { admitCheck, admitServiceChecks, checkProblem } from '../../../compat/checks/validate.ts';

const named: CheckDefinition = { ...emptyCheck, name: 'a' };
const open = { remoteScripts: true };

describe('a check on its own', () => {
  test.each<[Partial<CheckDefinition>, string]>([
    [{ name: '' }, 'Missing check name'],
    [{ name: '', status: 'foo' }, 'Missing check name'],
    [{ status: 'foo' }, 'Bad check status'],
    [{}, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ intervalNs: 1e9 }, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ ttlNs: -1 }, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ ttlNs: 1e9, intervalNs: 1e9 }, 'Invalid check: Interval and TTL cannot both be specified'],
    [{ http: 'x' }, 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks'],
    [{ http: 'x', ttlNs: 1 }, 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks'],
    [{ args: ['x'], intervalNs: -1 }, 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks'],
    [
      { aliasService: 'x', http: 'x', intervalNs: 1 },
      'Invalid check: Interval cannot be set for Alias checks',
    ],
    [{ aliasService: 'x', ttlNs: 1 }, 'Invalid check: TTL must be not be set for Alias checks'],
    [{ ttlNs: 1, outputMaxSize: -1 }, 'Invalid check: MaxOutputMaxSize must be positive'],
    [{ dockerContainerId: 'x', intervalNs: 1e9 }, 'Invalid check: TTL must be > 0 for TTL checks'],
  ])('%j is refused in the words of Consul 1.8.7', (fields, body) => {
    expect(admitCheck({ ...named, ...fields }, open)).toEqual({ ok: false, error: { status: 400, body } });
  });

  test('scripts from the network need the option', () => {
    const script = { ...named, args: ['true'], intervalNs: 1e9 };
    expect(admitCheck(script, { remoteScripts: false })).toEqual({
      ok: false,
      error: {
        status: 500,
        body: "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
      },
    });
    expect(admitCheck(script, open).ok).toBe(true);
  });

  test('an id that is not given is the name', () => {
    const ttl = { ...named, ttlNs: 1e9 };
    expect(admitCheck(ttl, open)).toEqual({ ok: true, value: { ...ttl, checkId: 'a' } });
    expect(admitCheck({ ...ttl, checkId: 'i' }, open)).toEqual({ ok: true, value: { ...ttl, checkId: 'i' } });
  });

  test.each<Partial<CheckDefinition>>([
    { args: ['x'], dockerContainerId: 'd', intervalNs: 1e9 },
    { h2ping: 'x:1', intervalNs: 1e9 },
    { osService: 'x', intervalNs: 1e9 },
  ])('%j is refused rather than taken and not run', (fields) => {
    expect(checkProblem({ ...named, ...fields })).toMatch(/not supported by this gateway/);
  });

  test('an alias may carry an interval without use', () => {
    expect(checkProblem({ ...named, aliasService: 's', intervalNs: 1e9 })).toBeUndefined();
  });
});

describe('checks of a service', () => {
  const service = { id: 's1', name: 'web' };
  const ttl = { ...emptyCheck, ttlNs: 1e9 };

  test('several are numbered from 1, names are made up, given ones are kept', () => {
    const admitted = admitServiceChecks(
      service,
      { ...ttl, name: 'my' },
      [{ ...ttl, checkId: 'c2' }, ttl],
      open,
    );
    expect(
      admitted.ok && admitted.value.map(({ checkId, name, serviceId }) => [checkId, name, serviceId]),
    ).toEqual([
      ['service:s1:1', 'my', 's1'],
      ['c2', "Service 'web' check", 's1'],
      ['service:s1:3', "Service 'web' check", 's1'],
    ]);
  });

  test('a single one is not numbered', () => {
    const admitted = admitServiceChecks(service, undefined, [ttl], open);
    expect(admitted.ok && admitted.value.map(({ checkId }) => checkId)).toEqual(['service:s1']);
  });

  test('an empty Check is no check, an empty item of Checks is a bad one', () => {
    expect(admitServiceChecks(service, emptyCheck, [], open)).toEqual({ ok: true, value: [] });
    expect(admitServiceChecks(service, undefined, [emptyCheck], open)).toEqual({
      ok: false,
      error: { status: 400, body: 'Invalid check: TTL must be > 0 for TTL checks' },
    });
  });

  test('a bad status has a text of its own', () => {
    expect(admitServiceChecks(service, { ...ttl, status: 'x' }, [], open)).toEqual({
      ok: false,
      error: { status: 400, body: "Status for checks must 'passing', 'warning', 'critical'" },
    });
  });
});
