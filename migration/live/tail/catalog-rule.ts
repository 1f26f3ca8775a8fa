import { GoFields, isJsonObject, type JsonObject } from '../../../compat/wire/go-json.ts';
import { decodeRecord } from '../../../compat/routes/mirror-decode.ts';
import { rowDigest } from '../../../compat/routes/mirror-digest.ts';
import type { Version } from '../../../src/crdt/version.ts';
import { Kind, ownNodeTerm } from '../../../src/state/kinds.ts';
import { sourceTimelineOfOwn } from '../../../src/state/own-node.ts';
import type { Row } from '../../../src/state/store.ts';
import { mirrorName, type MirrorRecord } from '../../../src/state/mirror.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import { canonicalCatalogValue, type CatalogKind } from '../../canonical.ts';
import { digestCatalog } from '../../digest.ts';
import { tripsBreaker } from '../../mirror/breaker.ts';
import { agreeOnCatalog, lookAtCatalog, type CatalogLook } from '../../mirror/catalog-decision.ts';
import { isNodeNameMirrored } from '../../mirror/key-rules.ts';
import type { ForkEvidence } from '../../mirror/leaf-decision.ts';
import type { Held, Listed } from '../../mirror/registers.ts';
import type { ReadMeta } from '../../source/consul-reader.ts';
import type { Ask, CatalogItem } from '../../source/live-reader.ts';
import { originMeta } from '../catalog/wanted-nodes.ts';
import { untilCaughtUp } from './backlog.ts';
import { Committer, Outdated } from './committer.ts';
import type { TailDeps } from './deps.ts';
import { plural } from '../../terminal/format.ts';
import { mirrorDigest } from './held-cache.ts';
import { noCounts, type TailCounts } from './kv-cursor.ts';
import type { BreakerQuestion } from './leaf.ts';
import { describe, isAborted, isUnreachable, orAborted, wasInterrupted } from './trouble.ts';

const kinds = ['node', 'service', 'check'] as const;
const kindNumbers = { node: Kind.node, service: Kind.service, check: Kind.check } as const;
const servicesAtOnce = 8;

type Item = Listed & { readonly created: number; readonly value: JsonObject };

/** All of a kind, from answers that are not older than `index`. */
interface Reading {
  readonly items: readonly Item[];
  /** Null: its silence about an entry says nothing. */
  readonly index: number | null;
  readonly meta: ReadMeta;
}

/**
 * The live mirror of the catalog. Three blocking queries, whatever the number of services: the nodes, all checks, and
 * the names of the services. What changes most, the status of checks, comes with one of them, whole. Instances have no
 * list of their own, and names carry no index: they are read by name, but only after the index of the services moved.
 * (A blocking query for each service would need as many connections as there are services.)
 */
export class CatalogRule {
  readonly rule: PhaseRule;
  readonly counts: TailCounts = noCounts();
  items = 0;
  problem: string | undefined;
  question: BreakerQuestion | undefined;
  compared = false;
  comparedAtMs = -1;
  verifiedThroughIndex = 0;
  pendingSinceMs: number | undefined;
  /** Entries that two answers did not have, and of which that says nothing. */
  withheld = 0;
  readonly #deps: TailDeps;
  readonly #commits: Committer;
  readonly #stop = new AbortController();
  readonly #indexes: Record<CatalogKind, number> = { node: 0, service: 0, check: 0 };
  #running: Promise<void> | undefined;
  #allowed = 0;
  #denied: ReadonlySet<string> = new Set();
  #interrupt: () => void = () => undefined;

