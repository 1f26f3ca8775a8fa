import type { AgentConfig } from './agent-config.ts';
import { showValue } from './problems.ts';
import type { Settings } from './settings.ts';

type Identity = Pick<
  AgentConfig,
  | 'nodeName'
  | 'nodeId'
  | 'disableHostNodeId'
  | 'nodeMeta'
  | 'datacenter'
  | 'primaryDatacenter'
  | 'region'
  | 'devMode'
  | 'dataDir'
  | 'stateInMemory'
  | 'server'
  | 'bootstrap'
  | 'bootstrapExpect'
>;

const datacenterPattern = /^[a-z0-9_-]+$/;
const uuidPattern = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
const metaKeyPattern = /^[\w-]+$/;
/** What Consul answers DNS queries for (RFC 1123 labels). */
const dnsLabelPattern = /^[A-Za-z0-9-]+$/;
/** Limits of Consul's node metadata (structs.ValidateNodeMetadata). */
const metaPairsMax = 64;
const metaKeyLengthMax = 128;
const metaValueLengthMax = 512;
/** Consul's gossip refuses longer names. */
const nodeNameBytesMax = 128;
/** What a member may say of its region. */
export const regionBytesMax = 128;

/** Who this gateway is, and what role it was given. */
export function resolveIdentity(settings: Settings): Identity {
  const { set, devMode } = settings;
  const datacenter = resolveDatacenter(settings);
  const primary = (set.primary_datacenter ?? set.acl_datacenter ?? '').toLowerCase();
  if (primary !== '' && !datacenterPattern.test(primary)) {
    settings.wrong(
      'primary_datacenter',
      `primary_datacenter cannot be "${primary}". Please use only [a-z0-9-_]`,
    );
  }
  refuseAcls(settings);
  const dataDir = set.data_dir === '' ? undefined : set.data_dir;
  if (dataDir === undefined && !devMode) {
    settings.wrong(
      'data_dir',
      'data_dir cannot be empty: give -data-dir=PATH or data_dir in a file, a directory that only this gateway ' +
        'uses; or -dev to try things out with everything in memory',
    );
  }
  const region = set.grapevine?.region;
  if (region === '') settings.wrong('grapevine.region', 'grapevine.region cannot be empty');
  if (region !== undefined && Buffer.byteLength(region) > regionBytesMax) {
    settings.wrong(
      'grapevine.region',
      `grapevine.region ${showValue(region)} is ${Buffer.byteLength(region)} bytes long`,
      `1 to ${regionBytesMax} bytes`,
    );
  }
  return {
    nodeName: resolveNodeName(settings),
    nodeId: resolveNodeId(settings),
    disableHostNodeId: set.disable_host_node_id ?? true,
    nodeMeta: resolveNodeMeta(settings),
    datacenter,
    primaryDatacenter: primary === '' ? datacenter : primary,
    region: region ?? datacenter,
    devMode,
    dataDir,
    stateInMemory: devMode,
    ...resolveRole(settings),
  };
}

function resolveDatacenter(settings: Settings): string {
  const datacenter = (settings.set.datacenter ?? 'dc1').toLowerCase();
  if (datacenter === '') settings.wrong('datacenter', 'datacenter cannot be empty');
  else if (!datacenterPattern.test(datacenter)) {
    settings.wrong('datacenter', `datacenter cannot be "${datacenter}". Please use only [a-z0-9-_]`);
  }
  return datacenter;
}

function resolveNodeName(settings: Settings): string {
  const name = settings.set.node_name ?? '';
  if (name === '') return settings.host.hostname;
  if (name.trim() === '') settings.wrong('node_name', 'node_name cannot be empty');
  if (Buffer.byteLength(name) > nodeNameBytesMax) {
    settings.wrong(
      'node_name',
      `node_name ${showValue(name)} is ${Buffer.byteLength(name)} bytes long`,
      `1 to ${nodeNameBytesMax} bytes`,
    );
  }
  if (!dnsLabelPattern.test(name)) {
    settings.warn(
      `Node name "${name}" will not be discoverable via DNS due to invalid characters. Valid characters include ` +
        'all alpha-numerics and dashes.',
    );
  } else if (name.length > 63) {
    settings.warn(
      `Node name "${name}" will not be discoverable via DNS due to it being too long. Valid lengths are between ` +
        '1 and 63 bytes.',
    );
  }
  return name;
}

