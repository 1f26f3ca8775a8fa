import type { ServerResponse } from 'node:http';
import type { Route } from '../routes/route.ts';
import type { ApiRequest } from '../wire/http.ts';
import type { Answered, Interceptor } from './interceptor.ts';

/** Answers of this gateway that somebody wants to know about: told once they are on their way to the client. */
export class WatchedAnswers {
  readonly #tell = new WeakMap<ServerResponse, (answered: Omit<Answered, 'tookMs'>) => void>();

  begin(res: ServerResponse, interceptor: Interceptor, request: ApiRequest, route: Route): void {
    const tell = interceptor.watches?.(request, route);
    if (tell === undefined) return;
    const startedMs = performance.now();
    this.#tell.set(res, (answered) => {
      this.#tell.delete(res);
      res.once('finish', () =>
        setImmediate(() => tell({ ...answered, tookMs: performance.now() - startedMs })),
      );
    });
  }

  answered(res: ServerResponse, answered: Omit<Answered, 'tookMs'>): void {
    this.#tell.get(res)?.(answered);
  }
}
