import { count, plural } from '../../terminal/format.ts';
import type { Leaf } from './leaf.ts';

// What is not known to be as at the source although the source answers: it may have shortened its answers. Nothing is
// deleted here for it, and nothing that follows from the copy may be taken for good before somebody has looked.

/** What of a rule's keys the source's answers leave open; undefined: nothing. */
export function doubtOf(leaves: readonly Leaf[]): string | undefined {
  const blind = leaves.find((leaf) => leaf.absenceIgnored !== null);
  if (blind?.absenceIgnored === 'filtered-by-acl')
    return `the source hides keys under ${blind.name} from the token of this gateway: give it the right to read them`;
  if (blind !== undefined)
    return `the source answers about ${blind.name} without a leader, or without an index`;
  const open = leaves.filter((leaf) => leaf.unproved > 0);
  if (open.length > 0) {
    return (
      `${plural(sum(open, 'unproved'), 'key')} under ${where(open)} cannot be read at the source any more, and are ` +
      'not known to be deleted: does the token of this gateway have the right to read them?'
    );
  }
  const forbidden = leaves.filter((leaf) => leaf.forbidden > 0);
  if (forbidden.length === 0) return undefined;
  return (
    `${plural(sum(forbidden, 'forbidden'), 'key')} under ${where(forbidden)} are gone at the source, and were kept ` +
    'here by order: write them at the source again, or let them go ("grapevine migrate breaker PREFIX allow")'
  );
}

function sum(leaves: readonly Leaf[], what: 'unproved' | 'forbidden'): number {
  return leaves.reduce((all, leaf) => all + leaf[what], 0);
}

function where(leaves: readonly Leaf[]): string {
  const [first] = leaves;
  const more = leaves.length === 1 ? '' : ` and ${count(leaves.length - 1)} more places`;
  return `${first?.name ?? ''}${more}`;
}
