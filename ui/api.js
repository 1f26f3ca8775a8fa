const base = '/v1/grapevine/migration';
/** Steps wait for gateways, verifications and plans read everything. */
export const orderMs = 600_000;
const questionMs = 10_000;

/** @typedef {{ readonly ok: true, readonly body: unknown } | { readonly ok: false, readonly status: number, readonly why: string }} Answer */

/**
 * @param {string} path below the migration's
 * @param {number} [waitMs]
 */
export function ask(path, waitMs = questionMs) {
  return request(`${base}/${path}`, { cache: 'no-store', signal: AbortSignal.timeout(waitMs) });
}

/**
 * @param {string} what
 * @param {object} body
 */
export function order(what, body) {
  return request(`${base}/${what}`, {
    method: 'PUT',
    // Not sent by a page of another origin without asking, and asked for by the gateway.
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(orderMs),
  });
}

/** Whether whoever looks may order. */
export function rights() {
  return request('rights.json', { cache: 'no-store', signal: AbortSignal.timeout(questionMs) });
}

/**
 * Never rejects. Status 0: no answer.
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Answer>}
 */
async function request(path, init) {
  try {
    const response = await fetch(path, { ...init, credentials: 'same-origin', redirect: 'error' });
    const text = await response.text();
    if (!response.ok)
      return { ok: false, status: response.status, why: text === '' ? `status ${response.status}` : text };
    return { ok: true, body: text === '' ? {} : JSON.parse(text) };
  } catch (error) {
    if (error instanceof DOMException && error.name === 'TimeoutError')
      return { ok: false, status: 0, why: 'no answer in time' };
    return { ok: false, status: 0, why: 'the gateway cannot be reached' };
  }
}
