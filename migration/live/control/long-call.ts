import { z } from 'zod';
import type { GatewayPort } from '../gateway-port.ts';

// Calls of another gateway that may take minutes. That one may end meanwhile, or start again: nothing of the call is
// left there then, and nobody would say so before the time is over. So it is asked now and then whether it is at it.
// That it does not answer means nothing, it may be busy: that it is gone is for membership to say, or for itself, when
// it is another process than it was.

const lookMs = 1000;
/** A busy one may take a while to say so. */
const answerMs = 5000;
/** Looks in a row at which membership has it as failed or gone: of a busy one that is said, too, and taken back. */
const goneMax = 2;
/** Answers in a row that it has never heard of the call: the call itself may be on its way. */
const unheardMax = 10;
/** Calls that have ended are remembered: their answers may be on their way. */
const endedMax = 1000;

const form = z.object({ id: z.string().max(128), body: z.unknown() });
const lookForm = form.pick({ id: true });
const lookAnswer = z.object({
  state: z.enum(['open', 'ended', 'unheard']),
  /** Of the process. */
  run: z.string().max(64),
});

type Caller = Pick<GatewayPort, 'call' | 'clock' | 'gateways' | 'nodeId' | 'random'>;

/** The other gateway is gone, or another process: whoever called may go on elsewhere. */
export class CalleeEnded extends Error {}

export function serveLong(
  gateway: Pick<GatewayPort, 'serve' | 'clock' | 'random'>,
  topic: string,
  handler: (body: unknown, from: string) => Promise<unknown>,
): void {
  const open = new Set<string>();
  const ended = new Set<string>();
  const run = `${gateway.clock.now()}:${gateway.random()}`;
  gateway.serve(topic, async (asked, from) => {
    const { id, body } = form.parse(asked);
    open.add(id);
    try {
      return await handler(body, from);
    } finally {
      open.delete(id);
      ended.add(id);
      for (const oldest of ended) {
        if (ended.size <= endedMax) break;
        ended.delete(oldest);
      }
    }
  });
  gateway.serve(`${topic}-open`, (asked) => {
    const { id } = lookForm.parse(asked);
    return Promise.resolve({ state: open.has(id) ? 'open' : ended.has(id) ? 'ended' : 'unheard', run });
  });
}

/** Rejects also when the other gateway has ended since (`CalleeEnded`), whatever the time. */
export async function callLong(
  gateway: Caller,
  nodeName: string,
  topic: string,
  body: unknown,
  waitMs: number,
): Promise<unknown> {
  const id = `${gateway.nodeId}:${gateway.clock.now()}:${gateway.random()}`;
  const done = new AbortController();
  const watched = untilEnded(
    gateway,
    nodeName,
    () => gateway.call(nodeName, `${topic}-open`, { id }, answerMs),
    done.signal,
  );
  watched.catch(() => {});
  try {
    return await Promise.race([gateway.call(nodeName, topic, { id, body }, waitMs), watched]);
  } finally {
    done.abort();
  }
}

async function untilEnded(
  gateway: Caller,
  nodeName: string,
  look: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<never> {
  let run: string | undefined;
  let gone = 0;
  let unheard = 0;
  while (!signal.aborted) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    const said = lookAnswer.safeParse(await look().catch(() => undefined));
    if (said.success) {
      const { state } = said.data;
      run ??= said.data.run;
      if (run !== said.data.run)
        throw new CalleeEnded(`${nodeName} was started again while it was at it${more}`);
      unheard = state === 'unheard' ? unheard + 1 : 0;
      if (unheard >= unheardMax) throw new CalleeEnded(`${nodeName} has not heard of it`);
    }
    const isThere = gateway.gateways().some((member) => member.nodeName === nodeName && member.alive);
    gone = said.success || isThere ? 0 : gone + 1;
    if (gone >= goneMax) throw new CalleeEnded(`${nodeName} ended while it was at it${more}`);
    // oxlint-disable-next-line no-await-in-loop -- now and then
    await gateway.clock.sleep(lookMs, signal);
  }
  throw new CalleeEnded('nobody waits any more');
}

const more = ': what it did of it, the status shows';
