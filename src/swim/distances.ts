import { CoordinateClient, coordinateSeconds, isCoordinate, type Coordinate } from './coordinates.ts';
import { measuredRoundTrip, type RoundTrip } from './round-trips.ts';

/** How far the others are: measured where they were probed, else estimated by coordinates. */
export class Distances {
  readonly #client: CoordinateClient;
  readonly #roundTrips = new Map<string, RoundTrip>();
  readonly #places = new Map<string, Coordinate>();
  /** Coordinates, or measurements, that cannot be. */
  rejected = 0;

  constructor(random: () => number) {
    this.#client = new CoordinateClient(random);
  }

  get coordinate(): Coordinate {
    return this.#client.coordinate;
  }

  get resets(): number {
    return this.#client.resets;
  }

  /** `place`: where the other says that it is. */
  measured(id: string, rttMs: number, place: Coordinate | null): void {
    if (rttMs < 0) return;
    this.#roundTrips.set(id, measuredRoundTrip(this.#roundTrips.get(id), rttMs));
    if (place !== null && !this.#client.measured(id, place, rttMs / 1000)) this.rejected += 1;
  }

  learn(id: string, place: Coordinate | null): void {
    if (place === null) return;
    if (isCoordinate(place)) this.#places.set(id, place);
    else this.rejected += 1;
  }

  forget(id: string): void {
    this.#roundTrips.delete(id);
    this.#places.delete(id);
    this.#client.forget(id);
  }

  placeOf(id: string): Coordinate | undefined {
    return this.#places.get(id);
  }

  roundTrip(id: string): RoundTrip | undefined {
    return this.#roundTrips.get(id);
  }

  estimateMs(id: string): number | undefined {
    const place = this.#places.get(id);
    return place === undefined ? undefined : coordinateSeconds(this.coordinate, place) * 1000;
  }

  /** Measured, else estimated. */
  ms(id: string): number | undefined {
    return this.#roundTrips.get(id)?.smoothedMs ?? this.estimateMs(id);
  }

  /** Between two others, estimated. */
  betweenMs(a: string, b: string): number | undefined {
    const from = this.#places.get(a);
    const to = this.#places.get(b);
    return from === undefined || to === undefined ? undefined : coordinateSeconds(from, to) * 1000;
  }
}
