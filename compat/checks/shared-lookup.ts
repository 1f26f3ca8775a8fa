import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';

type Answered = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[] | undefined) => void;
type Lookup = (hostname: string, options: LookupOptions & { all: true }, answered: Answered) => void;

/** A lookup as `net.connect` and its kin take it. */
export type SharedLookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/**
 * The system's lookup, where those that ask for the same name at the same time share one answer, and few
 * are under way at once. Each blocks a thread of the four that Node also compresses and reads files with:
 * a thousand checks of names beside a dead DNS server would otherwise stall all of that.
 */
export function shareLookups(lookup: Lookup, runningMax: number): SharedLookup {
  const waiting = new Map<string, Answered[]>();
  const queue: (() => void)[] = [];
  let running = 0;

  function begin(key: string, hostname: string, options: LookupOptions): void {
    running += 1;
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      running -= 1;
      queue.shift()?.();
      const asked = waiting.get(key) ?? [];
      waiting.delete(key);
      for (const answered of asked) answered(error, addresses);
    });
  }

  return (hostname, options, callback) => {
    const answered: Answered = (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined || options.all === true) callback(error, addresses ?? []);
      else callback(null, first.address, first.family);
    };
    const key = JSON.stringify([hostname, options.family, options.hints, options.order]);
    const present = waiting.get(key);
    if (present !== undefined) {
      present.push(answered);
      return;
    }
    waiting.set(key, [answered]);
    if (running < runningMax) begin(key, hostname, options);
    else queue.push(() => begin(key, hostname, options));
  };
}

/** Half of Node's threads (UV_THREADPOOL_SIZE, by default 4). */
const lookupsMax = 2;

export const sharedLookup: SharedLookup = shareLookups(systemLookup, lookupsMax);
