import type { JsonObject, JsonValue } from '../../compat/wire/go-json.ts';
import { compareBytewise } from '../byte-order.ts';
import { canonicalCatalogValue, type CatalogKind } from '../canonical.ts';
import { digestCatalog } from '../digest.ts';
import { agreeOnCatalog, lookAtCatalog, type CatalogLook } from '../mirror/catalog-decision.ts';
import { absenceIgnored, type ForkEvidence } from '../mirror/leaf-decision.ts';
import { isNodeNameMirrored } from '../mirror/key-rules.ts';
import type { Held, Listed } from '../mirror/registers.ts';
import type { CatalogEntry, NodeReading, ReadMeta } from '../source/consul-reader.ts';
import { heldUnder } from '../target/target.ts';
import { asHeld } from './copy-kv.ts';
import { done, type CopyRun, type LeafEnd } from './copy-run.ts';
import { inOrder } from './ordered-pipeline.ts';

const kinds = ['node', 'service', 'check'] as const;

type HeldByKind = Record<CatalogKind, readonly Held[]>;

type Item = Listed & { readonly created: number; readonly value: JsonObject };

/** One node of the source as mirror items, without what is not copied. */
type NodeItems = {
  readonly items: Record<CatalogKind, readonly Item[]>;
  /** Entries that are there but are not copied: neither upserted nor taken for absent. */
  readonly left: Record<CatalogKind, ReadonlySet<string>>;
  readonly index: Record<CatalogKind, number | null>;
};

/** Copies nodes, services and checks, one node at a time, in the order of their keys at the target. */
export async function copyCatalog(run: CopyRun): Promise<LeafEnd> {
  const { source } = run.options;
  const heldByNode = await heldCatalog(run);
  const first = await source.nodes();
  const names = new Set(first.names.filter((name) => isCopied(run, name)));
  const gone = [...heldByNode.keys()].filter((name) => !names.has(name) && !first.names.includes(name));

  const order = [...names].toSorted((a, b) => compareBytewise(`${a}/`, `${b}/`));
  const startedAt = run.position?.prefix ?? null;
  const todo = order.filter((name) => startedAt === null || compareBytewise(`${name}/`, startedAt) > 0);
  let finished = order.length - todo.length;
  for await (const { name, reading } of inOrder(todo, run.options.leavesAhead ?? 4, async (node) => ({
    name: node,
    reading: await source.node(node),
  }))) {
    if (run.interrupted) return done;
    if (reading.node === null) gone.push(name);
    else {
      const end = await copyNode(run, name, reading, heldByNode.get(name) ?? noneHeld());
      if (end.kind === 'fork') return end;
    }
    finished += 1;
    run.settled({ prefix: `${name}/`, tree: true });
    await run.leafDone();
    run.options.onProgress?.({
      phase: 'catalog',
      done: finished,
      total: order.length,
      bytes: run.bytes,
      where: name,
    });
  }
  return deleteGoneNodes(run, gone, first.meta, heldByNode);
}

async function copyNode(
  run: CopyRun,
  name: string,
  reading: NodeReading,
  held: HeldByKind,
): Promise<LeafEnd> {
  const first = itemsOf(run, name, reading);
  const looks = lookAll(run, held, first);
  let items = first;
  let plan = kinds.map((kind) => ({
    kind,
    look: looks[kind],
    tombstones: [] as { key: string; stamp: number }[],
  }));
  if (kinds.some((kind) => looks[kind].absent.length > 0 || looks[kind].suspects.length > 0)) {
    const again = await run.options.source.node(name);
    // Gone between the two readings: the next run finds it absent from the list of nodes.
    if (again.node === null) return done;
    items = itemsOf(run, name, again);
    const evidence: ForkEvidence[] = [];
    plan = kinds.map((kind) => {
      const seen = { items: items.items[kind], index: items.index[kind] };
      const verdict = agreeOnCatalog(
        run.timeline,
        0,
        without(held[kind], items.left[kind]),
        looks[kind],
        seen,
      );
      if (verdict.kind === 'fork') {
        evidence.push(...verdict.evidence);
        return { kind, look: looks[kind], tombstones: [] };
      }
      return { kind, look: verdict.look, tombstones: [...verdict.tombstones] };
    });
    if (evidence.length > 0) return { kind: 'fork', evidence };
  }
  const deletes = plan.flatMap(({ kind, tombstones }) =>
    tombstones.map((tombstone) => ({ kind, ...tombstone })),
  );
  const absent = plan.flatMap(({ kind, look }) => look.absent.map((key) => ({ kind, key })));
  await sendDeletes(run, name, deletes, absent, liveIn(held));
  for (const { kind, look } of plan) await sendUpserts(run, kind, look, items, held[kind]);
  for (const kind of kinds) run.counts[kind].skipped += items.left[kind].size;
  noteNode(run, name, items, reading);
  return done;
}

