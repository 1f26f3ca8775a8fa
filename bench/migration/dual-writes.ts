import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Figures, figures } from '../wan/figures.ts';
import type { Server } from '../wan/orders.ts';
import { valueOf } from './data.ts';
import { Clients, median, type Round } from './rounds.ts';

export interface DualWrites {
  readonly through: Figures;
  readonly direct: Figures;
  /** Of p50, the median over the rounds, each against the direct round beside it. */
  readonly ratio: number;
  /** The same of a proxy that does nothing else. */
  readonly bareRatio: number;
  readonly bare: Figures;
}

/** So long does each way warm up: what has just started is slow, and no fleet has just started. */
const warmMs = 4000;

/** PUTs through the gateway, straight at the same server of the source, and through a bare proxy of it, in turns. */
export async function measureDualWrites(
  gateway: Server,
  source: Server,
  prefix: string,
  { clients, rounds, roundMs }: Readonly<Record<'clients' | 'rounds' | 'roundMs', number>>,
): Promise<DualWrites> {
  const proxy = fork(fileURLToPath(new URL('./bare-proxy.ts', import.meta.url)), [String(source.port)]);
  const [port] = (await once(proxy, 'message')) as [number];
  const ways = {
    through: await Clients.open(gateway, clients),
    direct: await Clients.open(source, clients),
    bare: await Clients.open({ host: '127.0.0.1', port }, clients),
  };
  const round = (way: keyof typeof ways, ms: number): Promise<Round> =>
    ways[way].round(ms, (wire, n) => wire.put(`/v1/kv/${prefix}${way}-${n % 1000}`, valueOf(`write ${n} `)));
  const took = { through: [] as number[][], direct: [] as number[][], bare: [] as number[][] };
  const names = ['through', 'direct', 'bare'] as const;
  for (const name of names) await round(name, warmMs);
  for (let n = 0; n < rounds; n++) {
    for (const name of names) took[name].push([...(await round(name, roundMs)).tookMs]);
  }
  for (const name of names) ways[name].close();
  proxy.disconnect();
  const ratioOf = (name: keyof typeof ways): number =>
    median(took[name].map((each, n) => figures(each).p50 / figures(took.direct[n] ?? []).p50));
  return {
    through: figures(took.through.flat()),
    direct: figures(took.direct.flat()),
    bare: figures(took.bare.flat()),
    ratio: ratioOf('through'),
    bareRatio: ratioOf('bare'),
  };
}
