import { renderJson, type JsonObject } from '../../../compat/wire/go-json.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { topic } from '../../../src/state/topics.ts';
import type { Row } from '../../../src/state/store.ts';
import type { LivePart, PartContext } from '../ports.ts';
import type { SourceClient } from '../proxy/source-client.ts';
import { readSourceNode, textOf } from './relay-node.ts';
import { changedHere, gatewayNodes, originMeta, type RemovedEntry, type WantedNode } from './wanted-nodes.ts';

/** Changes that come close together are sent together. Guess. */
const settleMs = 200;
/** Everything is compared with the source this often, whatever was sent before. Guess: Consul's agents do it each minute. */
const verifyMs = 60_000;
const retryMs = 2000;

export interface ExportOptions {
  /** Whether a row of the catalog was decided here, and is not a copy of what the source has. */
  readonly isDecidedHere: (row: Row) => boolean;
}

export interface CatalogExportPart extends LivePart {
  /** How far the source is behind with what is shown to it; undefined: another gateway does that. */
  state(): ExportState | undefined;
}

export interface ExportState {
  /** 0: the source was told everything. */
  readonly pending: number;
  readonly lagMs: number;
  readonly problem: string | undefined;
}

/**
 * Shows the source's clients what was registered with gateways: the services of the gateways' own agents from the first
 * step to the last but one, and after the catalog's cutover all else that changes. The runner does it for all, since its
 * replica has all; a gateway that fails is shown as critical.
 */
export function openCatalogExport(
  context: PartContext,
  client: SourceClient,
  options: ExportOptions,
): CatalogExportPart {
  return new CatalogExport(context, client, options);
}

class CatalogExport implements CatalogExportPart {
  readonly #context: PartContext;
  readonly #client: SourceClient;
  readonly #options: ExportOptions;
  readonly #stops: (() => void)[] = [];
  /** What the source was told and has confirmed, by `node kind id`. */
  readonly #told = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #verifiedMs = -Infinity;
  #problem: string | undefined;
  #sent = 0;
  /** Since when something may have changed that the source was not told. */
  #behindMs: number | undefined;

  constructor(context: PartContext, client: SourceClient, options: ExportOptions) {
    this.#context = context;
    this.#client = client;
    this.#options = options;
    context.gateway.metrics.gauge('catalog.exported', () => this.#told.size);
  }

  start(): void {
    const { gateway, phases, runner } = this.#context;
    const changed = (): void => {
      this.#behindMs ??= gateway.monoMs();
      this.#soon();
    };
    this.#stops.push(
      gateway.onCommit((touched) => {
        if (touched.has(topic.services) || touched.has(topic.checks) || touched.has(topic.nodes))
          this.#soon();
      }),
      gateway.onGatewaysChanged(() => this.#soon()),
      phases.onChange(() => this.#soon()),
      runner.onChange(() => this.#soon()),
    );
    changed();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const stop of this.#stops.splice(0)) stop();
    await this.#running;
  }

  state(): ExportState | undefined {
    const { runner, gateway } = this.#context;
    if (!runner.isHere) return undefined;
    const lagMs = this.#behindMs === undefined ? 0 : gateway.monoMs() - this.#behindMs;
    return { pending: this.#behindMs === undefined ? 0 : 1, lagMs, problem: this.#problem };
  }

  status(): object {
    return { entries: this.#told.size, sent: this.#sent, problem: this.#problem ?? null };
  }

  #soon(ms = settleMs): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#round().finally(() => {
        this.#running = undefined;
        const next = this.#again ? settleMs : this.#problem === undefined ? verifyMs : retryMs;
        this.#again = false;
        this.#soon(next);
      });
    }, ms);
    this.#timer.unref();
  }

