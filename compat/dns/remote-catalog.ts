import { decodeCheck, decodeNode, decodeService } from '../wire/catalog-decode.ts';
import { GoFields, isJsonObject, type JsonObject, type JsonValue } from '../wire/go-json.ts';
import { decodeJsonBody } from '../wire/json-body.ts';
import type { NodeValue } from '../../src/state/values.ts';
import { ipText, parseIp, type IpBytes } from './addresses.ts';
import { isUsable, weightOf, type DnsCatalog, type Endpoint } from './catalog.ts';

/** Asks whoever holds a catalog, by a path of Consul's HTTP API; undefined: no answer. */
export type RemoteAsk = (
  path: string,
) => Promise<{ readonly status: number; readonly body: string | Uint8Array } | undefined>;

/** As long an answer is believed: a burst of the same questions costs one. Guess. */
const keptMsMax = 1000;
const keptMax = 10_000;

/** What has come back of one request. */
interface Kept {
  readonly atMs: number;
  readonly entries: Promise<readonly JsonObject[] | undefined>;
}

/**
 * Catalogs that are not here: of other datacenters, and of a source that is moved away from. Asked over HTTP, as any
 * client would, so all of their rules hold.
 */
export class RemoteCatalogs {
  readonly #kept = new Map<string, Kept>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Undefined: no answer, or none that can be read. */
  fetch(datacenter: string, path: string, ask: RemoteAsk): Promise<readonly JsonObject[] | undefined> {
    const key = `${datacenter} ${path}`;
    const held = this.#kept.get(key);
    if (held !== undefined && this.#nowMs() - held.atMs <= keptMsMax) return held.entries;
    if (this.#kept.size >= keptMax) this.#kept.clear();
    const entries = ask(path).then(
      (answer) => (answer?.status === 200 ? objectsOf(answer.body) : undefined),
      () => undefined,
    );
    this.#kept.set(key, { atMs: this.#nowMs(), entries });
    return entries;
  }
}

/**
 * Remote catalogs as one question sees them: what it asks for and is not there yet is wanted; it is asked again once that
 * has come.
 */
export class RemoteReading {
  readonly #catalogs: RemoteCatalogs;
  readonly #here = new Map<string, readonly JsonObject[] | undefined>();
  readonly #wanted = new Map<string, () => Promise<void>>();
  #failed = false;

  constructor(catalogs: RemoteCatalogs) {
    this.#catalogs = catalogs;
  }

  get wants(): boolean {
    return this.#wanted.size > 0;
  }

  /** Something could not be had: nobody may conclude that it is not there. */
  get failed(): boolean {
    return this.#failed;
  }

  async bring(): Promise<void> {
    const wanted = [...this.#wanted.values()];
    this.#wanted.clear();
    await Promise.all(wanted.map((each) => each()));
  }

  catalog(datacenter: string, ask: RemoteAsk): DnsCatalog {
    const read = (path: string): readonly JsonObject[] => this.#read(datacenter, path, ask) ?? [];
    return {
      instances: (service, onlyPassing) =>
        read(`/v1/health/service/${encodeURIComponent(service)}?stale`)
          .map((entry) => endpointOf(entry, onlyPassing))
          .filter((endpoint) => endpoint !== undefined),
      node: (name) => {
        const found = read('/v1/catalog/nodes?stale').find((each) => isNamed(each, name));
        return found === undefined ? undefined : decodeNode(new GoFields(found, 'Node'), 'Meta');
      },
      nodeAt: (ip) => nodeAt(read('/v1/catalog/nodes?stale'), ip)?.node,
      serviceAt: () => undefined,
    };
  }

  #read(datacenter: string, path: string, ask: RemoteAsk): readonly JsonObject[] | undefined {
    const key = `${datacenter} ${path}`;
    if (this.#here.has(key)) return this.#here.get(key);
    this.#wanted.set(key, async () => {
      const entries = await this.#catalogs.fetch(datacenter, path, ask);
      if (entries === undefined) this.#failed = true;
      this.#here.set(key, entries);
    });
    return undefined;
  }
}

function objectsOf(body: string | Uint8Array): readonly JsonObject[] | undefined {
  const parsed = decodeJsonBody(typeof body === 'string' ? new TextEncoder().encode(body) : body);
  if (!parsed.ok || !Array.isArray(parsed.value)) return undefined;
  return parsed.value.filter((each: JsonValue) => isJsonObject(each));
}

/** An entry of `/v1/health/service/`; undefined where it is none, or may not be answered with. */
function endpointOf(entry: JsonObject, onlyPassing: boolean): Endpoint | undefined {
  const fields = new GoFields(entry, 'CheckServiceNode');
  const nodeFields = fields.object('Node', 'Node');
  const serviceFields = fields.object('NodeService', 'Service');
  if (nodeFields === undefined || serviceFields === undefined) return undefined;
  const node = decodeNode(nodeFields, 'Meta');
  const service = decodeService(serviceFields, node.node);
  const checks = fields.array('Checks').flatMap((each) => {
    const check = new GoFields(each, 'HealthCheck');
    const value = decodeCheck(check, node.node, false);
    return check.problem === undefined ? [value] : [];
  });
  const problem = fields.problem ?? nodeFields.problem ?? serviceFields.problem;
  if (problem !== undefined || !isUsable(checks, onlyPassing)) return undefined;
  return { node, service, weight: weightOf(service, checks) };
}

function isNamed(node: JsonObject, name: string): boolean {
  const found = node['Node'];
  return typeof found === 'string' && found.toLowerCase() === name.toLowerCase();
}

function nodeAt(nodes: readonly JsonObject[], ip: IpBytes): NodeValue | undefined {
  const wanted = ipText(ip);
  for (const each of nodes) {
    const node = decodeNode(new GoFields(each, 'Node'), 'Meta');
    const address = parseIp(node.address);
    if (address !== undefined && ipText(address) === wanted) return node;
  }
  return undefined;
}
