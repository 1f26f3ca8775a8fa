import { request as httpRequest } from 'node:http';
import { gunzipSync } from 'node:zlib';

/** One answer, as it came: nothing followed, nothing decoded but gzip. */
export interface Answer {
  readonly status: number;
  /** Names in the case in which they were sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface Exchange {
  readonly method: string;
  /** Sent as it is: no normalising of `..`, `//` or escapes. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly chunked?: boolean;
}

const answerMsMax = 60_000;

/** Makes one request on a connection of its own. */
export function exchange(
  baseUrl: string,
  { method, path, headers, body, chunked }: Exchange,
): Promise<Answer> {
  const { hostname, port } = new URL(baseUrl);
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      hostname,
      port,
      method,
      path,
      headers: {
        ...(body === undefined || chunked === true
          ? {}
          : { 'Content-Length': String(Buffer.byteLength(body)) }),
        ...headers,
      },
      agent: false,
      timeout: answerMsMax,
    });
    sent.once('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer in ${answerMsMax} ms`)));
    sent.once('error', reject);
    sent.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const raw = Buffer.concat(chunks);
        const zipped = response.headers['content-encoding'] === 'gzip';
        resolve({
          status: response.statusCode ?? 0,
          headers: pairs(response.rawHeaders),
          body: zipped ? gunzipSync(raw) : raw,
        });
      });
    });
    // A server may answer, and hang up, before it has read a body that it refuses.
    sent.on('error', () => {});
    sent.end(body);
  });
}

/** The value of a header, whatever its case. */
export function headerOf(answer: Answer, name: string): string | undefined {
  return answer.headers.find(([sent]) => sent.toLowerCase() === name.toLowerCase())?.[1];
}

function pairs(rawHeaders: readonly string[]): (readonly [string, string])[] {
  return rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ''] as const] : []));
}
