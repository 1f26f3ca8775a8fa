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
  /** Answers with what came first, and hangs up. */
  readonly stream?: boolean;
}

const answerMsMax = 60_000;
const bytesSentUnasked = 200_000;

/** Makes one request on a connection of its own. */
export function exchange(
  baseUrl: string,
  { method, path, headers, body, chunked, stream }: Exchange,
): Promise<Answer> {
  const { hostname, port } = new URL(baseUrl);
  // A server may refuse a large body by its length, and hang up before it has read it: then the answer is
  // lost in the error of writing. So such a body is sent only when it is asked for.
  const waits = body !== undefined && body.length > bytesSentUnasked && chunked !== true;
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      hostname,
      port,
      method,
      path,
      headers: {
        ...(body === undefined ? {} : lengthHeader(body, chunked === true)),
        ...(waits ? { Expect: '100-continue' } : {}),
        ...headers,
      },
      agent: false,
      timeout: answerMsMax,
    });
    sent.once('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer in ${answerMsMax} ms`)));
    sent.once('error', reject);
    sent.once('response', (response) => {
      const chunks: Buffer[] = [];
      const answered = (): void => {
        const raw = Buffer.concat(chunks);
        const zipped = response.headers['content-encoding'] === 'gzip' && stream !== true;
        resolve({
          status: response.statusCode ?? 0,
          headers: pairs(response.rawHeaders),
          body: zipped ? gunzipSync(raw) : raw,
        });
      };
      response.once('error', reject);
      response.once('end', answered);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if (stream !== true) return;
        answered();
        sent.destroy();
      });
    });
    if (!waits) {
      sent.end(body);
      return;
    }
    sent.once('continue', () => sent.end(body));
    sent.once('response', () => sent.end());
    sent.flushHeaders();
  });
}

function lengthHeader(body: string | Uint8Array, chunked: boolean): Record<string, string> {
  return chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(Buffer.byteLength(body)) };
}

/** The value of a header, whatever its case. */
export function headerOf(answer: Answer, name: string): string | undefined {
  return answer.headers.find(([sent]) => sent.toLowerCase() === name.toLowerCase())?.[1];
}

function pairs(rawHeaders: readonly string[]): (readonly [string, string])[] {
  return rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ''] as const] : []));
}
