import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Phases } from '../ports.ts';
import { kvAbsence } from './kv-record.ts';

/** Registers in one command at most. */
const recordsMax = 256;

/**
 * Stores here what the source decided. Answers why it could not; undefined: all of it is durable.
 *
 * `asked`: the rules when the source was asked. What it said before authority went away and came back is not its word
 * any more, and would count as the newest under the term that it was lent since.
 */
export async function relay(
  gateway: GatewayPort,
  phases: Phases,
  records: readonly MirrorRecord[],
  asked: readonly PhaseRule[],
): Promise<string | undefined> {
  const { source } = phases;
  if (source === undefined) return 'the source is not known yet';
  if (phases.rules !== asked && records.some(({ key }) => hasMoved(phases.ofKey(key), asked))) {
    return 'the migration moved on while the source was asked';
  }
  const outcomes: Promise<string | undefined>[] = [];
  for (let at = 0; at < records.length; at += recordsMax) {
    outcomes.push(
      gateway
        .propose({
          ...{ kind: 'mirror-apply', source: source.id, timeline: source.timeline, cursors: {} },
          records: records.slice(at, at + recordsMax),
        })
        .then((outcome) => {
          if (outcome.kind === 'mirror') {
            const [conflict] = outcome.conflicts;
            return conflict === undefined
              ? undefined
              : `${conflict.key} was written here under a higher term`;
          }
          return outcome.kind === 'refused' ? outcome.message : `unexpected outcome ${outcome.kind}`;
        })
        .catch((error: unknown) => (error instanceof Error ? error.message : String(error))),
    );
  }
  return (await Promise.all(outcomes)).find((problem) => problem !== undefined);
}

function hasMoved(now: PhaseRule | undefined, asked: readonly PhaseRule[]): boolean {
  const then = asked.find(({ of, prefix }) => of === now?.of && prefix === now.prefix);
  return now !== undefined && then?.term !== now.term;
}

/** All keys below a prefix that are here and not newer, as absent. `keep`: those that are there all the same. */
export function absentBelow(
  gateway: GatewayPort,
  prefix: string,
  index: number,
  keep: (key: string) => boolean,
): readonly MirrorRecord[] {
  const records: MirrorRecord[] = [];
  for (const row of gateway.view.rangeKeys(Kind.kv, prefix, prefixEnd(prefix))) {
    if (row.live && !keep(row.key)) records.push(kvAbsence(row.key, index));
  }
  return records;
}
