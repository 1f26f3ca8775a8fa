import { MemoryStore } from '../../../src/io/memory-store.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { Row } from '../../../src/state/store.ts';
import { bootMachine, knownMembers } from './boot.ts';
import { cities } from './cities.ts';
import { NodeClock } from './clock.ts';
import { EventQueue } from './event-queue.ts';
import { SimGateway, type GatewayPorts } from './gateway.ts';
import { noMutation } from './mutation.ts';
import { Network } from './network.ts';
import { Rng } from './rng.ts';

export interface ScaleOptions {
  readonly gateways: number;
  readonly regions: number;
  readonly loss: number;
  /** Until the fleet has come to rest. */
  readonly settleMs: number;
  readonly idleMs: number;
  readonly loadMs: number;
  readonly writesPerS: number;
  readonly valueBytes: number;
  readonly seed?: string;
  readonly progress?: (text: string) => void;
}

export interface ScaleResult {
  readonly gateways: number;
  /** Slowest one-way delay between two regions. */
  readonly slowestMs: number;
  readonly writes: number;
  /** From the commit at the writer to the commit at every other gateway. */
  readonly visibilityMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Writes that some gateway did not get until the end, times gateways. */
  readonly unseen: number;
  /** What the writes cost above idle traffic, received, per byte of keys and values received once by everybody. */
  readonly bytesPerUsefulByte: number;
  readonly idleKibPerS: { readonly mean: number; readonly most: number };
  readonly wallMs: number;
  readonly events: number;
  readonly residentMib: number;
}

interface Write {
  /** When its owner had it on disk. */
  atMs: number;
  readonly writer: number;
  seenBy: number;
}

/** A store that says when a key came to be in it. */
class WatchedStore extends MemoryStore {
  readonly #seen: (key: string) => void;

  constructor(seen: (key: string) => void) {
    super();
    this.#seen = seen;
  }

  override put(row: Row): void {
    super.put(row);
    if (row.kind === Kind.kv) this.#seen(row.key);
  }
}

/**
 * A large fleet in the open sea: no faults but loss, no clients but one writer per region. Everybody knows everybody
 * from the start, as after a restart of all.
 */
export function runScale(options: ScaleOptions): ScaleResult {
  const begun = performance.now();
  const say = options.progress ?? (() => {});
  const rng = new Rng(options.seed ?? 'scale');
  const queue = new EventQueue();
  const places = cities.slice(0, options.regions);
  const network = new Network(queue, rng.split('network'), places);
  network.faults.loss = options.loss;
  network.faults.jitterMs = 0.5;
  const writes = new Map<string, Write>();
  const delays: number[] = [];
  const seen = (gateway: number, key: string): void => {
    const write = writes.get(key);
    if (write === undefined) return;
    if (write.writer === gateway) {
      write.atMs = queue.nowMs;
      return;
    }
    write.seenBy += 1;
    delays.push(queue.nowMs - write.atMs);
  };
  const ports: GatewayPorts = {
    queue,
    network,
    commitMs: () => 0.2,
    fate: () => 'live',
    committed: () => {},
    effect: () => {},
    died: () => {},
  };
  const gateways = Array.from({ length: options.gateways }, (_, index) => {
    const own = rng.split(index);
    return new SimGateway(
      {
        index,
        name: `gateway-${index}`,
        nodeId: `${own.hex(8)}-${own.hex(4)}-4${own.hex(3)}-8${own.hex(3)}-${own.hex(12)}`,
        region: index % options.regions,
        clock: new NodeClock({
          offsetUs: Math.round(own.range(-20_000, 20_000)),
          driftPpm: own.range(-20, 20),
          monoZeroMs: own.range(0, 1e6),
        }),
        endpoint: { address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port: 8301 },
        store: new WatchedStore((key) => seen(index, key)),
      },
      ports,
    );
  });
  const known = knownMembers(gateways, (gateway) => places[gateway.region]?.name ?? '');
  for (const gateway of gateways) {
    const region = places[gateway.region]?.name ?? '';
    const life = rng.split(`life ${gateway.index}`);
    gateway.start(
      bootMachine(gateway, { region, rng: life, founds: gateway.index === 0, known, mutation: noMutation }),
    );
  }
  say(`${options.gateways} gateways are there`);
  const step = (untilMs: number): void => {
    while (queue.nowMs < untilMs) {
      queue.runUntil(Math.min(untilMs, queue.nowMs + 5000));
      say(`${(queue.nowMs / 1000).toFixed(0)} s of ${totalS} s, ${queue.happened} events`);
    }
  };
  const totalS = (options.settleMs + options.idleMs + options.loadMs + 5000) / 1000;
  // Each writer owns a zone of its own, so that nothing is forwarded.
  const writers = gateways.slice(0, options.regions);
  step(options.settleMs / 3);
  for (const writer of writers) {
    gateways[0]?.propose({
      kind: 'command',
      token: 0,
      command: { kind: 'zone-delegate', prefix: zoneOfWriter(writer), toNodeId: writer.nodeId },
    });
  }
  step(options.settleMs);
  const atRest = received(network, gateways);
  step(options.settleMs + options.idleMs);
  const afterIdle = received(network, gateways);
  const idle = afterIdle.map((bytes, i) => (bytes - (atRest[i] ?? 0)) / options.idleMs / 1.024);
  const load = rng.split('load');
  const value = new TextEncoder().encode('x'.repeat(options.valueBytes));
  let useful = 0;
  const write = (): void => {
    queue.after(load.exponential(1000 / options.writesPerS), () => {
      if (queue.nowMs > options.settleMs + options.idleMs + options.loadMs) return;
      const writer = load.pick(writers);
      const key = `${zoneOfWriter(writer)}${writes.size}`;
      writes.set(key, { atMs: NaN, writer: writer.index, seenBy: 0 });
      useful += key.length + value.length;
      writer.propose({
        kind: 'command',
        token: 0,
        command: { kind: 'kv-put', key, flags: 0n, value, mode: { kind: 'plain' } },
      });
      write();
    });
  };
  write();
  const untilMs = options.settleMs + options.idleMs + options.loadMs + 5000;
  step(untilMs);
  const atEnd = received(network, gateways);
  const total = sum(atEnd) - sum(afterIdle);
  const idleBytes = (sum(idle) * 1024 * (untilMs - options.settleMs - options.idleMs)) / 1000;
  delays.sort((a, b) => a - b);
  const others = options.gateways - 1;
  return {
    gateways: options.gateways,
    slowestMs: network.slowestMs,
    writes: writes.size,
    visibilityMs: { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99), max: delays.at(-1) ?? NaN },
    unseen: [...writes.values()].reduce((missing, { seenBy }) => missing + others - seenBy, 0),
    bytesPerUsefulByte: (total - idleBytes) / (useful * others),
    idleKibPerS: { mean: sum(idle) / idle.length, most: Math.max(...idle) },
    wallMs: performance.now() - begun,
    events: queue.happened,
    residentMib: process.memoryUsage().rss / 1024 / 1024,
  };
}

function zoneOfWriter({ index }: SimGateway): string {
  return `scale-${index}/`;
}

function received(network: Network, gateways: readonly SimGateway[]): readonly number[] {
  return gateways.map((gateway) => network.trafficOf(gateway).receivedBytes);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}
