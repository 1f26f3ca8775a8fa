import { GoFields, isJsonObject, parseJson, renderJson, type JsonObject, type JsonValue } from './go-json.ts';

/**
 * What a service carries of Consul's mesh (and of newer versions) without it being understood here: it comes back
 * as it was registered, in the form that Consul gives it, and nothing acts on it.
 */
export interface ServiceExtra {
  /** `connect-proxy` and the like; empty for an ordinary service. */
  readonly kind: string;
  readonly socketPath: string;
  /** JSON text of `Proxy`. */
  readonly proxy: string;
  /** JSON text of `Connect`. */
  readonly connect: string;
  /** JSON text of what newer versions have behind `Connect`, each field with a comma in front; mostly empty. */
  readonly newer: string;
}

const plainProxy = '{"MeshGateway":{},"Expose":{}}';

const plain: ServiceExtra = { kind: '', socketPath: '', proxy: plainProxy, connect: '{}', newer: '' };

const newerFields = ['Locality', 'Ports'] as const;

/** Takes apart `ServiceValue.extra`. */
export function parseServiceExtra(extra: string): ServiceExtra {
  if (extra === '') return plain;
  const parsed = parseJson(extra);
  if (!parsed.ok || !isJsonObject(parsed.value)) return plain;
  const fields = new GoFields(parsed.value, 'structs.NodeService');
  const newer = newerFields.map((name) => {
    const value = fields.raw(name);
    return value === undefined ? '' : `,"${name}":${renderJson(value)}`;
  });
  return {
    kind: fields.string('Kind'),
    socketPath: fields.string('SocketPath'),
    proxy: renderJson(proxyForm(fields.object('structs.ConnectProxyConfig', 'Proxy'))),
    connect: renderJson(connectForm(fields.object('structs.ServiceConnect', 'Connect'))),
    newer: newer.join(''),
  };
}

/** Reads what is carried from a service as it was registered; empty when there is nothing. */
export function decodeServiceExtra(fields: GoFields): string {
  const extra: Record<string, JsonValue> = {};
  for (const name of ['Kind', 'SocketPath']) {
    const text = fields.string(name);
    if (text !== '') extra[name] = text;
  }
  const proxy = fields.object('structs.ConnectProxyConfig', 'Proxy');
  if (proxy !== undefined) {
    const form = proxyForm(proxy);
    if (proxy.problem !== undefined) fields.fail(proxy.problem);
    if (renderJson(form) !== plainProxy) extra['Proxy'] = form;
  }
  const connect = fields.object('structs.ServiceConnect', 'Connect');
  if (connect !== undefined) {
    const form = connectForm(connect);
    if (connect.problem !== undefined) fields.fail(connect.problem);
    if (Object.keys(form).length > 0) extra['Connect'] = form;
  }
  for (const name of newerFields) {
    const value = fields.raw(name);
    if (value !== undefined) extra[name] = value;
  }
  return Object.keys(extra).length === 0 ? '' : renderJson(extra);
}

type Form = Record<string, JsonValue>;

const emptyForms: ReadonlySet<string> = new Set(['{}', '[]']);

/** `Proxy` with its fields in Consul's order and empty ones left out; what newer versions have comes last. */
function proxyForm(proxy: GoFields | undefined): JsonObject {
  const form: Form = {};
  if (proxy !== undefined) {
    putText(form, proxy, 'DestinationServiceName', 'destination_service_name');
    putText(form, proxy, 'DestinationServiceID', 'destination_service_id');
    putText(form, proxy, 'LocalServiceAddress', 'local_service_address');
    const port = proxy.int('LocalServicePort', 'local_service_port');
    if (port !== 0) form['LocalServicePort'] = port;
    const config = proxy.raw('Config');
    if (config !== undefined && renderJson(config) !== '{}') form['Config'] = sorted(config);
    const upstreams = proxy.array('Upstreams').map(upstreamForm);
    if (upstreams.length > 0) form['Upstreams'] = upstreams;
  }
  form['MeshGateway'] = gatewayForm(proxy);
  form['Expose'] = exposeForm(proxy?.object('structs.ExposeConfig', 'Expose'));
  if (proxy !== undefined) {
    putText(form, proxy, 'Mode');
    putText(form, proxy, 'LocalServiceSocketPath', 'local_service_socket_path');
    for (const name of ['TransparentProxy', 'AccessLogs', 'EnvoyExtensions']) {
      const value = proxy.raw(name);
      if (value !== undefined && !emptyForms.has(renderJson(value))) form[name] = value;
    }
  }
  return form;
}

function upstreamForm(value: JsonValue): JsonObject {
  const upstream = new GoFields(value, 'structs.Upstream');
  const form: Form = { DestinationType: upstream.string('DestinationType', 'destination_type') };
  putText(form, upstream, 'DestinationNamespace', 'destination_namespace');
  form['DestinationName'] = upstream.string('DestinationName', 'destination_name');
  form['Datacenter'] = upstream.string('Datacenter');
  putText(form, upstream, 'LocalBindAddress', 'local_bind_address');
  form['LocalBindPort'] = upstream.int('LocalBindPort', 'local_bind_port');
  const config = upstream.raw('Config');
  form['Config'] = config === undefined ? null : sorted(config);
  form['MeshGateway'] = gatewayForm(upstream);
  return form;
}

function gatewayForm(fields: GoFields | undefined): JsonObject {
  const form: Form = {};
  const gateway = fields?.object('structs.MeshGatewayConfig', 'MeshGateway', 'mesh_gateway');
  if (gateway !== undefined) putText(form, gateway, 'Mode');
  return form;
}

function exposeForm(expose: GoFields | undefined): JsonObject {
  const form: Form = {};
  if (expose === undefined) return form;
  if (expose.bool('Checks')) form['Checks'] = true;
  const paths = expose.array('Paths').map((value): JsonObject => {
    const path = new GoFields(value, 'structs.ExposePath');
    return {
      ListenerPort: path.int('ListenerPort', 'listener_port'),
      Path: path.string('Path'),
      LocalPathPort: path.int('LocalPathPort', 'local_path_port'),
      Protocol: path.string('Protocol'),
      ParsedFromCheck: path.bool('ParsedFromCheck'),
    };
  });
  if (paths.length > 0) form['Paths'] = paths;
  return form;
}

function connectForm(connect: GoFields | undefined): JsonObject {
  const form: Form = {};
  if (connect === undefined) return form;
  if (connect.bool('Native')) form['Native'] = true;
  const sidecar = connect.raw('SidecarService', 'sidecar_service');
  if (sidecar !== undefined) form['SidecarService'] = sidecar;
  return form;
}

function putText(form: Form, fields: GoFields, name: string, ...aliases: readonly string[]): void {
  const text = fields.string(name, ...aliases);
  if (text !== '') form[name] = text;
}

/** Maps in the order in which Go renders them: by name. */
function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => sorted(item));
  if (!isJsonObject(value)) return value;
  const names = Object.keys(value).toSorted();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name] as JsonValue)]));
}
