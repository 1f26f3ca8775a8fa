import { beforeEach, describe, expect, test } from '@jest/globals';
import type { KeyringAnswer } from '../../../compat/fleet/port.ts';
import { ask } from '../../support/ask.ts';
import { FakeFleet } from '../../support/fleet.ts';
import { fleetAgent, StateFixture } from '../../support/state.ts';

// Bodies and texts are what a Consul 1.8.7 with two servers and -encrypt answered, but for the prefix `Bad request: `,
// which newer versions do not have.

const k1 = 'aJbSqcumUFUUMnVnY//Ly4EDgz1PUBDJda+Rsx3Qcwg=';
const k2 = 'ITmsGSupwZafGZkS34G6+0c5QZBKtKj/gSgdzl/lg6I=';

let fleet: FakeFleet;
let fixture: StateFixture;

beforeEach(() => {
  fleet = new FakeFleet('n1', 'n2');
  fixture = new StateFixture({ agent: fleetAgent(fleet) });
  reports([has('n1', k1), has('n2', k1)]);
});

function has(node: string, primary: string, ...others: readonly string[]): KeyringAnswer {
  return { node, ok: true, keys: [primary, ...others], primary };
}

function failed(node: string, error: string): KeyringAnswer {
  return { node, ok: false, error };
}

/** One report for each pool. */
function reports(answers: readonly KeyringAnswer[], asked = answers.length): void {
  const inWan = answers.map((answer) => ({ ...answer, node: `${answer.node}.dc1` }));
  fleet.keyrings = [
    { pool: 'lan', asked, answers },
    { pool: 'wan', asked, answers: inWan },
  ];
}

const keyring = async (
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  query = '',
  body?: unknown,
): Promise<string> => {
  const { status, body: text } = await ask(fixture, method, `/v1/operator/keyring${query}`, body);
  return `${status} ${text}`;
};

describe('the list of keys', () => {
  test('counts who has each key and who uses it, the WAN pool first', async () => {
    reports([has('n1', k1, k2), has('n2', k2)]);
    const row = (wan: boolean): string =>
      `{"WAN":${wan},"Datacenter":"dc1","Segment":"","Keys":{"${k2}":2,"${k1}":1},` +
      `"PrimaryKeys":{"${k2}":1,"${k1}":1},"NumNodes":2}`;
    expect(await keyring('GET')).toBe(`200 [${row(true)},${row(false)}]`);
    expect(await keyring('GET', '?local-only=true&relay-factor=3')).toBe(`200 [${row(false)}]`);
  });

  test('is refused where somebody failed or did not answer', async () => {
    reports([has('n1', k1), failed('n2', 'no answer in time')]);
    expect(await keyring('GET', '?local-only=1')).toBe(
      '500 2 errors occurred:\n\t* dc1 (LAN) error: 1/2 nodes reported failure\n\t* n2: no answer in time\n\n',
    );
    reports([has('n1', k1)], 2);
    expect(await keyring('GET', '?local-only=1')).toBe(
      '500 1 error occurred:\n\t* dc1 (LAN) error: 1/2 nodes reported success\n\n',
    );
  });

  test('of gossip without encryption is refused in the words of Serf', async () => {
    fleet.keyrings = undefined;
    expect(await keyring('GET')).toContain('\t* gateway: Keyring is empty (encryption not enabled)\n');
    expect(await keyring('PUT', '', { Key: k1 })).toContain(
      'No keyring to modify (encryption not enabled)\n',
    );
  });
});

describe('a change of keys', () => {
  test.each([
    ['POST', 'install'],
    ['PUT', 'use'],
    ['DELETE', 'remove'],
  ] as const)('%s: %s, answered without a body', async (method, order) => {
    expect(await keyring(method, '?relay-factor=0', { key: k2 })).toBe('200 ');
    expect(fleet.asked).toEqual([`keyring ${order} ${k2}`]);
  });

  test('that some refused says who and why', async () => {
    const why = 'Requested key is not in the keyring';
    reports([failed('n2', why), failed('n1', why)]);
    expect(await keyring('PUT', '', { Key: k2 })).toBe(
      '500 6 errors occurred:\n' +
        `\t* WAN error: 2/2 nodes reported failure\n\t* n1.dc1: ${why}\n\t* n2.dc1: ${why}\n` +
        `\t* dc1 (LAN) error: 2/2 nodes reported failure\n\t* n1: ${why}\n\t* n2: ${why}\n\n`,
    );
  });

  test.each([
    [
      '?local-only=true',
      { Key: k1 },
      'Invalid use of local-only: local-only can only be set for list requests',
    ],
    [
      '?local-only=x',
      { Key: k1 },
      'Error parsing local-only: strconv.ParseBool: parsing "x": invalid syntax',
    ],
    ['?relay-factor=9', { Key: k1 }, 'Invalid relay-factor: Relay factor must be in range: [0, 5]'],
    ['?relay-factor=x', { Key: k1 }, 'Error parsing relay factor: strconv.Atoi: parsing "x": invalid syntax'],
    ['', 'xx', "Request decode failed: invalid character 'x' looking for beginning of value"],
    ['', '', 'Request decode failed: EOF'],
  ])('%s with %j asks nobody', async (query, body, why) => {
    expect(await keyring('POST', query, body)).toBe(`400 ${why}`);
    expect(fleet.asked).toEqual([]);
  });

  test('to what is no key asks nobody', async () => {
    expect(await keyring('POST', '', { Key: 'abc' })).toBe(
      '500 2 errors occurred:\n\t* WAN error: illegal base64 data at input byte 0\n' +
        '\t* dc1 (LAN) error: illegal base64 data at input byte 0\n\n',
    );
    expect(fleet.asked).toEqual([]);
  });
});