  async #round(): Promise<void> {
    const { runner, phases } = this.#context;
    const phase = phases.catalog?.phase;
    if (!runner.isHere || phase === undefined || phase === 'final') {
      // Another runner may tell the source something else meanwhile.
      this.#told.clear();
      this.#behindMs = undefined;
      return;
    }
    const before = this.#behindMs;
    try {
      this.#behindMs = undefined;
      await this.#reconcile(phase === 'cutover');
      this.#problem = undefined;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (this.#problem !== why) {
        this.#context.gateway.log.warn({ why }, 'services of gateways cannot be shown at the source');
      }
      this.#problem = why;
      this.#behindMs = before ?? this.#behindMs;
    }
  }

  async #reconcile(all: boolean): Promise<void> {
    const { gateway } = this.#context;
    const own = gatewayNodes(gateway.view, gateway.gateways());
    const changed = all ? changedHere(gateway.view, this.#options.isDecidedHere) : undefined;
    if (gateway.monoMs() - this.#verifiedMs >= verifyMs) {
      this.#told.clear();
      this.#verifiedMs = gateway.monoMs();
    }
    const named = await this.#ownNodesThere();
    for (const wanted of [...own, ...(changed?.nodes ?? [])]) await this.#tell(wanted);
    for (const wanted of own) await this.#takeOutExtras(wanted);
    const wantedNames = new Set(own.map(({ name }) => name.toLowerCase()));
    for (const name of named) {
      if (!wantedNames.has(name.toLowerCase())) await this.#deregister({ Node: name });
    }
    for (const removed of changed?.removed ?? []) await this.#takeOut(removed);
  }

  /** Nodes at the source that gateways registered: those of gateways that are gone must go, too. */
  async #ownNodesThere(): Promise<readonly string[]> {
    const answer = await this.#client.ask({
      ...{ method: 'GET', path: '/v1/catalog/nodes?consistent', token: this.#token },
    });
    if (answer.kind !== 'answer' || answer.status !== 200) throw new Error(describe(answer));
    const nodes = JSON.parse(answer.body.toString('utf8')) as unknown;
    if (!Array.isArray(nodes)) return [];
    return (nodes as { Node?: unknown; Meta?: Record<string, unknown> | null }[]).flatMap(({ Node, Meta }) =>
      typeof Node === 'string' && typeof Meta?.[originMeta] === 'string' ? [Node] : [],
    );
  }

  async #tell(wanted: WantedNode): Promise<void> {
    const { name, node, services, checks } = wanted;
    await this.#put(`${name} node`, '/v1/catalog/register', node);
    for (const [id, Service] of services) {
      await this.#put(`${name} service ${id}`, '/v1/catalog/register', { ...node, Service });
    }
    for (const [id, Check] of checks) {
      await this.#put(`${name} check ${id}`, '/v1/catalog/register', {
        ...node,
        SkipNodeUpdate: true,
        Check,
      });
    }
  }

  /** Of a gateway's node everything is the gateway's: what else is there was taken out here. */
  async #takeOutExtras({ name, services, checks }: WantedNode): Promise<void> {
    const ids = JSON.stringify([[...services.keys()], [...checks.keys()]]);
    if (this.#told.get(`${name} ids`) === ids) return;
    const found = await readSourceNode(this.#client, this.#token, name);
    if (found === undefined) throw new Error(`node ${name} cannot be read at the source`);
    for (const service of found.services) {
      const id = textOf(service, 'ID');
      if (!services.has(id)) await this.#deregister({ Node: name, ServiceID: id }, `${name} service ${id}`);
    }
    for (const check of found.checks) {
      const id = textOf(check, 'CheckID');
      // A service's checks go with it.
      if (!checks.has(id)) await this.#deregister({ Node: name, CheckID: id }, `${name} check ${id}`);
    }
    this.#told.set(`${name} ids`, ids);
  }

  async #takeOut({ node, kind, id }: RemovedEntry): Promise<void> {
    const key = `${node} gone ${kind} ${id}`;
    if (this.#told.has(key)) return;
    const what = kind === Kind.node ? {} : kind === Kind.service ? { ServiceID: id } : { CheckID: id };
    await this.#deregister({ Node: node, ...what });
    this.#told.set(key, '');
  }

  async #put(key: string, path: string, body: JsonObject): Promise<void> {
    const text = renderJson(body);
    if (this.#told.get(key) === text) return;
    const answer = await this.#client.ask({ method: 'PUT', path, token: this.#token, body: text });
    if (answer.kind !== 'answer' || answer.status !== 200) throw new Error(`${key}: ${describe(answer)}`);
    this.#sent += 1;
    this.#told.set(key, text);
  }

  async #deregister(body: JsonObject, told?: string): Promise<void> {
    const answer = await this.#client.ask({
      ...{ method: 'PUT', path: '/v1/catalog/deregister', token: this.#token, body: renderJson(body) },
    });
    if (answer.kind !== 'answer' || answer.status !== 200) throw new Error(describe(answer));
    this.#sent += 1;
    if (told !== undefined) this.#told.delete(told);
  }

  get #token(): string {
    return this.#context.settings.source?.token ?? '';
  }
}

function describe(answer: Awaited<ReturnType<SourceClient['ask']>>): string {
  if (answer.kind !== 'answer') return `the source did not answer (${answer.why})`;
  return `the source answered ${answer.status} ${answer.body.toString('utf8').slice(0, 200)}`;
}
