import type { ChildProcess, SpawnOptions } from 'node:child_process';

/** The regions of the benchmark, in the order in which they are printed. */
export const regions = ['A', 'B', 'C'] as const;
export type Region = (typeof regions)[number];

/** One-way delays in milliseconds: Europe with two coasts of America, roughly, and the coasts the long way round. */
const delaysMs: Readonly<Record<string, number>> = { AB: 40, AC: 75, BC: 100 };

export function delayMs(from: Region, to: Region): number {
  return delaysMs[[from, to].toSorted((a, b) => regions.indexOf(a) - regions.indexOf(b)).join('')] ?? 0;
}

/** All ordered pairs of different regions. */
export const directions: readonly (readonly [Region, Region])[] = regions.flatMap((from) =>
  regions.filter((to) => to !== from).map((to) => [from, to] as const),
);

/** The same ports in all regions: each region has addresses of its own. */
export const ports = {
  echo: 17_007,
  consul: { http: 18_500, server: 18_300, serfLan: 18_301 },
  grapevine: { http: 28_500, server: 28_300, serfLan: 28_301 },
} as const;

/** The ports that are reached from other regions. */
export const portsBetweenRegions: readonly number[] = [
  ports.echo,
  ports.consul.server,
  ports.consul.serfLan,
  ports.grapevine.server,
  ports.grapevine.serfLan,
];

/** Three regions and the links between them. */
export interface WanNetwork {
  /** How it is made, for people. */
  readonly how: string;
  /** What sockets of that region bind to, and where its own clients reach its servers. */
  bindAddress(region: Region): string;
  /** Where the other regions reach it. */
  advertiseAddress(region: Region): string;
  /** Starts a process in that region; it ends no later than the benchmark. */
  spawn(region: Region, command: string, args: readonly string[], options: SpawnOptions): ChildProcess;
  /** Cuts a region off from all others. Resolves when nothing passes any more. */
  cutOff(region: Region): Promise<void>;
  /** Resolves when packets pass again. */
  heal(region: Region): Promise<void>;
  /** What its own mechanism says about how well it kept its promise, for people. */
  report(): Promise<string>;
  close(): Promise<void>;
}
