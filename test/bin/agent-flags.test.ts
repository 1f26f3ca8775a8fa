import { describe, expect, test } from '@jest/globals';
import { agentOptions, flagsToFragment } from '../../bin/cli/agent-flags.ts';
import { buildProgram } from '../../bin/cli/main.ts';
import { fragmentSchema } from '../../compat/config/config-schema.ts';

/** `consul agent -h`, 1.8.7. */
const consulAgentFlags = `datacenter advertise advertise-wan allow-write-http-from alt-domain bind bootstrap
  bootstrap-expect check_output_max_size client config-dir config-file config-format data-dir default-query-time dev
  disable-host-node-id disable-keyring-file dns-port domain enable-local-script-checks enable-script-checks encrypt
  grpc-port hcl http-port https-port join join-wan log-file log-json log-level log-rotate-bytes log-rotate-duration
  log-rotate-max-files max-query-time node node-id node-meta non-voting-server pid-file primary-gateway protocol
  raft-protocol recursor rejoin retry-interval retry-interval-wan retry-join retry-join-wan retry-max retry-max-wan
  segment serf-lan-allowed-cidrs serf-lan-bind serf-lan-port serf-wan-allowed-cidrs serf-wan-bind serf-wan-port server
  server-port syslog ui ui-content-path ui-dir`.split(/\s+/);

describe('the flags of the agent', () => {
  test('are all of those of consul agent 1.8.7', () => {
    const agent = buildProgram().commands.find((command) => command.name() === 'agent');
    const known = agent?.options.map((option) => option.name()) ?? [];
    expect(consulAgentFlags.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('stand for keys that the configuration has, with values of the right kind', () => {
    const samples = Object.fromEntries(
      agentOptions().map((option) => {
        const value = option.parseArg?.(sampleOf(option.flags), undefined) ?? 'x';
        return [option.attributeName(), value];
      }),
    );
    const fragment = flagsToFragment(samples);
    expect(fragmentSchema.safeParse(fragment)).toMatchObject({ success: true });
    const leaves = JSON.stringify(fragment).match(/"[\w-]+":(?!\{)/g);
    // One key per flag; the object in -node-meta has one of its own.
    expect(leaves).toHaveLength(agentOptions().length);
  });

  test('that were not given say nothing', () => {
    expect(flagsToFragment({})).toEqual({});
  });

  test('of one block are put together', () => {
    expect(flagsToFragment({ httpPort: 1, dnsPort: -1, node: 'x', server: false })).toEqual({
      ports: { http: 1, dns: -1 },
      node_name: 'x',
      server: false,
    });
  });
});

function sampleOf(flags: string): string {
  if (flags.includes('[bool]')) return 'true';
  return /<(port|count|bytes|version)>/.test(flags) ? '1' : 'a:b';
}
