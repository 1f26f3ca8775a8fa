import { MalformedError, type Schema } from '../wire/schema.ts';

// Network coordinates: Vivaldi (Dabek et al., 2004) with height, the adjustment term of Lee et al. (2010), and the
// latency filter and gravity of Ledlie et al. (2007), with the parameters that Serf publishes.

const dimensions = 8;
const errorMax = 1.5;
const errorWeight = 0.25;
const forceWeight = 0.25;
const adjustmentWindow = 20;
const heightMin = 1e-5;
const filterSamples = 3;
const gravityRho = 150;
const zero = 1e-6;
const rttSecondsMax = 10;

/** A place in the network; distances are round trips in seconds. */
export interface Coordinate {
  readonly vec: readonly number[];
  readonly error: number;
  readonly adjustment: number;
  readonly height: number;
}

export const coordinateOrigin: Coordinate = {
  vec: Array.from({ length: dimensions }, () => 0),
  error: errorMax,
  adjustment: 0,
  height: heightMin,
};

export function isCoordinate({ vec, error, adjustment, height }: Coordinate): boolean {
  return (
    vec.length === dimensions &&
    vec.every(Number.isFinite) &&
    Number.isFinite(error) &&
    Number.isFinite(adjustment) &&
    Number.isFinite(height)
  );
}

/** On the wire 11 floats of 32 bits: microseconds matter, nanoseconds do not. */
export const coordinateSchema: Schema<Coordinate> = {
  pack: ({ vec, error, adjustment, height }) => {
    const bytes = new Uint8Array(4 * (dimensions + 3));
    const view = new DataView(bytes.buffer);
    [...vec, error, adjustment, height].forEach((value, i) => view.setFloat32(4 * i, value));
    return bytes;
  },
  unpack: (raw, at) => {
    if (!(raw instanceof Uint8Array) || raw.length !== 4 * (dimensions + 3)) {
      throw new MalformedError(`${at}: not a coordinate`);
    }
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    const values = Array.from({ length: dimensions + 3 }, (_, i) => view.getFloat32(4 * i));
    return {
      vec: values.slice(0, dimensions),
      error: values[dimensions] as number,
      adjustment: values[dimensions + 1] as number,
      height: values[dimensions + 2] as number,
    };
  },
};

function rawSeconds(a: Coordinate, b: Coordinate): number {
  let sum = 0;
  for (let i = 0; i < dimensions; i++) sum += ((a.vec[i] as number) - (b.vec[i] as number)) ** 2;
  return Math.sqrt(sum) + a.height + b.height;
}

/** Estimated round trip in seconds. */
export function coordinateSeconds(a: Coordinate, b: Coordinate): number {
  const raw = rawSeconds(a, b);
  const adjusted = raw + a.adjustment + b.adjustment;
  return adjusted > 0 ? adjusted : raw;
}

/** This member's own place, moved a little by every measured round trip. */
export class CoordinateClient {
  readonly #random: () => number;
  #coordinate = coordinateOrigin;
  #adjustments: number[] = [];
  #adjustmentAt = 0;
  /** The latest round trips to each: their median is taken, so that one stray does not move this. */
  readonly #latest = new Map<string, number[]>();
  /** How often it had to start again from the origin. */
  resets = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get coordinate(): Coordinate {
    return this.#coordinate;
  }

  forget(id: string): void {
    this.#latest.delete(id);
  }

  /** A round trip to a member that says to be at `other`. False when the measurement is of no use. */
  measured(id: string, other: Coordinate, rttSeconds: number): boolean {
    if (!isCoordinate(other) || !(rttSeconds >= 0 && rttSeconds <= rttSecondsMax)) return false;
    const rtt = Math.max(zero, this.#filtered(id, rttSeconds));
    this.#pull(other, rtt);
    this.#adjust(other, rtt);
    this.#gravitate();
    if (!isCoordinate(this.#coordinate)) {
      this.#coordinate = coordinateOrigin;
      this.#adjustments = [];
      this.resets += 1;
    }
    return true;
  }

  #filtered(id: string, rttSeconds: number): number {
    const samples = this.#latest.get(id) ?? [];
    samples.push(rttSeconds);
    if (samples.length > filterSamples) samples.shift();
    this.#latest.set(id, samples);
    return samples.toSorted((a, b) => a - b)[samples.length >> 1] as number;
  }

  #pull(other: Coordinate, rtt: number): void {
    const own = this.#coordinate;
    const distance = coordinateSeconds(own, other);
    const wrongness = Math.abs(distance - rtt) / rtt;
    const weight = own.error / Math.max(zero, own.error + other.error);
    const error = errorWeight * weight * wrongness + own.error * (1 - errorWeight * weight);
    const moved = this.#pushed(other, forceWeight * weight * (rtt - distance));
    this.#coordinate = { ...moved, error: Math.min(errorMax, error) };
  }

  #adjust(other: Coordinate, rtt: number): void {
    this.#adjustments[this.#adjustmentAt] = rtt - rawSeconds(this.#coordinate, other);
    this.#adjustmentAt = (this.#adjustmentAt + 1) % adjustmentWindow;
    const sum = this.#adjustments.reduce((total, each) => total + each, 0);
    this.#coordinate = { ...this.#coordinate, adjustment: sum / (2 * adjustmentWindow) };
  }

  /** Keeps the whole constellation from drifting away. */
  #gravitate(): void {
    const distance = coordinateSeconds(coordinateOrigin, this.#coordinate);
    this.#coordinate = this.#pushed(coordinateOrigin, -((distance / gravityRho) ** 2));
  }

  #pushed(from: Coordinate, force: number): Coordinate {
    const own = this.#coordinate;
    let unit = own.vec.map((value, i) => value - (from.vec[i] as number));
    const magnitude = Math.hypot(...unit);
    const apart = magnitude > zero;
    if (!apart) unit = unit.map(() => this.#random() - 0.5);
    const length = apart ? magnitude : Math.hypot(...unit) || 1;
    const vec = own.vec.map((value, i) => value + (force * (unit[i] as number)) / length);
    const height = apart
      ? Math.max(heightMin, own.height + (force * (own.height + from.height)) / magnitude)
      : own.height;
    return { ...own, vec, height };
  }
}
