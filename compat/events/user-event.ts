import { RE2JS, RE2JSSyntaxException } from 're2js';

/** A user event: a name and a few bytes, told to all nodes that its filters let through. */
export interface UserEvent {
  readonly id: string;
  readonly name: string;
  readonly payload: Uint8Array;
  /** Regular expressions (RE2); empty lets everything through. */
  readonly nodeFilter: string;
  readonly serviceFilter: string;
  readonly tagFilter: string;
  /** Version of the event's form; others than 1 are not understood. */
  readonly version: number;
  /** Lamport time at which it was received; 0 while it is only fired. */
  readonly lTime: number;
}

/** What filters are matched against: the node, and the services of its own agent. */
export interface EventPlace {
  readonly nodeName: string;
  readonly services: readonly { readonly service: string; readonly tags: readonly string[] }[];
}

/** What is wrong with an event, in Consul's words; undefined when nothing is. */
export function eventProblem(event: Omit<UserEvent, 'id' | 'version' | 'lTime'>): string | undefined {
  if (event.tagFilter !== '' && event.serviceFilter === '') {
    return 'Cannot provide tag filter without service filter';
  }
  const filters = [
    ['node', event.nodeFilter],
    ['service', event.serviceFilter],
    ['tag', event.tagFilter],
  ] as const;
  for (const [name, pattern] of filters) {
    // No event with such a filter would be small enough: it is refused for that, below.
    if (pattern.length > eventBytesMax) continue;
    const problem = patternProblem(pattern);
    if (problem !== undefined) return `Invalid ${name} filter: ${problem}`;
  }
  return sizeProblem(event);
}

function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return undefined;
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return error.message;
    throw error;
  }
}

/** Serf's limit for one event (user_event_size_limit): what fits one gossip packet beside others. */
const eventBytesMax = 512;

/**
 * Serf counts the event as it would be gossiped: MessagePack in a name that repeats the event's. The constants are
 * those of that encoding; the largest payload of each kind was measured on Consul 1.8.7.
 */
function sizeProblem(event: Omit<UserEvent, 'id' | 'version' | 'lTime'>): string | undefined {
  const name = utf8Length(event.name);
  const payload = event.payload.length;
  const payloadHead = payload === 0 ? 0 : payload <= 255 ? 4 : 5;
  let encoded = 48 + name + (name > 31 ? 1 : 0) + payloadHead + payload;
  for (const filter of [event.nodeFilter, event.serviceFilter, event.tagFilter]) {
    if (filter !== '') encoded += 4 + utf8Length(filter);
  }
  const serfName = 13 + name;
  const limit = `exceeds configured limit of ${eventBytesMax} bytes`;
  let problem: string | undefined;
  if (serfName + encoded > eventBytesMax) problem = `user event ${limit} before encoding`;
  else if (30 + serfName + (serfName > 31 ? 2 : 0) + encoded > eventBytesMax) {
    problem = `encoded user event ${limit} after encoding`;
  }
  if (problem === undefined) return undefined;
  return `1 error occurred:\n\t* error broadcasting event to segment "": ${problem}\n\n`;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Whether an event is for this place: its node, and (when asked for) a service of its agent with the tag. */
export function eventReaches(event: UserEvent, place: EventPlace): boolean {
  if (event.version !== 1) return false;
  if (event.nodeFilter !== '' && !matches(event.nodeFilter, place.nodeName)) return false;
  if (event.serviceFilter === '') return true;
  return place.services.some(
    ({ service, tags }) =>
      matches(event.serviceFilter, service) &&
      (event.tagFilter === '' || tags.some((tag) => matches(event.tagFilter, tag))),
  );
}

function matches(pattern: string, text: string): boolean {
  try {
    return RE2JS.compile(pattern).matcher(text).find();
  } catch {
    // Fired by a gateway that took it: not an event for us.
    return false;
  }
}

/**
 * The index under which an event is listed: its id, folded to 64 bits as Consul folds it, so a client that waits
 * on an index from another agent waits on the same event. It says nothing about order.
 */
export function eventIndex(id: string): bigint {
  const digits = id.replaceAll('-', '');
  return BigInt(`0x${digits.slice(0, 16)}`) ^ BigInt(`0x${digits.slice(16)}`);
}