/** Nodes that the target holds and the first list of nodes did not show: a second list must agree. */
async function deleteGoneNodes(
  run: CopyRun,
  gone: readonly string[],
  firstMeta: ReadMeta,
  heldByNode: ReadonlyMap<string, HeldByKind>,
): Promise<LeafEnd> {
  const live = gone.filter((name) => liveIn(heldByNode.get(name) ?? noneHeld()) > 0);
  if (live.length === 0) return done;
  const second = await run.options.source.nodes();
  const back = new Set(second.names);
  const index = believable(run, firstMeta) ? believedIndex(run, second.meta) : null;
  const deletes: { kind: CatalogKind; key: string; stamp: number }[] = [];
  const absent: { kind: CatalogKind; key: string }[] = [];
  const evidence: ForkEvidence[] = [];
  for (const name of live) {
    if (back.has(name)) continue;
    const held = heldByNode.get(name) ?? noneHeld();
    for (const kind of kinds) {
      const look = lookAtCatalog(run.timeline, 0, held[kind], []);
      const verdict = agreeOnCatalog(run.timeline, 0, held[kind], look, { items: [], index });
      absent.push(...look.absent.map((key) => ({ kind, key })));
      if (verdict.kind === 'fork') evidence.push(...verdict.evidence);
      else deletes.push(...verdict.tombstones.map((tombstone) => ({ kind, ...tombstone })));
    }
  }
  if (evidence.length > 0) return { kind: 'fork', evidence };
  const total = [...heldByNode.values()].reduce((sum, held) => sum + liveIn(held), 0);
  await sendDeletes(run, 'the catalog', deletes, absent, total);
  return done;
}

async function sendDeletes(
  run: CopyRun,
  where: string,
  deletes: readonly { kind: CatalogKind; key: string; stamp: number }[],
  absent: readonly { kind: CatalogKind; key: string }[],
  live: number,
): Promise<void> {
  const examples = deletes.slice(0, 5).map(({ kind, key }) => `${kind} ${key}`);
  const goAhead = await run.mayDelete({ where, deletes: deletes.length, live, examples });
  const proved = new Set(deletes.map(({ kind, key }) => `${kind} ${key}`));
  for (const { kind, key } of absent) {
    if (proved.has(`${kind} ${key}`)) continue;
    run.counts[kind].withheld += 1;
    run.notice('delete-unproved', 'withheld', kind, key);
  }
  // Checks before services before nodes: no reader meets a check without its service.
  for (const { kind, key, stamp } of deletes.toReversed()) {
    if (goAhead) await run.send({ kind, key, stamp, deleted: true }, 'deleted');
    else {
      run.counts[kind].withheld += 1;
      run.notice('delete-withheld', 'withheld', kind, key);
    }
  }
}

async function sendUpserts(
  run: CopyRun,
  kind: CatalogKind,
  look: CatalogLook,
  items: NodeItems,
  held: readonly Held[],
): Promise<void> {
  const byKey = new Map(items.items[kind].map((item) => [item.key, item]));
  const heldByKey = new Map(held.map((entry) => [entry.key, entry]));
  // A contradiction that only one reading showed is left for the next run.
  run.counts[kind].unchanged += look.unchanged.length + look.suspects.length;
  for (const key of look.kept) {
    run.counts[kind].kept += 1;
    run.notice('written-here', 'kept', kind, key);
  }
  for (const key of look.upserts) {
    const item = byKey.get(key);
    if (item === undefined) continue;
    const known = heldByKey.get(key);
    const same = known !== undefined && !known.deleted && known.digest === item.digest;
    const record = { kind, key, stamp: item.stamp, created: item.created, value: item.value };
    await run.send(record, same ? 'unchanged' : 'copied');
  }
}

function itemsOf(run: CopyRun, name: string, reading: NodeReading): NodeItems {
  const items: Record<CatalogKind, Item[]> = { node: [], service: [], check: [] };
  const left: Record<CatalogKind, Set<string>> = { node: new Set(), service: new Set(), check: new Set() };
  const add = (kind: CatalogKind, key: string, entry: CatalogEntry): void => {
    const value = canonicalCatalogValue(kind, entry.raw);
    const digest = digestCatalog(kind, value);
    items[kind].push({ key, stamp: entry.modifyIndex, created: entry.createIndex, value, digest });
  };
  if (reading.node !== null) add('node', name, reading.node);
  for (const [id, entry] of reading.services) {
    if (isServerService(entry.raw['Service'])) left.service.add(`${name}/${id}`);
    else add('service', `${name}/${id}`, entry);
  }
  for (const [id, entry] of reading.checks) {
    if (isServerService(entry.raw['ServiceName'])) left.check.add(`${name}/${id}`);
    else add('check', `${name}/${id}`, entry);
  }
  const services = believedIndex(run, reading.servicesMeta);
  const checks = believedIndex(run, reading.checksMeta);
  return { items, left, index: { node: services, service: services, check: checks } };
}

