import { Sweep, type SweepResult } from '../../compare/sweep.ts';
import type { MismatchKind } from '../../compare/entries.ts';
import type { DifferenceKind, SweepEvidence } from '../../evidence/snapshot.ts';
import { HttpConsulReader } from '../../source/http-consul-reader.ts';
import type { MigrationKind } from '../../../src/state/migration.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { HereReader } from './here-reader.ts';
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
  /** Before every request to the source. */
  readonly before: () => Promise<void>;
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
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
  const source = new HttpConsulReader(wire);
  const startedMs = gateway.clock.now();
  const ended = (result: SweepResult | undefined, throughIndex: number, failure: string): SweepEvidence => ({
    ...{ of, prefix, startedMs, finishedMs: gateway.clock.now(), throughIndex, failure },
    ...countsOf(result),
  });
  let throughIndex = 0;
  try {
    // Whatever the source had at this index, the reads that follow are no older.
    const table = await source.get('_gw/absent');
    throughIndex = table.kind === 'read' ? (table.meta.index ?? 0) : 0;
    const sweep = new Sweep({
      source,
      target: new HttpConsulReader(here.wire),
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
    return ended(await sweep.run(), throughIndex, '');
  } catch (error) {
    return ended(undefined, throughIndex, error instanceof Error ? error.message : String(error));
  }
}

type SweepCounts = Omit<
  SweepEvidence,
  'of' | 'prefix' | 'startedMs' | 'finishedMs' | 'throughIndex' | 'failure'
>;

function countsOf(result: SweepResult | undefined): SweepCounts {
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
    ignored: { ...result?.ignored },
  };
}
