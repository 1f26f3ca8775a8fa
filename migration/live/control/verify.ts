import { Kind } from '../../../src/state/kinds.ts';
import { decodeKv } from '../../../src/state/values.ts';
import type { ReadView } from '../../../src/state/store.ts';
import type { ConsulReader, KvEntry } from '../../source/consul-reader.ts';
import type { MigrationKind } from '../../../src/state/migration.ts';
import type { CatalogKind } from '../../canonical.ts';
import type { Clock } from '../../clock.ts';
import { namesOfDifference } from '../../compare/entries.ts';
import type { SweepResult } from '../../compare/sweep.ts';
import type { Row as TallyRow } from '../../compare/tally.ts';
import type { SweepEvidence } from '../../evidence/snapshot.ts';
import type { PartContext } from '../ports.ts';
import type { VerifyOrder } from './order-forms.ts';
import { ruleAt } from './phases.ts';
import { catalogKinds, type CatalogVerification, type Counted, type Verification } from './verification.ts';
import { pairs } from '../reverse/sweep.ts';
import { isMachinery } from '../reverse/reverse.ts';

/** When a difference is looked at again: what is on its way has arrived by then. */
const againMs = [1000, 5000];
const shownMax = 100;

/** Compares everything of a rule, and adds what comes of it to the evidence. Never rejects. */
export type SweepRule = (
  of: MigrationKind,
  prefix: string,
  onDone?: (result: SweepResult) => void,
) => Promise<SweepEvidence>;

export interface VerifyParts {
  readonly reader: ConsulReader;
  readonly sweep: SweepRule | undefined;
}

/** Compares keys, or the catalog, or both, as an operator asked. */
export async function verify(
  { gateway, phases }: PartContext,
  { reader, sweep }: VerifyParts,
  { prefix, kind }: VerifyOrder,
): Promise<Verification> {
  const isMoved = phases.catalog !== undefined && !['passthrough', 'final'].includes(phases.catalog.phase);
  const wantsKeys = kind !== 'catalog';
  const wantsCatalog =
    sweep !== undefined && (kind === 'catalog' || (kind === undefined && prefix === '' && isMoved));
  const keys = wantsKeys ? await verifyKv(reader, gateway.view, gateway.clock, prefix) : noKeys;
  if (wantsKeys && ruleAt(phases, 'kv', prefix) !== undefined) await sweep?.('kv', prefix);
  const catalog = wantsCatalog ? await verifyCatalog(sweep) : null;
  const of: MigrationKind[] = [
    ...(wantsKeys ? ['kv' as const] : []),
    ...(wantsCatalog ? ['catalog' as const] : []),
  ];
  return { of, ...keys, catalog };
}

type KeyVerification = Omit<Verification, 'of' | 'catalog'>;

const noKeys: KeyVerification = {
  ...{ compared: 0, equal: 0, missing: 0, extra: 0, different: 0, keys: [], tookMs: 0 },
};

/**
 * Compares all nodes, services and checks as clients see them, both ways. Left out by design: the source's servers (the
 * service `consul`), the gateways' own nodes, and the nodes by which gateways are shown at the source.
 */
async function verifyCatalog(sweep: SweepRule): Promise<CatalogVerification> {
  let result: SweepResult | undefined;
  const evidence = await sweep('catalog', '', (found) => (result = found));
  const rows = result?.tally.rows() ?? [];
  const kinds = Object.fromEntries(
    catalogKinds.map((kind) => [kind, countedOf(rows.filter((row) => row.kind === kind))]),
  ) as Record<CatalogKind, Counted>;
  const entries = (result?.tally.samples() ?? [])
    .filter(({ outcome }) => outcome !== 'transient')
    .map(({ outcome, entry, key, suspect }) => {
      const fields = namesOfDifference(suspect.source, suspect.target);
      const how = outcome === 'persistent' ? suspect.kind : outcome;
      return `${entry} ${key}: ${how}${fields.length === 0 ? '' : ` (${fields.join(', ')})`}`;
    });
  return {
    ...countedOf(rows),
    kinds,
    entries: entries.slice(0, shownMax),
    tookMs: evidence.finishedMs - evidence.startedMs,
    failure:
      evidence.failure === '' && evidence.filtered ? 'the token may not see all entries' : evidence.failure,
  };
}

function countedOf(rows: readonly TallyRow[]): Counted {
  const sum = (of: (row: TallyRow) => number): number => rows.reduce((all, row) => all + of(row), 0);
  const missing = sum(({ byKind }) => byKind.missing);
  const extra = sum(({ byKind }) => byKind.extra);
  return {
    compared: sum(({ compared }) => compared),
    equal: sum(({ matched, transient }) => matched + transient),
    ...{ missing, extra },
    different: sum(({ byKind }) => Object.values(byKind).reduce((a, b) => a + b, 0)) - missing - extra,
    unsettled: sum(({ indeterminate, unchecked }) => indeterminate + unchecked),
  };
}

/** Compares every key below a prefix, both ways. */
export async function verifyKv(
  reader: ConsulReader,
  view: ReadView,
  clock: Clock,
  prefix: string,
): Promise<KeyVerification> {
  const startMs = clock.now();
  let compared = 0;
  let suspects: string[] = [];
  for await (const leaf of pairs(reader, view, prefix)) {
    for (const { key, there } of leaf) {
      if (isMachinery(key)) continue;
      compared += 1;
      if (verdictOf(view, key, there) !== 'equal') suspects.push(key);
    }
  }
  const found = new Map<string, string>();
  for (const ms of againMs) {
    if (suspects.length === 0) break;
    // oxlint-disable-next-line no-await-in-loop -- the point is to wait
    await clock.sleep(ms);
    const still: string[] = [];
    for (const key of suspects) {
      // oxlint-disable-next-line no-await-in-loop -- few
      const answer = await reader.get(key);
      const verdict = answer.kind === 'denied' ? 'equal' : verdictOf(view, key, answer.entry ?? undefined);
      if (verdict === 'equal') continue;
      still.push(key);
      found.set(key, verdict);
    }
    suspects = still;
  }
  const count = (what: string): number => suspects.filter((key) => found.get(key) === what).length;
  return {
    compared,
    equal: compared - suspects.length,
    missing: count('missing'),
    extra: count('extra'),
    different: count('different'),
    keys: suspects.slice(0, shownMax),
    tookMs: clock.now() - startMs,
  };
}

function verdictOf(
  view: ReadView,
  key: string,
  there: KvEntry | undefined,
): 'equal' | 'missing' | 'extra' | 'different' {
  const row = view.get(Kind.kv, key);
  const here = row === undefined || row.value === null ? undefined : decodeKv(row.value);
  if (here === undefined) return there === undefined ? 'equal' : 'missing';
  if (there === undefined) return 'extra';
  return here.flags === there.flags && Buffer.compare(here.value, there.value) === 0 ? 'equal' : 'different';
}
