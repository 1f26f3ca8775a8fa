import { describe, expect, test } from '@jest/globals';
import { loadAgentConfig } from '../../../compat/config/load-config.ts';
import type { AgentConfig } from '../../../compat/config/agent-config.ts';

async function load(hcl: string): Promise<AgentConfig | string> {
  const loaded = await loadAgentConfig({
    paths: [],
    format: undefined,
    flags: {},
    hcl: [hcl],
    devMode: true,
  });
  return loaded.ok ? loaded.value : loaded.error.problems.map(({ message }) => message).join('\n');
}

async function migration(hcl: string): Promise<AgentConfig['migration']> {
  const config = await load(hcl);
  if (typeof config === 'string') throw new Error(config);
  return config.migration;
}

describe('the source of a migration in the configuration', () => {
  test('is nobody unless it is named', async () => {
    expect((await migration('')).sources).toEqual([]);
  });

  test.each([
    ['one address', 'migration { source = "http://10.0.0.1:8500" }'],
    ['a list of one', 'migration { source = ["http://10.0.0.1:8500"] }'],
  ])('is %s', async (_, hcl) => {
    expect((await migration(hcl)).sources).toEqual(['http://10.0.0.1:8500']);
  });

  test.each([
    ['a list', 'migration { source = ["a:8500", "https://b:8501"] }'],
    ['one text with commas', 'migration { source = "a:8500, https://b:8501" }'],
  ])('is several as %s', async (_, hcl) => {
    expect((await migration(hcl)).sources).toEqual(['a:8500', 'https://b:8501']);
  });

  test.each([
    ['an address with a password', 'migration { source = "http://me:secret@a:8500" }', /no address/],
    ['another scheme', 'migration { source = "ftp://a" }', /no address/],
    ['a number', 'migration { source = 8500 }', /expected type 'string'/],
    ['a hold without end', 'migration { limits { hold = "1h" } }', /100ms to 10s/],
    ['a share above all', 'migration { shadow { percent = 101 } }', /0 to 100/],
    ['half a certificate', 'migration { cert_file = "c.pem" }', /come together/],
    ['two tokens', 'migration { token = "a" token_file = "b" }', /name one of them/],
    ['a misspelt key', 'migration { sources = "a" }', /did you mean "source"/],
  ])('is refused with %s', async (_, hcl, message) => {
    expect(await load(hcl)).toMatch(message);
  });
});
