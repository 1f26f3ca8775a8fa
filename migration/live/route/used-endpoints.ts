import type { Route } from '../../../compat/routes/route.ts';
import type { ApiRequest } from '../../../compat/wire/http.ts';

/** Names of paths that are no endpoints here, at most: clients choose them. */
const unknownMax = 64;

/** Counts requests that the source answered and that this fleet would refuse, by endpoint. */
export class UsedEndpoints {
  readonly #counts = new Map<string, number>();
  #unknown = 0;

  note(request: ApiRequest, route: Route): void {
    if (route.state !== 'refused' && route.state !== 'later') return;
    const name = `${request.method} ${route.path === '' ? shortened(request.path) : route.path}`;
    const held = this.#counts.get(name);
    if (held === undefined && route.path === '') {
      if (this.#unknown >= unknownMax) return;
      this.#unknown += 1;
    }
    this.#counts.set(name, (held ?? 0) + 1);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/** The endpoint without what comes after its first parts, which may be anything. */
function shortened(path: string): string {
  return path.split('/', 4).join('/').slice(0, 100);
}
