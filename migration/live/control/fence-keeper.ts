import { encodeKeyPath } from '../../mirror/key-rules.ts';
import { isDual, type PhaseRule } from '../../../src/state/migration.ts';
import { fenceKey } from '../dual/fence.ts';
import { readKey } from '../dual/read-key.ts';
import type { LivePart, PartContext } from '../ports.ts';
import type { SourceClient } from '../proxy/source-client.ts';

import type { HoldBook } from './hold-book.ts';

/**
 * Sets a fence back that was raised for a cutover which then was called off: until then the source refuses what every
 * gateway writes. For the owner of the zone only, who decides steps: nobody else knows that none comes.
 */
export async function lowerFence(
  client: SourceClient,
  token: string,
  { prefix, term }: PhaseRule,
): Promise<'lowered' | 'as-it-was'> {
  const key = fenceKey(prefix);
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- again where somebody was faster
    const reading = await readKey(client, token, key);
    if (reading.kind === 'trouble') throw new Error(reading.why);
    if (reading.kind === 'absent') return 'as-it-was';
    const held = Number(Buffer.from(reading.entry.value).toString());
    if (!(held > term)) return 'as-it-was';
    const path = `/v1/kv/${encodeKeyPath(key)}?cas=${reading.entry.modifyIndex}`;
    // oxlint-disable-next-line no-await-in-loop -- again where somebody was faster
    const answer = await client.ask({ method: 'PUT', path, token, body: String(term) });
    if (answer.kind !== 'answer') throw new Error(answer.why);
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body.toString().slice(0, 200)}`);
    if (answer.body.toString().trim() === 'true') return 'lowered';
  }
}

/** Longer than any hold: by then no step of a cutover comes any more that this gateway directed before it crashed. */
const afterStartMs = 11_000;
const againMs = 2000;

/** After a start, looks whether a cutover was cut short by the crash of who directed it, and puts that right. */
export function keepFences({ gateway, phases, client, settings }: PartContext, hold: HoldBook): LivePart {
  const abort = new AbortController();
  let running: Promise<void> | undefined;
  let problem: string | undefined;
  const lowered: string[] = [];

  const run = async (source: SourceClient): Promise<void> => {
    await gateway.clock.sleep(afterStartMs, abort.signal);
    const token = settings.source?.token ?? '';
    const looked = new Set<string>();
    while (!abort.signal.aborted) {
      for (const rule of phases.rules) {
        const name = `${rule.prefix} ${rule.term}`;
        if (rule.of !== 'kv' || !isDual(rule.phase) || gateway.ownerOf(rule.prefix) !== gateway.nodeId)
          continue;
        if (looked.has(name) || hold.size > 0) continue;
        try {
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          if ((await lowerFence(source, token, rule)) === 'lowered') {
            lowered.push(rule.prefix);
            gateway.log.warn(
              { prefix: rule.prefix },
              'a cutover had been cut short: its fence at the source was set back, writes go on as before',
            );
          }
          looked.add(name);
          problem = undefined;
        } catch (error) {
          problem = error instanceof Error ? error.message : String(error);
        }
      }
      // oxlint-disable-next-line no-await-in-loop -- a poll
      await gateway.clock.sleep(againMs, abort.signal);
    }
  };

  return {
    start: () => {
      if (client !== undefined) running = run(client);
    },
    stop: async () => {
      abort.abort();
      await running;
    },
    status: () => ({ cutShort: lowered, problem: problem ?? null }),
  };
}
