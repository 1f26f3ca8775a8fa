import type { KnownDifferenceId } from './known-differences.ts';

/**
 * A scenario is data: requests in order, the same for every side. Whatever depends on a side (ids,
 * indexes) is captured from its answers and put into later steps as `<<name>>`, or `<<name+5>>`. `<<self>>` is
 * the host and port of the side.
 */
export interface Scenario {
  /** A claim, unique within its area. */
  readonly title: string;
  readonly steps: readonly Step[];
  /** It needs a KV store in which nothing was ever written: no mark is made before it. */
  readonly untouched?: true;
}

export type Step = RequestStep | BlockStep | PauseStep;

/** Which parts of an answer differ on purpose, and the entry of known-differences.ts that says why. */
export interface Declared {
  readonly id: KnownDifferenceId;
  /** Prefixes of what the comparison reports: `status`, `body`, `header Vary`, `body $[0].Type`, … */
  readonly at: readonly string[];
  /** What the gateway answers instead; checked where given. */
  readonly gateway?: Expected;
}

export interface Expected {
  /** Of a waiting read: whether it was answered before its time was over. */
  readonly outcome?: Outcome;
  readonly status?: number;
  /** A part of the body, or a pattern. An empty string means an empty body. */
  readonly body?: string | RegExp;
  readonly headers?: Readonly<Record<string, string | RegExp | null>>;
}

export type Outcome = 'answered' | 'timed out';

export interface StepOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Name -> where: `$.ID`, `$[0].ModifyIndex`, or `header X-Consul-Index`. */
  readonly capture?: Readonly<Record<string, string>>;
  /** What is captured where there is nothing; without it that is an error. */
  readonly captureElse?: string;
  /** What a real Consul is known to answer: keeps a scenario from comparing two misunderstandings. */
  readonly expect?: Expected;
  /** Asks again until the body has this in it: for what an agent does in its own time. */
  readonly until?: string | RegExp;
  /** Paths (`$.Config.*`) of values that differ by nature: only their type is compared. */
  readonly mask?: readonly string[];
  /** Paths that are not compared at all (`$`: the whole body). Each use needs a reason beside it. */
  readonly ignore?: readonly string[];
  /** Paths of lists that come in no order. */
  readonly sorted?: readonly string[];
  /** Only what is at these paths is compared, of a body that is otherwise each program's own. */
  readonly only?: readonly string[];
  /** The X-Consul-Index is a hash, which has no order. */
  readonly hashedIndex?: true;
  /** The answer has no end: what came first is compared, and the connection closed. */
  readonly stream?: true;
  /** Sends the body in chunks, without its length. */
  readonly chunked?: true;
  readonly differs?: Declared | readonly Declared[];
}

export interface RequestStep extends StepOptions {
  readonly kind: 'request';
  readonly method: string;
  /** Path and query, sent as they are. */
  readonly path: string;
  readonly body?: string | Uint8Array;
}

/** A request that is waiting while `during` happens. Its `wait` parameter is added here. */
export interface BlockStep extends StepOptions {
  readonly kind: 'block';
  readonly path: string;
  readonly waitMs: number;
  readonly during: readonly Step[];
}

/** For what has a duration and no event, such as a lock-delay. */
export interface PauseStep {
  readonly kind: 'pause';
  readonly ms: number;
  readonly why: string;
}

export function scenario(title: string, ...steps: readonly Step[]): Scenario {
  return { title, steps };
}

export function get(path: string, options: StepOptions = {}): RequestStep {
  return { kind: 'request', method: 'GET', path, ...options };
}

/** An object as body is sent as JSON. */
export function put(
  path: string,
  body?: string | Uint8Array | object,
  options: StepOptions = {},
): RequestStep {
  return request('PUT', path, body, options);
}

export function del(path: string, options: StepOptions = {}): RequestStep {
  return { kind: 'request', method: 'DELETE', path, ...options };
}

export function request(
  method: string,
  path: string,
  body?: string | Uint8Array | object,
  options: StepOptions = {},
): RequestStep {
  const sent =
    body === undefined || typeof body === 'string' || body instanceof Uint8Array
      ? body
      : JSON.stringify(body);
  return { kind: 'request', method, path, ...(sent === undefined ? {} : { body: sent }), ...options };
}

/** Waits for a change that `during` makes. The wait is long: only a missed wake-up ever reaches its end. */
export function woken(path: string, during: readonly Step[], options: StepOptions = {}): BlockStep {
  return {
    kind: 'block',
    path,
    waitMs: 20_000,
    during,
    ...options,
    expect: { outcome: 'answered', ...options.expect },
  };
}

/** Waits for its whole time, since nothing that `during` does concerns it. */
export function timesOut(path: string, during: readonly Step[], options: StepOptions = {}): BlockStep {
  return {
    kind: 'block',
    path,
    waitMs: 700,
    during,
    ...options,
    expect: { outcome: 'timed out', ...options.expect },
  };
}

export function pause(ms: number, why: string): PauseStep {
  return { kind: 'pause', ms, why };
}

/** Puts captured values in the place of `<<name>>` and `<<name+N>>`. */
export function substitute(text: string, captured: ReadonlyMap<string, string>): string {
  return text.replaceAll(/<<(\w+)(?:([+-])(\d+))?>>/g, (_, name: string, sign?: string, amount?: string) => {
    const value = captured.get(name);
    if (value === undefined) throw new Error(`nothing was captured as ${name}`);
    if (sign === undefined || amount === undefined) return value;
    return String(sign === '+' ? BigInt(value) + BigInt(amount) : BigInt(value) - BigInt(amount));
  });
}

export function declaredOf(step: RequestStep | BlockStep): readonly Declared[] {
  const { differs } = step;
  if (differs === undefined) return [];
  return 'id' in differs ? [differs] : differs;
}