  constructor(rule: PhaseRule, deps: TailDeps) {
    this.rule = rule;
    this.#deps = deps;
    this.#commits = new Committer({
      propose: (command) => deps.gateway.propose(command),
      sourceId: () => deps.source().id,
      timeline: deps.timeline,
      cursors: () => ({}),
      recordsMax: deps.limits.batchRecordsMax,
      bytesMax: deps.limits.batchBytesMax,
      calm: () => untilCaughtUp(deps.gateway, deps.throttles, this.#stop.signal),
    });
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#commits.idle();
  }

  /** What the source's answers leave open; undefined: nothing. */
  get doubt(): string | undefined {
    if (this.withheld === 0) return undefined;
    return (
      `${plural(this.withheld, 'entry', 'entries')} of the catalog are not in the answers of the source any more, and not ` +
      'known to be gone: with ACLs, Consul before 1.12 does not say what it hides from a token'
    );
  }

  rebase(): void {
    this.compared = false;
    this.comparedAtMs = -1;
    this.verifiedThroughIndex = 0;
    this.#interrupt();
  }

  answerBreaker(allow: boolean): boolean {
    if (this.question === undefined) return false;
    if (allow) this.#allowed = this.question.deletes;
    else this.#denied = new Set(this.question.keys);
    this.question = undefined;
    this.#interrupt();
    return true;
  }

  async compareNow(waitMs: number): Promise<{ entries: number; changed: number }> {
    const { gateway } = this.#deps;
    const startMs = gateway.monoMs();
    const before = this.counts.copied + this.counts.deleted;
    this.#interrupt();
    while (this.comparedAtMs < startMs) {
      if (gateway.monoMs() - startMs > waitMs || this.#stop.signal.aborted) {
        throw new Error(`the catalog was not compared in time: ${this.problem ?? 'the source is slow'}`);
      }
      await gateway.clock.sleep(20, this.#stop.signal);
    }
    return { entries: this.items, changed: this.counts.copied + this.counts.deleted - before };
  }

  async #run(): Promise<void> {
    const { gateway, limits, throttles } = this.#deps;
    let tries = 0;
    while (!this.#stop.signal.aborted) {
      const own = new AbortController();
      this.#interrupt = () => own.abort();
      const signal = AbortSignal.any([this.#stop.signal, own.signal]);
      await orAborted(this.#deps.held(), this.#stop.signal);
      try {
        if (this.question !== undefined) {
          throttles.note('mass delete held back in the catalog', 2 * limits.coldPollMs);
          await gateway.clock.sleep(limits.coldPollMs, signal);
          continue;
        }
        const startMs = gateway.monoMs();
        await this.#turn(signal);
        this.problem = undefined;
        tries = 0;
        const costMs = gateway.monoMs() - startMs;
        await gateway.clock.sleep(Math.max(limits.catalogMinMs, Math.min(4 * costMs, 2000)), signal);
        if (!signal.aborted) await this.#change(signal);
      } catch (error) {
        if (isAborted(error, this.#stop.signal)) return;
        if (error instanceof Outdated || (own.signal.aborted && wasInterrupted(error))) continue;
        if (isUnreachable(error)) this.#deps.suspect();
        this.problem = describe(error);
        throttles.note(this.problem, 5000);
        const span = Math.min(5000, 100 * 2 ** Math.min(tries, 10));
        tries += 1;
        await gateway.clock.sleep(span / 2 + (span / 2) * gateway.random(), signal);
      }
    }
  }

  /** Resolves when something of the catalog changed, or it is time to look anyway. */
  async #change(signal: AbortSignal): Promise<void> {
    const { reader, limits } = this.#deps;
    const enough = new AbortController();
    const ask = (index: number): Ask => ({
      waiting: { index, waitMs: limits.waitMs },
      signal: AbortSignal.any([signal, enough.signal]),
    });
    const waits = [
      reader.nodes(ask(this.#indexes.node)),
      reader.serviceNames(ask(this.#indexes.service)),
      reader.checks(ask(this.#indexes.check)),
    ];
    try {
      await Promise.race(waits);
    } finally {
      enough.abort();
      await Promise.allSettled(waits);
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { gateway, phases } = this.#deps;
    const timeline = this.#deps.timeline();
    const term = this.#deps.catalogTerm();
    const own = new Set(gateway.gateways().map(({ nodeName }) => nodeName.toLowerCase()));
    const isCopied = (node: string): boolean => !own.has(node.toLowerCase()) && isNodeNameMirrored(node);
    // Before the source is asked: all of it may be held against the answer.
    const held = this.#held(isCopied);
    const askedMs = gateway.monoMs();
    const first = await this.#read(isCopied, signal);
    for (const kind of kinds) this.#indexes[kind] = first[kind].meta.index ?? 0;
    const looks = mapKinds((kind) => lookAtCatalog(timeline, term, held[kind], first[kind].items));
    let readings = first;
    let plan = mapKinds(
      (kind): { look: CatalogLook; deletes: readonly { key: string; stamp: number }[] } => ({
        look: looks[kind],
        deletes: [],
      }),
    );
    if (kinds.some((kind) => looks[kind].absent.length > 0 || looks[kind].suspects.length > 0)) {
      const second = await this.#read(isCopied, signal);
      readings = second;
      const evidence: ForkEvidence[] = [];
      plan = mapKinds((kind) => {
        const seen = {
          items: second[kind].items,
          index: first[kind].index === null ? null : second[kind].index,
        };
        const verdict = agreeOnCatalog(timeline, term, held[kind], looks[kind], seen);
        if (verdict.kind === 'plan') return { look: verdict.look, deletes: verdict.tombstones };
        evidence.push(...verdict.evidence);
        return { look: looks[kind], deletes: [] };
      });
      if (evidence.length > 0) {
        await this.#deps.fork(timeline, evidence);
        throw new Outdated('forked');
      }
    }
    if (timeline !== this.#deps.timeline() || phases.catalog?.step !== this.rule.step)
      throw new Outdated('over');
    if (this.#deps.held() !== undefined) return;
    this.withheld = kinds.reduce((sum, kind) => {
      const gone = new Set(plan[kind].deletes.map(({ key }) => key));
      const both = plan[kind].look.absent.filter((key) => looks[kind].absent.includes(key));
      return sum + both.filter((key) => !gone.has(key)).length;
    }, 0);
    const live = kinds.reduce((sum, kind) => sum + held[kind].filter(({ deleted }) => !deleted).length, 0);
    const wanted = this.#weighed(plan, live);
    if (wanted === undefined) return;
    const changes = this.#records(plan, wanted, readings, held, own);
    if (changes.records.length > 0) {
      this.pendingSinceMs ??= gateway.monoMs();
      const { copied } = changes;
      await this.#commits.add({
        timeline,
        records: changes.records,
        count: (part, undo) => {
          for (const record of part) {
            if (record.value === null) this.counts.deleted += undo ? -1 : 1;
            else if (copied.has(record)) this.counts.copied += undo ? -1 : 1;
          }
        },
        complete: () => () => undefined,
      });
      this.#deps.lag(gateway.monoMs() - this.pendingSinceMs);
    }
    this.pendingSinceMs = undefined;
    this.#allowed = 0;
    this.items = kinds.reduce((sum, kind) => sum + readings[kind].items.length, 0);
    this.compared = true;
    this.comparedAtMs = askedMs;
    const indexes = kinds.map((kind) => first[kind].meta.index ?? 0);
    this.verifiedThroughIndex = Math.max(this.verifiedThroughIndex, ...indexes);
  }

  /** Deletes that may go ahead; undefined: the breaker asks. */
  #weighed(
    plan: Record<CatalogKind, { readonly deletes: readonly { readonly key: string }[] }>,
    live: number,
  ): ReadonlySet<string> | undefined {
    const names = kinds.flatMap((kind) => plan[kind].deletes.map(({ key }) => `${kind} ${key}`));
    const wanted = names.filter((name) => !this.#denied.has(name));
    if (wanted.length <= this.#allowed || !tripsBreaker(wanted.length, live)) return new Set(wanted);
    const { gateway, evidence } = this.#deps;
    this.question = {
      ...{ where: 'the catalog', deletes: wanted.length, live, sinceMs: gateway.clock.now() },
      ...{ examples: wanted.slice(0, 5), keys: wanted },
    };
    const text = `${wanted.length} of ${live} entries of the catalog are gone at the source`;
    gateway.log.warn({ deletes: wanted.length, live }, `mass delete held back: ${text}`);
    evidence.mark('mass-delete', text);
    return undefined;
  }

  #records(
    plan: Record<
      CatalogKind,
      { readonly look: CatalogLook; readonly deletes: readonly { key: string; stamp: number }[] }
    >,
    wanted: ReadonlySet<string>,
    readings: Record<CatalogKind, Reading>,
    held: Record<CatalogKind, readonly Held[]>,
    gatewayNodes: ReadonlySet<string>,
  ): { readonly records: readonly MirrorRecord[]; readonly copied: ReadonlySet<MirrorRecord> } {
    const records: MirrorRecord[] = [];
    const copied = new Set<MirrorRecord>();
    const context = { gatewayNodes, valueBytesMax: 0, digest: mirrorDigest };
    const make = (kind: CatalogKind, fields: JsonObject): MirrorRecord | undefined => {
      const record = decodeRecord(kind, new GoFields(fields, 'MirrorRecord'), context);
      if (record.ok) return record.value;
      this.#deps.gateway.log.warn({ kind, key: fields['Key'], why: record.error }, 'left at the source');
      return undefined;
    };
    // Checks before services before nodes: no reader meets a check without its service.
    for (const kind of kinds.toReversed()) {
      for (const { key, stamp } of plan[kind].deletes) {
        if (!wanted.has(`${kind} ${key}`)) continue;
        const record = make(kind, { Key: key, Stamp: stamp, Deleted: true });
        if (record !== undefined) records.push(record);
      }
    }
    for (const kind of kinds) {
      const items = new Map(readings[kind].items.map((item) => [item.key, item]));
      const before = new Map(held[kind].map((entry) => [entry.key, entry]));
      for (const key of plan[kind].look.upserts) {
        const item = items.get(key);
        if (item === undefined) continue;
        const { stamp, created, value, digest } = item;
        const record = make(kind, { Key: key, Stamp: stamp, Created: created, Value: value });
        if (record === undefined) continue;
        records.push(record);
        const known = before.get(key);
        if (known === undefined || known.deleted || known.digest !== digest) copied.add(record);
      }
    }
    return { records, copied };
  }

  #held(isCopied: (node: string) => boolean): Record<CatalogKind, readonly Held[]> {
    const { view } = this.#deps.gateway;
    return mapKinds((kind) => {
      const held: Held[] = [];
      for (const row of view.range(kindNumbers[kind], '', undefined)) {
        const key = mirrorName(row);
        const node = kind === 'node' ? key : key.slice(0, key.indexOf('/'));
        if (!isCopied(node)) continue;
        const { term, timeline, stamp } = heldVersion(row, this.#deps.catalogTerm());
        const deleted = row.value === null;
        const digest = deleted ? '' : rowDigest(kind, row, mirrorDigest);
        held.push({ key, term, timeline, stamp, deleted, digest, storedAt: 0 });
      }
      return held;
    });
  }

  async #read(
    isCopied: (node: string) => boolean,
    signal: AbortSignal,
  ): Promise<Record<CatalogKind, Reading>> {
    const { reader } = this.#deps;
    const ask = { signal };
    // The names first: an instance that they do not tell of is not asked for, and not taken for gone by their index.
    const names = await reader.serviceNames(ask);
    const services: CatalogItem[] = [];
    const asked = names.names.filter((name) => name !== 'consul');
    let filtered = names.meta.filtered;
    let knownLeader = names.meta.knownLeader;
    for (let at = 0; at < asked.length; at += servicesAtOnce) {
      const some = asked.slice(at, at + servicesAtOnce);
      for (const answer of await Promise.all(some.map((name) => reader.service(name, ask)))) {
        services.push(...answer.items);
        filtered ||= answer.meta.filtered;
        knownLeader &&= answer.meta.knownLeader;
      }
    }
    const checks = await reader.checks(ask);
    const nodes = await reader.nodes(ask);
    const all = {
      node: nodes,
      service: { items: services, meta: { index: names.meta.index, filtered, knownLeader } },
      check: { items: checks.items.filter(({ raw }) => raw['ServiceName'] !== 'consul'), meta: checks.meta },
    };
    // The nodes were read last: what is on none of them is on its way out, or in, and seen the next time.
    const known = new Set(nodes.items.filter(({ raw }) => !isOurOwn(raw)).map(({ node }) => node));
    return mapKinds((kind) => {
      const { items, meta } = all[kind];
      const isWanted = ({ node }: CatalogItem): boolean => known.has(node) && isCopied(node);
      const copied = items.filter(isWanted).map((item) => itemOf(kind, item));
      return { items: copied, meta, index: this.#isBelievable(meta) ? meta.index : null };
    });
  }

  /** As for a copy: before Consul 1.12 lists of the catalog are shortened by ACLs without a word. */
  #isBelievable(meta: ReadMeta): boolean {
    const { aclsEnabled, tokenGiven, version } = this.#deps.source();
    if (meta.index === null || !meta.knownLeader || meta.filtered) return false;
    return !aclsEnabled || (tokenGiven && isAtLeast(version, 1, 12));
  }
}

/** How what is held compares with the source's word: a gateway that left its name to an agent again has no word any more. */
function heldVersion(row: Row, term: number): Version {
  if (row.term !== ownNodeTerm) return row;
  const timeline = sourceTimelineOfOwn(row);
  return timeline === undefined
    ? { term: term - 1, timeline: 0, stamp: 0 }
    : { term, timeline, stamp: row.stamp };
}

/** A node under which a gateway shows its own services at the source. */
function isOurOwn(node: JsonObject): boolean {
  const meta = node['Meta'];
  return isJsonObject(meta) && Object.hasOwn(meta, originMeta);
}

function itemOf(kind: CatalogKind, { raw, node, id, createIndex, modifyIndex }: CatalogItem): Item {
  const value = canonicalCatalogValue(kind, raw);
  const key = kind === 'node' ? node : `${node}/${id}`;
  return { key, stamp: modifyIndex, created: createIndex, value, digest: digestCatalog(kind, value) };
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const parts = /^(\d+)\.(\d+)/.exec(version);
  if (parts === null) return false;
  const [found, detail] = [Number(parts[1]), Number(parts[2])];
  return found > major || (found === major && detail >= minor);
}

function mapKinds<T>(of: (kind: CatalogKind) => T): Record<CatalogKind, T> {
  return { node: of('node'), service: of('service'), check: of('check') };
}
