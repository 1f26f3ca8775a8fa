import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { MirrorRecord } from '../../../src/state/mirror.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { Phases } from '../ports.ts';
import { kvAbsence } from './kv-record.ts';

/** Registers in one command at most. */
const recordsMax = 256;

/** Stores here what the source decided. Answers why it could not; undefined: all of it is durable. */
export async function relay(
  gateway: GatewayPort,
  phases: Phases,
  records: readonly MirrorRecord[],
): Promise<string | undefined> {
  const { source } = phases;
  if (source === undefined) return 'the source is not known yet';
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
