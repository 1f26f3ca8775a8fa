import { afterAll, beforeAll } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentConfig } from '../../../compat/config/agent-config.ts';
import { loadAgentConfig } from '../../../compat/config/load-config.ts';
import { noOptions, type LoadOptions } from '../../../compat/config/load-options.ts';
import { renderProblems } from '../../../compat/config/problems.ts';
import type { HostFacts } from '../../../compat/config/ip-address.ts';
import { host } from './host.ts';

/** A directory of the test file that imports this. */
export let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grapevine-config-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

let files = 0;

export async function file(text: string, extension = 'json'): Promise<string> {
  const path = join(directory, `${files++}.${extension}`);
  await writeFile(path, text);
  return path;
}

/** One private address, so that nothing has to be said about addresses. */
export const plainHost: HostFacts = {
  ...host,
  interfaces: host.interfaces.filter((each) => each.interface === 'eth0'),
};

export async function load(options: Partial<LoadOptions>, on: HostFacts = plainHost): Promise<AgentConfig> {
  const loaded = await loadAgentConfig({ ...noOptions, ...options }, on);
  if (!loaded.ok) throw new Error(renderProblems(loaded.error.problems));
  return loaded.value;
}

export async function loadJson(config: object, on: HostFacts = plainHost): Promise<AgentConfig> {
  return load({ paths: [await file(JSON.stringify({ data_dir: '/var/lib/x', ...config }))] }, on);
}

export async function errorOf(
  config: object | string,
  extension = 'json',
  on: HostFacts = plainHost,
): Promise<string> {
  const text = typeof config === 'string' ? config : JSON.stringify({ data_dir: '/var/lib/x', ...config });
  const path = await file(text, extension);
  const loaded = await loadAgentConfig({ ...noOptions, paths: [path] }, on);
  if (loaded.ok) throw new Error(`accepted: ${text}`);
  return renderProblems(loaded.error.problems).replaceAll(path, 'FILE');
}
