import type { Area } from '../harness.ts';
import { get, request, scenario } from '../scenario.ts';

const first = 'aJbSqcumUFUUMnVnY//Ly4EDgz1PUBDJda+Rsx3Qcwg=';
const second = 'ITmsGSupwZafGZkS34G6+0c5QZBKtKj/gSgdzl/lg6I=';
const path = '/v1/operator/keyring';

const key = (Key: string): string => JSON.stringify({ Key });
const install = (body: string, query = ''): ReturnType<typeof request> => request('POST', path + query, body);
const use = (body: string): ReturnType<typeof request> => request('PUT', path, body);
const remove = (body: string): ReturnType<typeof request> => request('DELETE', path, body);

export const keyring: Area = {
  name: 'Keyring',
  config: { encrypt: first },
  scenarios: [
    scenario(
      'a key is installed, used, and the old one removed',
      get(path, { expect: { status: 200, body: first } }),
      install(key(second)),
      get(path),
      use(key(second)),
      get(`${path}?pretty`),
      remove(key(first)),
      get(`${path}?local-only=true`, { expect: { status: 200, body: second } }),
      install(key(first)),
      use(key(first)),
      remove(key(second)),
      get(`${path}?relay-factor=2`),
    ),
    scenario(
      'what cannot be done says where and why',
      use(key(second)),
      remove(key(first)),
      remove(key(second)),
      install(key('')),
      install(key('abc')),
      install(key('AAAA')),
      install(key(first)),
    ),
  ],
};
