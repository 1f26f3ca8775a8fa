import type { PassedReply } from '../../../compat/http/interceptor.ts';
import type { ApiRequest } from '../../../compat/wire/http.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { Observed, PartContext } from '../ports.ts';

interface Passed {
  readonly request: ApiRequest;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly reply: PassedReply;
}

/** Tells shadow reads what the source answered clients, once they have it, many at a time. */
export class ObservedPassed {
  readonly #context: Pick<PartContext, 'gateway' | 'evidence'>;
  readonly #passed: Passed[] = [];

  constructor(context: Pick<PartContext, 'gateway' | 'evidence'>) {
    this.#context = context;
  }

  /** One under compared rules that was passed on at `startedMs` (monotonic). */
  follow(
    request: ApiRequest,
    rules: readonly PhaseRule[],
    startedMs: number,
    reply: Promise<PassedReply>,
  ): void {
    if (this.#context.evidence.wants?.(request, rules) === false) return;
    reply.then((answered) => this.#note(request, startedMs, answered), tellsNothing);
  }

  #note(request: ApiRequest, startedMs: number, reply: PassedReply): void {
    // The client's answer is on its way when the event loop comes to it.
    if (this.#passed.length === 0) setImmediate(() => this.#tell());
    this.#passed.push({ request, startedMs, endedMs: this.#context.gateway.monoMs(), reply });
  }

  #tell(): void {
    const { evidence } = this.#context;
    for (const passed of this.#passed.splice(0)) evidence.observed(observedOf(passed));
  }
}

/** A client that went away, or was sent on. */
const tellsNothing = (): void => undefined;

function observedOf({ request, startedMs, endedMs, reply }: Passed): Observed {
  const { status, headers, body } = reply;
  let index = 0;
  let contentType: string | undefined;
  let encoding: string | undefined;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    // By length first: this is done for every read.
    switch (name.length) {
      case 14:
        if (isNamed(name, 'X-Consul-Index', 'x-consul-index')) index = Number(value);
        break;
      case 12:
        if (isNamed(name, 'Content-Type', 'content-type')) contentType = value;
        break;
      case 16:
        if (isNamed(name, 'Content-Encoding', 'content-encoding')) encoding = value;
    }
  }
  return {
    ...{ request, answeredBy: 'source', status, index, tookMs: endedMs - startedMs, endedMs },
    body: body instanceof Uint8Array ? body : null,
    ...(encoding === undefined ? {} : { encoding }),
    ...(contentType === undefined ? {} : { contentType }),
  };
}

function isNamed(name: string, asConsul: string, lower: string): boolean {
  return name === asConsul || name.toLowerCase() === lower;
}
