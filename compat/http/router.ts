import type { Route } from '../routes/route.ts';

export interface Match {
  readonly route: Route;
  /** What follows the route's path. */
  readonly rest: string;
}

/** Finds routes as Go's ServeMux does: an exact path wins, else the longest prefix that ends in a slash. */
export class Router {
  readonly #exact = new Map<string, Route>();
  readonly #prefixes: Route[] = [];

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      if (route.path.endsWith('/') && route.path !== '/') this.#prefixes.push(route);
      else this.#exact.set(route.path, route);
    }
    // Hot routes are looked at first; among the rest the longest match must win.
    this.#prefixes.sort(
      (a, b) => Number(b.hot ?? false) - Number(a.hot ?? false) || b.path.length - a.path.length,
    );
  }

  match(path: string): Match | undefined {
    const exact = this.#exact.get(path);
    if (exact !== undefined) return { route: exact, rest: '' };
    for (const route of this.#prefixes) {
      if (path.startsWith(route.path)) return { route, rest: path.slice(route.path.length) };
    }
    return undefined;
  }

  /** Whether `path` plus a slash is a route: ServeMux then redirects there. */
  wantsSlash(path: string): boolean {
    return this.#prefixes.some((route) => route.path.length === path.length + 1 && route.path === `${path}/`);
  }
}
