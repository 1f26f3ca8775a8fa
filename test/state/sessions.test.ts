import { describe, expect, test } from '@jest/globals';
import { canonicalSessionId, sessionIdProblem } from '../../src/state/session-id.ts';
import { getSession } from '../../src/state/sessions.ts';
import { decodeKv, type CheckValue, type SessionValue } from '../../src/state/values.ts';
import { StateFixture } from '../support/state.ts';
import { Kind } from '../../src/state/kinds.ts';

const id = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee';

function session(over: Partial<SessionValue> = {}): SessionValue {
  return {
    id,
    name: '',
    node: 'n1',
    lockDelayNs: 0,
    behavior: 'release',
    ttl: '',
    nodeChecks: [],
    serviceChecks: null,
    ...over,
  };
}

function check(checkId: string, status: string): CheckValue {
  return {
    node: 'n1',
    checkId,
    name: checkId,
    status,
    notes: '',
    output: '',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
}

function withNode(...checks: readonly CheckValue[]): StateFixture {
  const fixture = new StateFixture();
  const node = { id: '', node: 'n1', address: '10.0.0.1', taggedAddresses: null, meta: null };
  fixture.step({ kind: 'catalog-register', node, skipNodeUpdate: false, checks });
  return fixture;
}

function lock(fixture: StateFixture, key: string, holder: string): void {
  const value = new Uint8Array([1]);
  fixture.step({ kind: 'kv-put', key, flags: 0n, value, mode: { kind: 'acquire', session: holder } });
}

function holderOf(fixture: StateFixture, key: string): string | undefined {
  const row = fixture.store.get(Kind.kv, key);
  return row?.value ? decodeKv(row.value).session : undefined;
}

describe('sessions', () => {
  test('an id is any 36 hexadecimal characters with at most four dashes', () => {
    expect(sessionIdProblem(id)).toBeUndefined();
    expect(sessionIdProblem(id.toUpperCase())).toBeUndefined();
    const prefix = 'failed session lookup: index error: ';
    expect(sessionIdProblem('x')).toBe(`${prefix}UUID must be 36 characters`);
    expect(sessionIdProblem('-'.repeat(36))).toBe(`${prefix}UUID should have maximum of 4 "-"; got 36`);
    expect(sessionIdProblem(id.replace('b', 'z'))).toBe(
      `${prefix}Invalid UUID: encoding/hex: invalid byte: U+007A 'z'`,
    );
    expect(sessionIdProblem(`${'a'.repeat(33)}---`)).toBe(
      `${prefix}Invalid UUID: encoding/hex: odd length hex string`,
    );
    expect(canonicalSessionId('AAAAAAAABBBBCCCCDDDDEEEEEEEEEEEE')).toBe(id);
  });

  test('a lock taken under another spelling of the id goes with its session', () => {
    const fixture = withNode();
    fixture.step({ kind: 'session-create', session: session() });
    lock(fixture, 'k', id.toUpperCase());
    expect(holderOf(fixture, 'k')).toBe(id);
    fixture.step({ kind: 'session-destroy', id });
    expect(holderOf(fixture, 'k')).toBe('');
  });

  test('a session ends when any of its checks turns critical, in whatever case it was named', () => {
    for (const named of [
      { checks: ['WEB'] },
      { nodeChecks: ['Web'] },
      { serviceChecks: [{ id: 'web', namespace: '' }] },
    ]) {
      const fixture = withNode(check('web', 'passing'));
      fixture.step({ kind: 'session-create', session: session(named) });
      expect(getSession(fixture.store, id)).toBeDefined();
      fixture.step({
        kind: 'catalog-register',
        node: { id: '', node: 'n1', address: '10.0.0.1', taggedAddresses: null, meta: null },
        skipNodeUpdate: true,
        checks: [check('web', 'critical')],
      });
      expect(getSession(fixture.store, id)).toBeUndefined();
    }
  });

  test('a session ends with its node, and its keys go or are released by its behavior', () => {
    for (const behavior of ['release', 'delete'] as const) {
      const fixture = withNode();
      fixture.step({ kind: 'session-create', session: session({ behavior }) });
      lock(fixture, 'k', id);
      fixture.step({ kind: 'catalog-deregister', node: 'N1', serviceId: '', checkId: '' });
      expect(getSession(fixture.store, id)).toBeUndefined();
      expect(holderOf(fixture, 'k')).toBe(behavior === 'release' ? '' : undefined);
    }
  });

  test('a session needs its node and its checks', () => {
    const fixture = withNode(check('ill', 'critical'));
    const refusal = (over: Partial<SessionValue>): unknown => {
      const { outcome } = fixture.step({ kind: 'session-create', session: session(over) });
      return outcome.kind === 'refused' ? outcome.message : outcome.kind;
    };
    expect(refusal({ node: 'nobody' })).toBe('Missing node registration');
    expect(refusal({ nodeChecks: ['none'] })).toBe("Missing check 'none' registration");
    expect(refusal({ checks: ['ill'] })).toBe("Check 'ill' is in critical state");
    expect(refusal({})).toBe('session');
  });
});
