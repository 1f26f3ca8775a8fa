import { type Figures, figures } from '../wan/figures.ts';
import type { Server } from '../wan/orders.ts';
import { valueOf } from './data.ts';
import { Clients, median, type Round } from './rounds.ts';

export interface DualWrites {
  readonly through: Figures;
  readonly direct: Figures;
  /** Of p50, the median over the rounds, each against the direct round beside it. */
  readonly ratio: number;
  readonly writes: number;
}

/** PUTs through the gateway and straight at the same server of the source, in turns. */
export async function measureDualWrites(
  gateway: Server,
  source: Server,
  prefix: string,
  {
    clients,
    rounds,
    roundMs,
  }: { readonly clients: number; readonly rounds: number; readonly roundMs: number },
): Promise<DualWrites> {
  const through = await Clients.open(gateway, clients);
  const direct = await Clients.open(source, clients);
  const round = (of: Clients, name: string, ms: number): Promise<Round> =>
    of.round(ms, (wire, n) => wire.put(`/v1/kv/${prefix}${name}-${n % 1000}`, valueOf(`write ${n} `)));
  await round(through, 'through', roundMs);
  await round(direct, 'direct', roundMs);
  const ours: Round[] = [];
  const theirs: Round[] = [];
  for (let n = 0; n < rounds; n++) {
    ours.push(await round(through, 'through', roundMs));
    theirs.push(await round(direct, 'direct', roundMs));
  }
  through.close();
  direct.close();
  const ratios = ours.map(({ tookMs }, n) => figures(tookMs).p50 / figures(theirs[n]?.tookMs ?? []).p50);
  const all = ours.flatMap(({ tookMs }) => tookMs);
  return {
    through: figures(all),
    direct: figures(theirs.flatMap(({ tookMs }) => tookMs)),
    ratio: median(ratios),
    writes: all.length,
  };
}
