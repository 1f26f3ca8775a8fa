import type { GatewayPort } from '../gateway-port.ts';
import type { Throttles } from './throttles.ts';

/** What other gateways have not acknowledged yet. Beyond what replication keeps under way it drops, and repairs later. */
const messagesMax = 2048;
const bytesMax = 2 * 1024 * 1024;
/** Nobody is waited for longer than this before the next batch: one who is slow would stop the copying for all. */
const waitMsMax = 500;
const lookMs = 10;
const reason = 'gossip backlog: other gateways do not keep up with what is copied';

/** Resolves when the other gateways have most of what was written here, or have had their time. Undefined: they have. */
export function untilCaughtUp(
  { backlog, clock, monoMs }: Pick<GatewayPort, 'backlog' | 'clock' | 'monoMs'>,
  throttles: Throttles,
  signal: AbortSignal,
): Promise<void> | undefined {
  const isFar = (): boolean => {
    const { messages, bytes } = backlog?.() ?? { messages: 0, bytes: 0 };
    return messages > messagesMax || bytes > bytesMax;
  };
  if (!isFar()) return undefined;
  throttles.note(reason, 3000);
  return (async () => {
    const dueMs = monoMs() + waitMsMax;
    while (isFar() && monoMs() < dueMs && !signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- a look after the other
      await clock.sleep(lookMs, signal);
    }
    throttles.note(reason, 3000);
  })();
}
