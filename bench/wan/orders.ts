// What the benchmark asks of its client in each region, over the IPC channel of the processes. All times are
// milliseconds of CLOCK_MONOTONIC, which every process of a machine reads alike: a write seen by one client and its
// sight seen by another can be subtracted.

/** The server that a client talks to, in its own region. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/** A request as a load sends it again and again. `{n}` in path and body counts up. */
export interface Repeated {
  readonly name: string;
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly body?: string;
}

/** One write, and how long it took. */
export interface Written {
  readonly startedMs: number;
  readonly tookMs: number;
}

/** How the requests of a load of one name fared. */
export interface Fared {
  readonly succeeded: number;
  readonly failed: number;
  readonly tookMs: readonly number[];
  /** The first failure, for people. */
  readonly failure: string;
}

export interface Orders {
  /** One after the other: PUTs of new values to `prefix` + a number. What is done in the first `warmMs` is not told. */
  put: {
    ask: { server: Server; prefix: string; count: number; pauseMs: number; warmMs: number };
    answer: { readonly tookMs: readonly number[] };
  };
  write: { ask: { server: Server; key: string; value: string }; answer: Written };
  /** Blocking queries on a key, one after the other, until `unwatch`; every new value is told as `Seen`. */
  watch: { ask: { server: Server; key: string; query: string; watch: string }; answer: null };
  unwatch: { ask: { watch: string }; answer: null };
  /** Every request each `everyMs`, whatever became of those before, for `forMs`; none may take over `limitMs`. */
  load: {
    ask: {
      server: Server;
      requests: readonly Repeated[];
      everyMs: number;
      forMs: number;
      limitMs: number;
    };
    answer: Readonly<Record<string, Fared>>;
  };
  /** `count` PUTs to different keys under `prefix`, `atOnce` at a time, each tried once. */
  fill: {
    ask: { server: Server; prefix: string; count: number; atOnce: number; limitMs: number };
    answer: Fared;
  };
  /** How many keys the server itself holds under a prefix. */
  count: { ask: { server: Server; prefix: string }; answer: number };
  /** A hash over the keys and values that the server itself holds under a prefix. */
  digest: { ask: { server: Server; prefix: string }; answer: string };
  /** One request; PUT where it has a body. */
  ask: {
    ask: { server: Server; path: string; body?: string };
    answer: { readonly status: number; readonly body: string };
  };
  /** Answers datagrams on `address`, so that others can measure the way here. */
  echo: { ask: { address: string; port: number }; answer: null };
  /** Round trips of datagrams to another region's `echo`, sent from this region's. */
  ping: { ask: { address: string; port: number; count: number }; answer: readonly number[] };
}

export type OrderName = keyof Orders;

export interface Asked<N extends OrderName = OrderName> {
  readonly id: number;
  readonly name: N;
  readonly ask: Orders[N]['ask'];
}

/** Told without being asked for: a watch saw a value for the first time. */
export interface Seen {
  readonly watch: string;
  readonly value: string;
  readonly atMs: number;
}

export type Told =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: string }
  | { readonly seen: Seen };
