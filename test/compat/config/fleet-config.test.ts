import { describe, expect, test } from '@jest/globals';
import { lanProfile, wanProfile } from '../../../src/swim/profile.ts';
import { errorOf, file, load, loadJson } from './loading.ts';
import { host } from './host.ts';

function timing({
  gossipNodes,
  gossipIntervalMs,
  probeIntervalMs,
  probeTimeoutMs,
  suspicionMult,
  retransmitMult,
}: typeof lanProfile): object {
  return { gossipNodes, gossipIntervalMs, probeIntervalMs, probeTimeoutMs, suspicionMult, retransmitMult };
}

describe('the timing of gossip', () => {
  test('is that of the profiles unless it is said', async () => {
    const { gossip } = await loadJson({});
    expect(gossip.lan).toMatchObject(timing(lanProfile));
    expect(gossip.wan).toMatchObject(timing(wanProfile));
  });

  test('takes what gossip_lan and gossip_wan say, each for its pool', async () => {
    const { gossip } = await loadJson({
      gossip_lan: { gossip_nodes: 5, gossip_interval: '50ms', probe_interval: '2s', probe_timeout: '300ms' },
      gossip_wan: { suspicion_mult: 8, retransmit_mult: 6 },
    });
    expect(gossip.lan).toMatchObject({
      gossipNodes: 5,
      gossipIntervalMs: 50,
      probeIntervalMs: 2000,
      probeTimeoutMs: 300,
      suspicionMult: lanProfile.suspicionMult,
    });
    expect(gossip.wan).toMatchObject({ ...timing(wanProfile), suspicionMult: 8, retransmitMult: 6 });
  });

  test("is that of Consul's dev mode in dev mode", async () => {
    const { gossip } = await load({ devMode: true, hcl: ['gossip_lan { suspicion_mult = 7 }'] });
    expect(gossip.lan).toMatchObject({ gossipIntervalMs: 100, probeIntervalMs: 100, suspicionMult: 7 });
    expect(gossip.wan).toMatchObject({ probeTimeoutMs: 100, suspicionMult: 3 });
  });

  test('waits for no answer longer than until the next probe', async () => {
    const short = await loadJson({ gossip_lan: { probe_interval: '200ms' } });
    expect(short.gossip.lan.probeTimeoutMs).toBe(200);
    expect(short.warnings).toEqual([]);
    const long = await loadJson({ gossip_lan: { probe_timeout: '3s' } });
    expect(long.gossip.lan.probeTimeoutMs).toBe(1000);
    expect(long.warnings).toEqual([
      'gossip_lan.probe_timeout is longer than gossip_lan.probe_interval: the interval is taken',
    ]);
  });

  test.each<readonly [config: object, error: string]>([
    [{ gossip_lan: { gossip_nodes: 0 } }, 'gossip_lan.gossip_nodes cannot be 0 (in FILE; allowed: 1 to 64)'],
    [{ gossip_wan: { suspicion_mult: -4 } }, 'gossip_wan.suspicion_mult cannot be -4'],
    [{ gossip_lan: { retransmit_mult: 1000 } }, 'gossip_lan.retransmit_mult cannot be 1000'],
    [
      { gossip_lan: { probe_interval: '0s' } },
      'gossip_lan.probe_interval cannot be "0s" (in FILE; allowed: 10ms',
    ],
    [{ gossip_lan: { gossip_interval: '2m' } }, 'gossip_lan.gossip_interval cannot be "2m"'],
    [{ gossip_wan: { probe_timeout: 'soon' } }, 'gossip_wan.probe_timeout: invalid duration: "soon"'],
    [{ gossip_lan: { probe_intervall: '1s' } }, '(did you mean "probe_interval"?)'],
  ])('%j stops the start', async (config, error) => {
    expect(await errorOf(config)).toContain(error);
  });
});

