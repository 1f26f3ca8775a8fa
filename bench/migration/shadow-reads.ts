import { type Figures, figures } from '../wan/figures.ts';
import type { Server } from '../wan/orders.ts';
import { pause } from './moved.ts';
import { Clients, type Round } from './rounds.ts';

export interface ReadFigures extends Figures {
  readonly perSecond: number;
  /** The slowest and the fastest round, requests a second. */
  readonly slowest: number;
  readonly fastest: number;
}

export interface ShadowReads {
  readonly shadowed: ReadFigures;
  readonly passed: ReadFigures;
}

/** What a comparison may still do after the reads of a round. */
const settleMs = 250;

/** GETs of keys that are compared and of keys that are only passed on, through the same gateway, in turns. */
export async function measureShadowReads(
  gateway: Server,
  keys: { readonly shadowed: (n: number) => string; readonly passed: (n: number) => string },
  {
    clients,
    rounds,
    roundMs,
  }: { readonly clients: number; readonly rounds: number; readonly roundMs: number },
): Promise<ShadowReads> {
  const asking = await Clients.open(gateway, clients);
  const round = async (keyOf: (n: number) => string, ms: number): Promise<Round> => {
    const measured = await asking.round(ms, (wire, n) => wire.get(`/v1/kv/${keyOf(n)}`));
    await pause(settleMs);
    return measured;
  };
  const shadowed: Round[] = [];
  const passed: Round[] = [];
  await round(keys.shadowed, roundMs);
  await round(keys.passed, roundMs);
  for (let n = 0; n < rounds; n++) {
    // Each is the first of a pair as often as the other.
    const order = n % 2 === 0 ? ([shadowed, passed] as const) : ([passed, shadowed] as const);
    for (const to of order) to.push(await round(to === shadowed ? keys.shadowed : keys.passed, roundMs));
  }
  asking.close();
  return { shadowed: readFigures(shadowed), passed: readFigures(passed) };
}

function readFigures(rounds: readonly Round[]): ReadFigures {
  const rates = rounds.map(({ perSecond }) => perSecond);
  return {
    ...figures(rounds.flatMap(({ tookMs }) => tookMs)),
    perSecond: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
    slowest: Math.min(...rates),
    fastest: Math.max(...rates),
  };
}
