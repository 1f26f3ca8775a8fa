/**
 * What Go's ServeMux and Consul's handlers do with a request path before any route sees it.
 * - `redirect`: the decoded path was not clean (`//`, `.`, `..`): 301 to the clean one, decoded here, as Consul answers;
 * - `unprintable`: 400 with an empty body, as Consul answers;
 * - `malformed`: an escape that does not decode to UTF-8: 400.
 */
export type CleanPath =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'redirect'; readonly path: string }
  | { readonly kind: 'unprintable' }
  | { readonly kind: 'malformed' };

const plainPath = /^\/[A-Za-z0-9_\-~!$&'()*+,;=:@/. ]*$/;
const unprintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

export function cleanPath(rawPath: string): CleanPath {
  // Nearly all paths: nothing to decode and nothing to clean.
  if (plainPath.test(rawPath) && !rawPath.includes('//') && !rawPath.includes('/.')) {
    return { kind: 'path', path: rawPath };
  }
  let path: string;
  try {
    path = decodeURIComponent(rawPath);
  } catch {
    return { kind: 'malformed' };
  }
  if (unprintable.test(path)) return { kind: 'unprintable' };
  const clean = goPathClean(path);
  if (clean !== path) return { kind: 'redirect', path: clean };
  return { kind: 'path', path };
}

/** Go's `path.Clean` with a trailing slash kept, as net/http's `cleanPath` does. */
export function goPathClean(path: string): string {
  const rooted = path.startsWith('/') ? path : `/${path}`;
  const out: string[] = [];
  for (const segment of rooted.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') out.pop();
    else out.push(segment);
  }
  const clean = `/${out.join('/')}`;
  return rooted.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** Go's `URL.EscapedPath` of a decoded path. */
export function escapePath(path: string): string {
  return encodeURI(path).replaceAll(
    /[?#[\]!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

/** Text as it may stand in HTML, escaped as Go's `http.Redirect` does. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => htmlEscapes[char] ?? char);
}
