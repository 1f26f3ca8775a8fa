import type { MigrationKind } from '../../../src/state/migration.ts';
import type { CatalogKind } from '../../canonical.ts';

/** How many entries were compared, and how they differ. */
export interface Counted {
  readonly compared: number;
  readonly equal: number;
  /** Differences that were still there when they were looked at again, with nothing changed meanwhile. */
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** Entries that changed at each look. Left out: none. */
  readonly unsettled?: number;
}

/** What a look at every key of both sides found, or at all of the catalog, or both. */
export interface Verification extends Counted {
  /** What was looked at. */
  readonly of: readonly MigrationKind[];
  /** The first few that differ. */
  readonly keys: readonly string[];
  readonly tookMs: number;
  readonly catalog: CatalogVerification | null;
}

export interface CatalogVerification extends Counted {
  readonly kinds: Readonly<Record<CatalogKind, Counted>>;
  /** The first few that differ: kind and name, how, and of different ones the fields. */
  readonly entries: readonly string[];
  readonly tookMs: number;
  /** Why nothing is known; empty: it is. */
  readonly failure: string;
}

export const catalogKinds = ['node', 'service', 'check'] as const;

export function isEqual({ compared, equal, catalog }: Verification): boolean {
  if (compared !== equal) return false;
  return catalog === null || (catalog.failure === '' && catalog.compared === catalog.equal);
}