describe('zones that are placed by rule', () => {
  test('are read from JSON, from a list and from blocks of HCL, and joined across files', async () => {
    const json = await file(
      '{"data_dir": "/x", "grapevine": {"zones": [{"prefix": "eu/", "region": "eu"}]}}',
    );
    const listed = await file('grapevine { zones = [{ prefix = "us/" region = "us" }] }', 'hcl');
    const blocks = await file(
      'grapevine {\n zones { prefix = "team-x/" gateway = "gw-7" }\n zones { prefix = "y" region = "eu" }\n}',
      'hcl',
    );
    const config = await load({ paths: [json, listed, blocks] });
    expect(config.zones).toEqual([
      { prefix: 'eu/', region: 'eu' },
      { prefix: 'us/', region: 'us' },
      { prefix: 'team-x/', gateway: 'gw-7' },
      { prefix: 'y', region: 'eu' },
    ]);
    expect((await loadJson({})).zones).toEqual([]);
  });

  test.each<readonly [zones: readonly object[], error: string]>([
    [[{ region: 'eu' }], 'grapevine.zones[0] (prefix ""): the root zone belongs to the gateway that founded'],
    [[{ prefix: 'eu/' }], 'grapevine.zones[0] (prefix "eu/"): where to? name a region or a gateway'],
    [[{ prefix: 'eu/', region: 'eu', gateway: 'g' }], 'both a region and a gateway: name one of them'],
    [
      [
        { prefix: 'eu/', region: 'eu' },
        { prefix: 'eu/', region: 'us' },
      ],
      'grapevine.zones[1] (prefix "eu/"): its prefix has a rule already (in FILE)',
    ],
    [[{ prefix: 'é'.repeat(257), region: 'eu' }], 'longer than 512 bytes'],
    [[{ prefix: '\u0001external-nodes', region: 'eu' }], 'its prefix holds a control character'],
    [[{ prefix: 'eu/', region: 'e'.repeat(129) }], 'a region has at most 128 bytes'],
    [[{ prefix: 'eu/', node: 'g' }], 'invalid config key grapevine.zones[0].node'],
    [
      Array.from({ length: 257 }, (_, i) => ({ prefix: `p${i}/`, region: 'eu' })),
      'grapevine.zones holds 257 rules (in FILE; allowed: up to 256)',
    ],
  ])('%j stops the start', async (zones, error) => {
    expect(await errorOf({ grapevine: { zones } })).toContain(error);
  });
});

describe('finding other gateways', () => {
  test('templates among the addresses are filled in, one may give several', async () => {
    const { join, warnings } = await loadJson(
      {
        bind_addr: '10.1.2.3',
        retry_join: [
          'a.example:9301',
          '{{ GetAllInterfaces | include "rfc" "1918" | join "address" " " }}',
          ' ',
        ],
      },
      host,
    );
    expect(join.retryJoin).toEqual(['a.example:9301', '10.1.2.3', '172.17.0.1']);
    expect(warnings).toEqual(['retry_join: " " names nobody']);
  });

  test('cloud auto-join is refused, under every key', async () => {
    for (const key of ['start_join', 'start_join_wan', 'retry_join', 'retry_join_wan']) {
      expect(await errorOf({ [key]: ['10.0.0.1', 'provider=aws tag_key=x tag_value=y'] })).toContain(
        `${key}: cloud auto-join is not built in: "provider=aws tag_key=x tag_value=y" (in FILE; allowed: host, host:port`,
      );
    }
  });

  test('there may be many addresses, not any number', async () => {
    const many = Array.from({ length: 257 }, (_, i) => `gateway-${i}`);
    expect(await errorOf({ retry_join: many })).toContain(
      'retry_join names 257 addresses (in FILE; allowed: up',
    );
    expect(await errorOf({ retry_join: ['{{ GetNothing }}'] })).toContain(
      'function "GetNothing" not defined',
    );
  });

  test('a number of attempts below 1 is without end, as in Consul', async () => {
    const { join } = await loadJson({ retry_max: -1, retry_max_wan: 4 });
    expect(join).toMatchObject({ retryAttemptsMax: 0, retryAttemptsWanMax: 4 });
  });

  test('times that would harm are raised, and the log says so', async () => {
    const { join, warnings } = await loadJson({
      retry_interval: '0s',
      reconnect_timeout: '1h',
      reconnect_timeout_wan: '0s',
    });
    expect(join).toMatchObject({
      retryIntervalMs: 100,
      reconnectMsMax: 8 * 3_600_000,
      reconnectWanMsMax: 72 * 3_600_000,
    });
    expect(warnings).toEqual([
      'retry_interval is less than 100ms: 100ms is taken',
      'reconnect_timeout is less than 8h: 8h is taken',
    ]);
  });

  test('is refused where gossip is turned off', async () => {
    expect(await errorOf({ ports: { serf_lan: -1 }, retry_join: ['a'] })).toContain(
      'retry_join cannot be followed: ports.serf_lan turns this gossip off (in FILE)',
    );
    expect(await errorOf({ ports: { serf_wan: 0 }, start_join_wan: ['a'] })).toContain(
      'start_join_wan cannot be followed: ports.serf_wan turns this gossip off',
    );
    expect(await errorOf({ ports: { serf_lan: 0 }, server: true, bootstrap_expect: 3 })).toContain(
      'bootstrap_expect > 1 waits for others',
    );
    const alone = await loadJson({ ports: { serf_lan: 0 }, server: true, bootstrap: true });
    expect(alone.ports.serfLan).toBe(-1);
  });

  test('a region has a name that members can tell', async () => {
    expect(await errorOf({ grapevine: { region: 'r'.repeat(129) } })).toContain('is 129 bytes long');
    expect((await loadJson({ grapevine: { region: 'eu-1' } })).region).toBe('eu-1');
  });
});
