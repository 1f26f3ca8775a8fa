import { eventReaches, type EventPlace, type UserEvent } from './user-event.ts';

/** Topic that reads of the event list depend on. */
export const eventsTopic = 'events';

/** Events that are remembered, as in Consul: the list is for those who look soon. */
const eventsMax = 256;

export interface EventLogOptions {
  /** What filters are matched against, asked anew for each event. */
  readonly here: () => EventPlace;
  /** Tells an event that was fired here to all other gateways. */
  readonly tell?: (event: UserEvent) => void;
  /** Something new is in the list: whoever depends on `eventsTopic` must look again. */
  readonly onChange: () => void;
}

/** The last events that reached this gateway. Not kept on disk, as in Consul. */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #ring: UserEvent[] = [];
  /** Serf's event clock starts at 1 and is moved on before each use. */
  #clock = 1;

  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  /** Tells an event to this gateway and to all others. */
  fire(event: UserEvent): void {
    const timed = { ...event, lTime: this.#clock + 1 };
    this.receive(timed);
    this.#options.tell?.(timed);
  }

  /** An event arrived; what is not for this gateway only moves its clock. */
  receive(event: UserEvent): void {
    this.#clock = Math.max(this.#clock, event.lTime);
    if (!eventReaches(event, this.#options.here())) return;
    if (this.#ring.length === eventsMax) this.#ring.shift();
    this.#ring.push(event);
    this.#options.onChange();
  }

  /** Oldest first; with a name, only events of exactly that name. */
  list(name = ''): readonly UserEvent[] {
    return name === '' ? [...this.#ring] : this.#ring.filter((event) => event.name === name);
  }
}
