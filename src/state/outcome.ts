/**
 * What a command came to. Nothing changed unless it says so.
 * - `refused`: the command broke a rule; `message` is Consul's text, sent with `status`;
 * - `not-owned`: this gateway may not write the key now.
 */
export type Refusal =
  | { readonly kind: 'refused'; readonly status: 400 | 404 | 409 | 413 | 500; readonly message: string }
  | { readonly kind: 'not-owned'; readonly zone: string; readonly owner: string; readonly reason: string };

export function refused(message: string, status: 400 | 404 | 409 | 413 | 500 = 500): Refusal {
  return { kind: 'refused', status, message };
}
