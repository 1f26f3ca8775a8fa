import { authorityOf, readerOf, type PhaseRule } from '../../../src/state/migration.ts';

/**
 * Where sessions live:
 *
 * - `none`: there is no migration of keys;
 * - `source`: in the source alone, as do all locks;
 * - `paired`: in the source, and here under the same id, since some locks are here, or are about to be;
 * - `here`: here alone.
 */
export type SessionMode = 'none' | 'source' | 'paired' | 'here';

export function sessionModeOf(rules: readonly PhaseRule[]): SessionMode {
  const phases = rules.filter((rule) => rule.of === 'kv').map((rule) => rule.phase);
  if (phases.length === 0) return 'none';
  if (phases.every((phase) => authorityOf(phase) === 'here')) return 'here';
  return phases.some((phase) => readerOf(phase) === 'here') ? 'paired' : 'source';
}