function resolveNodeId(settings: Settings): string | undefined {
  const id = settings.set.node_id;
  if (id === undefined || id === '') return undefined;
  if (!uuidPattern.test(id)) {
    settings.wrong(
      'node_id',
      `node_id: specified NodeID is invalid: ${showValue(id)}`,
      'a UUID such as "40e4a748-2192-161a-0510-9bf59fe950b5"',
    );
  }
  return id.toLowerCase();
}

function resolveNodeMeta(settings: Settings): Readonly<Record<string, string>> {
  const meta = settings.set.node_meta ?? {};
  const pairs = Object.entries(meta);
  if (pairs.length > metaPairsMax) {
    settings.wrong(
      'node_meta',
      `node_meta invalid: Node metadata cannot contain more than ${metaPairsMax} key/value pairs`,
    );
  }
  for (const [key, value] of pairs) {
    const reason = metaProblem(key, value);
    if (reason !== undefined) {
      settings.wrong(
        'node_meta',
        `node_meta invalid: Couldn't load metadata pair ('${key}', '${value}'): ${reason}`,
      );
    }
  }
  return meta;
}

function metaProblem(key: string, value: string): string | undefined {
  if (key === '') return 'Key cannot be blank';
  if (!metaKeyPattern.test(key)) return 'Key contains invalid characters';
  if (key.length > metaKeyLengthMax) return `Key is too long (limit: ${metaKeyLengthMax} characters)`;
  if (key.startsWith('consul-')) return "Key prefix 'consul-' is reserved for internal use";
  if (value.length > metaValueLengthMax) return `Value is too long (limit: ${metaValueLengthMax} characters)`;
  return undefined;
}

function resolveRole(settings: Settings): Pick<Identity, 'server' | 'bootstrap' | 'bootstrapExpect'> {
  const { set, devMode } = settings;
  const server = set.server ?? devMode;
  const expect = set.bootstrap_expect ?? 0;
  const bootstrap = set.bootstrap ?? false;
  if (expect < 0) {
    settings.wrong(
      'bootstrap_expect',
      `bootstrap_expect cannot be ${expect}. Must be greater than or equal to zero`,
    );
  }
  if (expect > 0 && !server)
    settings.wrong('bootstrap_expect', "'bootstrap_expect > 0' requires 'server = true'");
  if (expect > 0 && bootstrap) {
    settings.wrong(
      'bootstrap_expect',
      "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive",
    );
  }
  if (bootstrap && !server) settings.wrong('bootstrap', "'bootstrap = true' requires 'server = true'");
  if (expect > 1 && devMode) {
    settings.wrong('bootstrap_expect', "'bootstrap_expect > 0' not allowed in dev mode");
  }
  if (expect === 1) {
    settings.warn('BootstrapExpect is set to 1; this is the same as Bootstrap mode.');
    return { server, bootstrap: true, bootstrapExpect: 0 };
  }
  if (expect > 1) settings.warn(`bootstrap_expect > 0: expecting ${expect} servers`);
  return { server, bootstrap, bootstrapExpect: Math.max(expect, 0) };
}

/** A gateway that ignored this would serve everything to everyone who was shut out before. */
function refuseAcls(settings: Settings): void {
  const { set } = settings;
  const key = set.acl?.enabled === true ? 'acl.enabled' : 'acl_datacenter';
  if (set.acl?.enabled !== true && (set.acl_datacenter ?? '') === '') return;
  settings.wrong(
    key,
    `${key}: ACLs are not supported, and starting without them would open what they protect. Remove ${key}` +
      `${key === 'acl.enabled' ? ' or set it to false' : ''}, and limit access by network instead: client_addr, ` +
      'addresses.http with a unix:// socket, http_config.allow_write_http_from, http_config.block_endpoints',
  );
}
