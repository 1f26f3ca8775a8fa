import type { Command, CommandOutcome } from '../../src/state/command.ts';
import { coordinateSet, type Coordinate } from '../../src/state/coordinates.ts';
import type { ReadView } from '../../src/state/store.ts';
import type { FleetPort } from '../fleet/port.ts';
import type { RunnerPorts } from '../checks/ports.ts';

export interface OwnCoordinateOptions {
  readonly node: string;
  readonly fleet: Pick<FleetPort, 'coordinate'>;
  readonly view: ReadView;
  readonly propose: (command: Command, done: (outcome: CommandOutcome) => void) => void;
  readonly ports: Pick<RunnerPorts, 'setTimer'>;
}

/** How often the gateway looks where it is. Consul's agents send every 15 s, moved or not. */
const intervalMs = 20_000;

/** Steps that say nothing: below this, in seconds, and below this part of the way from the origin. Guesses. */
const movedSecondsMin = 0.0002;
const movedPartMin = 0.1;

/**
 * Writes this gateway's coordinate to the catalog when it moved noticeably: every such write goes to all gateways, so
 * a fleet that has found its places writes none.
 */
export class OwnCoordinate {
  readonly #options: OwnCoordinateOptions;
  #cancel: (() => void) | undefined;

  constructor(options: OwnCoordinateOptions) {
    this.#options = options;
  }

  start(): void {
    this.#cancel = this.#options.ports.setTimer(intervalMs, () => {
      this.start();
      this.#look();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    const { node, fleet, view, propose } = this.#options;
    const now = fleet.coordinate();
    if (now === undefined) return;
    const held = coordinateSet(view, node).get('');
    if (held !== undefined && !movedNoticeably(held, now)) return;
    const { vec, error, adjustment, height } = now;
    const coordinate = { node, segment: '', vec, error, adjustment, height };
    // As what the agent says of its own node: no zone has a say in it. One that is lost is written next time.
    propose(
      { kind: 'local', puts: [], deletes: [], catalog: [{ kind: 'coordinate-update', coordinate }] },
      () => undefined,
    );
  }
}

/** Whether the distances to others, or how far they can be trusted, are another matter than before. */
export function movedNoticeably(held: Coordinate, now: Coordinate): boolean {
  const way =
    distance(held.vec, now.vec) +
    Math.abs(held.height - now.height) +
    Math.abs(held.adjustment - now.adjustment);
  const fromOrigin = distance(now.vec, []) + now.height;
  if (way > Math.max(movedSecondsMin, movedPartMin * fromOrigin)) return true;
  return now.error > 2 * held.error || held.error > 2 * now.error;
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((value, i) => value - (b[i] ?? 0)));
}
