import { Sweep, type SweepResult } from '../../compare/sweep.ts';
import type { MismatchKind } from '../../compare/entries.ts';
import type { DifferenceKind, SweepEvidence } from '../../evidence/snapshot.ts';
import type { ConsulReader } from '../../source/consul-reader.ts';
import { HttpConsulReader } from '../../source/http-consul-reader.ts';
import type { MigrationKind } from '../../../src/state/migration.ts';
import { isJsonObject } from '../../../compat/wire/go-json.ts';
import { originMeta } from '../catalog/wanted-nodes.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { HereReader } from './here-reader.ts';
import { isGatewayKey, type shadowRules } from './ignore.ts';
import { shadowLimits } from './limits.ts';
import { sourceWire, type SourceAsk } from './source-reader.ts';

export interface VerifyOptions {
  readonly gateway: GatewayPort;
  readonly source: SourceAsk;
  readonly here: HereReader;
  /** For what this gateway asks on its own behalf. */
  readonly token: string;
  readonly address: string;
  readonly recheckDelaysMs: readonly number[];
  /** In lower case. */
  readonly gatewayNodes: () => ReadonlySet<string>;
  /** Before every request to the source. */
  readonly before: () => Promise<void>;
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
  /** What was found in all detail, once it is. */
  readonly onDone?: (result: SweepResult) => void;
}

const kindOf: Readonly<Record<MismatchKind, DifferenceKind>> = {
  missing: 'missing',
  extra: 'extra',
  value: 'value',
  flags: 'flags',
  session: 'session',
  status: 'status',
};

/** Everything under a rule, both ways, each difference looked at again. Never rejects: a failure is in the result. */
export async function verify(
  options: VerifyOptions,
  of: MigrationKind,
  prefix: string,
): Promise<SweepEvidence> {
  const { gateway, here, signal, recheckDelaysMs } = options;
  const wire = sourceWire(options.source, options.address, options.token, options.before, signal);
  const ignored: Record<string, number> = {};
  const own: FleetsOwn = {
    nodes: options.gatewayNodes(),
    ignore: (rule, count) => (ignored[rule] = (ignored[rule] ?? 0) + count),
  };
  const source = withoutFleetsOwn(new HttpConsulReader(wire), own);
  const startedMs = gateway.clock.now();
  const ended = (result: SweepResult | undefined, throughIndex: number, failure: string): SweepEvidence => ({
    ...{ of, prefix, startedMs, finishedMs: gateway.clock.now(), throughIndex, failure },
    ...countsOf(result, ignored),
  });
  let throughIndex = 0;
  try {
    // Whatever the source had at this index, the reads that follow are no older.
    const table = await source.get('_gw/absent');
    throughIndex = table.kind === 'read' ? (table.meta.index ?? 0) : 0;
    const sweep = new Sweep({
      source,
      target: withoutFleetsOwn(new HttpConsulReader(here.wire), own),
      targetSelf: {
        datacenter: gateway.datacenter,
        nodeName: gateway.nodeName,
        version: '',
        aclsEnabled: false,
      },
      prefixes: [prefix],
      kv: of === 'kv',
      catalog: of === 'catalog',
      recheckDelaysMs,
      reveal: false,
      clock: gateway.clock,
      signal,
      suspectsMax: shadowLimits.suspectsMax,
      leavesAhead: 2,
      onProgress: ({ done, total }) => options.onProgress?.(done, total),
    });
    const result = await sweep.run();
    options.onDone?.(result);
    return ended(result, throughIndex, '');
  } catch (error) {
    return ended(undefined, throughIndex, error instanceof Error ? error.message : String(error));
  }
}

interface FleetsOwn {
  readonly nodes: ReadonlySet<string>;
  readonly ignore: (rule: (typeof shadowRules)[number]['name'], count: number) => void;
}

/** What gateways keep at the source for themselves is nobody's to copy: fences, and the nodes that show them there. */
function withoutFleetsOwn(reader: ConsulReader, own: FleetsOwn): ConsulReader {
  const kept = <T>(
    list: readonly T[],
    isOwn: (each: T) => boolean,
    rule: Parameters<FleetsOwn['ignore']>[0],
  ): readonly T[] => {
    const others = list.filter((each) => !isOwn(each));
    if (others.length < list.length) own.ignore(rule, list.length - others.length);
    return others;
  };
  return {
    address: reader.address,
    keys: async (prefix, separator) => {
      const answer = await reader.keys(prefix, separator);
      if (answer.kind !== 'keys') return answer;
      return { ...answer, names: answer.names.filter((name) => !isGatewayKey(name)) };
    },
    list: async (prefix) => {
      const answer = await reader.list(prefix);
      if (answer.kind !== 'list') return answer;
      return { ...answer, entries: kept(answer.entries, ({ key }) => isGatewayKey(key), 'gateway-keys') };
    },
    nodes: async () => {
      const answer = await reader.nodes();
      const isOwn = (name: string): boolean => own.nodes.has(name.toLowerCase());
      return { ...answer, names: kept(answer.names, isOwn, 'target-own-node') };
    },
    get: (key) => reader.get(key),
    node: async (name) => {
      const reading = await reader.node(name);
      const meta = reading.node?.raw['Meta'];
      if (!isJsonObject(meta) || !Object.hasOwn(meta, originMeta)) return reading;
      // Of a gateway that is gone, or of one that this gateway has not heard of yet.
      own.ignore('target-own-node', 1);
      return { ...reading, node: null, services: new Map(), checks: new Map() };
    },
    sessions: () => reader.sessions(),
    self: () => reader.self(),
    servers: () => reader.servers(),
  };
}

type SweepCounts = Omit<
  SweepEvidence,
  'of' | 'prefix' | 'startedMs' | 'finishedMs' | 'throughIndex' | 'failure'
>;

function countsOf(
  result: SweepResult | undefined,
  ownIgnored: Readonly<Record<string, number>>,
): SweepCounts {
  const total = result?.tally.total();
  const kinds: Partial<Record<DifferenceKind, number>> = {};
  for (const [kind, count] of Object.entries(total?.byKind ?? {}) as [MismatchKind, number][]) {
    if (count > 0) kinds[kindOf[kind]] = count;
  }
  return {
    compared: total?.compared ?? 0,
    matched: total?.matched ?? 0,
    transient: total?.transient ?? 0,
    persistent: total?.persistent ?? 0,
    indeterminate: total?.indeterminate ?? 0,
    unchecked: total?.unchecked ?? 0,
    kinds,
    longestOpenMs: result?.tally.longestOpenMs ?? 0,
    filtered: result !== undefined && (result.filtered.source || result.filtered.target),
    ignored: { ...result?.ignored, ...ownIgnored },
  };
}
