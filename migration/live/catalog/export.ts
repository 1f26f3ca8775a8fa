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
/** The same while somebody waits for it. */
const againMs = 100;
/** Requests to the source at a time. */
const atOnce = 8;

export interface ExportOptions {
  /** Whether a row of the catalog was decided here, and is not a copy of what the source has. */
  readonly isDecidedHere: (row: Row) => boolean;
}

export interface CatalogExportPart extends LivePart {
  /** How far the source is behind with what is shown to it; undefined: another gateway does that. */
  state(): ExportState | undefined;
  /** Resolves once the source was told everything that is known here now: to false where that was not in time. */
  drained(waitMs: number): Promise<boolean>;
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
  /** What the source was told and has confirmed, by `node`, `node kind id`; '' where it was told that there is none. */
  readonly #told = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  /** When it rings. */
  #dueMs = 0;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #verifiedMs = -Infinity;
  #problem: string | undefined;
  #sent = 0;
  /** Since when something may have changed that the source was not told. */
  #behindMs: number | undefined;
  /** Rounds that were begun. */
  #rounds = 0;
  /** The last one that told the source everything. */
  #complete = 0;
  readonly #ended = new Set<() => void>();

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
        if (touched.has(topic.services) || touched.has(topic.checks) || touched.has(topic.nodes)) changed();
      }),
      gateway.onGatewaysChanged(changed),
      phases.onChange(changed),
      runner.onChange(changed),
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

  async drained(waitMs: number): Promise<boolean> {
    const { gateway, runner } = this.#context;
    const late = new AbortController();
    const over = gateway.clock.sleep(waitMs, late.signal).then(() => 'over' as const);
    // One that runs may have looked at some of it before.
    const first = this.#rounds + 1;
    let soonMs = 0;
    try {
      while (runner.isHere && !this.#stopped) {
        let tell = (): void => {};
        const ended = new Promise<'ended'>((resolve) => (tell = () => resolve('ended')));
        this.#ended.add(tell);
        this.#soon(soonMs);
        // oxlint-disable-next-line no-await-in-loop -- round after round
        const how = await Promise.race([ended, over]);
        this.#ended.delete(tell);
        if (this.#complete >= first) return true;
        if (how === 'over') return false;
        soonMs = this.#problem === undefined ? 0 : againMs;
      }
      return false;
    } finally {
      late.abort();
    }
  }

  #soon(ms = settleMs): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    // Changes that never pause do not put it off.
    const dueMs = this.#context.gateway.monoMs() + ms;
    if (this.#timer !== undefined && this.#dueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#round().finally(() => {
        this.#running = undefined;
        const next = this.#again ? settleMs : this.#problem === undefined ? verifyMs : retryMs;
        this.#again = false;
        this.#soon(next);
        for (const tell of [...this.#ended]) tell();
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
    this.#rounds += 1;
    const round = this.#rounds;
    try {
      this.#behindMs = undefined;
      await this.#reconcile(phase === 'cutover');
      this.#complete = round;
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
    await someAtOnce([...own, ...(changed?.nodes ?? [])], (wanted) => this.#tell(wanted));
    for (const wanted of own) await this.#takeOutExtras(wanted);
    const wantedNames = new Set(own.map(({ name }) => name.toLowerCase()));
    for (const name of named) {
      if (wantedNames.has(name.toLowerCase())) continue;
      this.#told.delete(toldKey(name));
      await this.#remove(toldKey(name), { Node: name });
    }
    // Nodes first, which take all with them: what was on them needs no word then.
    const removed = changed?.removed ?? [];
    for (const isNode of [true, false]) {
      const these = removed.filter(({ kind }) => (kind === Kind.node) === isNode);
      await someAtOnce(these, (each) => this.#takeOut(each));
    }
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
    await this.#put(toldKey(name), node);
    for (const [id, Service] of services) {
      await this.#put(toldKey(name, 'service', id), { ...node, Service });
    }
    for (const [id, Check] of checks) {
      await this.#put(toldKey(name, 'check', id), { ...node, SkipNodeUpdate: true, Check });
    }
  }

  /** Of a gateway's node everything is the gateway's: what else is there was taken out here. */
  async #takeOutExtras({ name, services, checks }: WantedNode): Promise<void> {
    const ids = JSON.stringify([[...services.keys()], [...checks.keys()]]);
    if (this.#told.get(toldKey(name, 'ids')) === ids) return;
    const found = await readSourceNode(this.#client, this.#token, name);
    if (found === undefined) throw new Error(`node ${name} cannot be read at the source`);
    for (const service of found.services) {
      const id = textOf(service, 'ID');
      if (!services.has(id))
        await this.#deregister({ Node: name, ServiceID: id }, toldKey(name, 'service', id));
    }
    for (const check of found.checks) {
      const id = textOf(check, 'CheckID');
      // A service's checks go with it.
      if (!checks.has(id)) await this.#deregister({ Node: name, CheckID: id }, toldKey(name, 'check', id));
    }
    this.#told.set(toldKey(name, 'ids'), ids);
  }

  async #takeOut({ node, kind, id }: RemovedEntry): Promise<void> {
    if (this.#told.get(toldKey(node)) === '') return;
    if (kind === Kind.node) {
      await this.#remove(toldKey(node), { Node: node });
    } else if (kind === Kind.service) {
      await this.#remove(toldKey(node, 'service', id), { Node: node, ServiceID: id });
    } else {
      await this.#remove(toldKey(node, 'check', id), { Node: node, CheckID: id });
    }
  }

  async #put(key: string, body: JsonObject): Promise<void> {
    const text = renderJson(body);
    if (this.#told.get(key) === text) return;
    const answer = await this.#client.ask({
      ...{ method: 'PUT', path: '/v1/catalog/register', token: this.#token, body: text },
    });
    if (answer.kind !== 'answer' || answer.status !== 200) throw new Error(`${key}: ${describe(answer)}`);
    this.#sent += 1;
    this.#told.set(key, text);
  }

  /** What is taken out is told once, until it is registered again. */
  async #remove(key: string, body: JsonObject): Promise<void> {
    if (this.#told.get(key) === '') return;
    await this.#deregister(body);
    // A node takes all with it that is on it.
    for (const other of this.#told.keys()) if (other.startsWith(`${key} `)) this.#told.delete(other);
    this.#told.set(key, '');
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

/** Each is told by itself; who is taken out and who is told are not the same. */
async function someAtOnce<T>(all: readonly T[], tell: (each: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const work = async (): Promise<void> => {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    for (let next = left.shift(); next !== undefined; next = left.shift()) await tell(next);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, left.length) }, work));
}

/** Names compare without case. */
function toldKey(node: string, kind = '', id = ''): string {
  return (kind === '' ? node : `${node} ${kind} ${id}`).toLowerCase();
}

function describe(answer: Awaited<ReturnType<SourceClient['ask']>>): string {
  if (answer.kind !== 'answer') return `the source did not answer (${answer.why})`;
  return `the source answered ${answer.status} ${answer.body.toString('utf8').slice(0, 200)}`;
}
