import { z } from 'zod';
import type { GatewayPort } from '../gateway-port.ts';

// Calls of another gateway that may take minutes. That one may end meanwhile, or start again: nothing of the call is
// left there then, and nobody would say so before the time is over. So it is asked now and then whether it is at it.

const lookMs = 1000;
/** A busy one may take a while to say so. */
const answerMs = 5000;
/** In a row, that it is not at it: the answer itself may be on its way. */
const missedMax = 3;

const form = z.object({ id: z.string().max(128), body: z.unknown() });
const lookForm = form.pick({ id: true });
const lookAnswer = z.object({ open: z.boolean() });

export function serveLong(
  gateway: Pick<GatewayPort, 'serve'>,
  topic: string,
  handler: (body: unknown, from: string) => Promise<unknown>,
): void {
  const open = new Set<string>();
  gateway.serve(topic, async (asked, from) => {
    const { id, body } = form.parse(asked);
    open.add(id);
    try {
      return await handler(body, from);
    } finally {
      open.delete(id);
    }
  });
  gateway.serve(`${topic}-open`, (asked) => Promise.resolve({ open: open.has(lookForm.parse(asked).id) }));
}

/** Rejects also when the other gateway has ended since, whatever the time. */
export async function callLong(
  gateway: Pick<GatewayPort, 'call' | 'clock' | 'nodeId' | 'random'>,
  nodeName: string,
  topic: string,
  body: unknown,
  waitMs: number,
): Promise<unknown> {
  const id = `${gateway.nodeId}:${gateway.clock.now()}:${gateway.random()}`;
  const done = new AbortController();
  const isAtIt = async (): Promise<boolean> => {
    try {
      return lookAnswer.parse(await gateway.call(nodeName, `${topic}-open`, { id }, answerMs)).open;
    } catch {
      return false;
    }
  };
  const watched = (async (): Promise<never> => {
    for (let missed = 0; missed < missedMax;) {
      // oxlint-disable-next-line no-await-in-loop -- now and then
      await gateway.clock.sleep(lookMs, done.signal);
      if (done.signal.aborted) break;
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      missed = (await isAtIt()) ? 0 : missed + 1;
    }
    throw new Error(`${nodeName} ended while it was at it: what it did of it, the status shows`);
  })();
  watched.catch(() => {});
  try {
    return await Promise.race([gateway.call(nodeName, topic, { id, body }, waitMs), watched]);
  } finally {
    done.abort();
  }
}