function lookAll(run: CopyRun, held: HeldByKind, items: NodeItems): Record<CatalogKind, CatalogLook> {
  const look = (kind: CatalogKind): CatalogLook =>
    lookAtCatalog(run.timeline, 0, without(held[kind], items.left[kind]), items.items[kind]);
  return { node: look('node'), service: look('service'), check: look('check') };
}

function noteNode(run: CopyRun, name: string, items: NodeItems, reading: NodeReading): void {
  for (const key of items.left.service) run.notice('source-server', 'skipped', 'service', key);
  for (const key of items.left.check) run.notice('source-server', 'skipped', 'check', key);
  for (const item of items.items.service) {
    const meshKind = item.value['Kind'];
    const mesh =
      meshKind !== undefined || item.value['Proxy'] !== undefined || item.value['Connect'] !== undefined;
    if (mesh) run.notice('mesh-service', 'copied', 'service', item.key);
  }
  if (reading.servicesMeta.filtered || reading.checksMeta.filtered) {
    run.notice('filtered-by-acl', 'withheld', 'node', name);
  }
}

/**
 * Whether a catalog answer's silence may be believed. With ACLs on, Consul before 1.12 shortens lists without
 * saying so, and every version says nothing to a request without a token.
 */
function believable(run: CopyRun, meta: ReadMeta): boolean {
  const { sourceSelf, tokenGiven } = run.options;
  if (absenceIgnored({ ...meta, timeline: run.timeline, askedAt: 1 }) !== null) return false;
  return !sourceSelf.aclsEnabled || (tokenGiven && isAtLeast(sourceSelf.version, 1, 12));
}

function believedIndex(run: CopyRun, meta: ReadMeta): number | null {
  return believable(run, meta) ? meta.index : null;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const parts = /^(\d+)\.(\d+)/.exec(version);
  if (parts === null) return false;
  const [found, detail] = [Number(parts[1]), Number(parts[2])];
  return found > major || (found === major && detail >= minor);
}

/** The service under which Consul's servers list themselves. */
function isServerService(name: unknown): boolean {
  return name === 'consul';
}

function isCopied(run: CopyRun, name: string): boolean {
  const own = run.gatewayNodes.has(name.toLowerCase());
  if (!own && isNodeNameMirrored(name)) return true;
  // A run that goes on within the catalog has these in its counts already.
  if (run.position === null) {
    run.notice(own ? 'gateway-node' : 'odd-node-name', 'skipped', 'node', name);
    run.counts.node.skipped += 1;
  }
  return false;
}

async function heldCatalog(run: CopyRun): Promise<Map<string, HeldByKind>> {
  const { target, sourceId } = run.options;
  const byNode = new Map<string, Record<CatalogKind, Held[]>>();
  for (const kind of kinds) {
    for await (const entry of heldUnder(target, { source: sourceId, kind, prefix: '' })) {
      const slash = entry.key.indexOf('/');
      const name = slash === -1 ? entry.key : entry.key.slice(0, slash);
      let held = byNode.get(name);
      if (held === undefined) byNode.set(name, (held = { node: [], service: [], check: [] }));
      held[kind].push(asHeld(entry));
    }
  }
  // A gateway's own registers are its agent's, whatever the source says.
  for (const name of byNode.keys()) if (run.gatewayNodes.has(name.toLowerCase())) byNode.delete(name);
  return byNode;
}

function noneHeld(): HeldByKind {
  return { node: [], service: [], check: [] };
}

function liveIn(held: HeldByKind): number {
  return kinds.reduce(
    (sum, kind) => sum + held[kind].filter((entry) => !entry.deleted && entry.term === 0).length,
    0,
  );
}

function without(held: readonly Held[], left: ReadonlySet<string>): readonly Held[] {
  return left.size === 0 ? held : held.filter((entry) => !left.has(entry.key));
}

/** Sessions are listed, never copied. */
export async function listSessions(run: CopyRun): Promise<void> {
  try {
    for (const session of await run.options.source.sessions()) {
      const detail = [textOf(session['Name']), textOf(session['Node'])].filter((part) => part !== '');
      run.notice('session', 'skipped', 'session', textOf(session['ID']), detail.join(' on '));
    }
  } catch (error) {
    if (run.interrupted) return;
    run.notice(
      'sessions-unseen',
      'skipped',
      'session',
      '',
      error instanceof Error ? error.message : String(error),
    );
  }
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
