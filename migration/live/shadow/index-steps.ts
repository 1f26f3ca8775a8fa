import { createHash } from 'node:crypto';
import { BoundedMap } from './bounded-map.ts';
import type { Facts } from './facts.ts';

const questionsMax = 5_000;

/**
 * Whether the index that is shown here grows whenever content changes: one who waits with the old index would sleep on
 * otherwise.
 */
export class IndexSteps {
  readonly #seen = new BoundedMap<{ readonly print: string; readonly index: number }>(questionsMax);

  /** Undefined: nothing changed since it was seen last. */
  saw(question: string, here: Facts): 'grew' | 'missed' | undefined {
    const print = printOf(here);
    const before = this.#seen.get(question);
    this.#seen.set(question, { print, index: here.index });
    if (before === undefined || before.print === print) return undefined;
    return here.index > before.index ? 'grew' : 'missed';
  }
}

function printOf(facts: Facts): string {
  const hash = createHash('sha256').update(String(facts.status));
  for (const [id, entry] of facts.entries) {
    hash.update(JSON.stringify([id, entry.content, entry.flags, entry.session, entry.lockIndex]));
  }
  return hash.digest('base64');
}
