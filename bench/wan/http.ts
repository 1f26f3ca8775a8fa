import { Agent, request as httpRequest } from 'node:http';
import type { Server } from './orders.ts';

// Plain node:http: fetch costs several times as much, and what is measured here may take less than a millisecond.

export interface HttpRequest {
  readonly method?: 'GET' | 'PUT';
  readonly path: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly body: string;
  /** X-Consul-Index; '0' where there is none. */
  readonly index: string;
}

const agent = new Agent({ keepAlive: true });

/** Milliseconds of the clock that all processes of this machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function request(server: Server, { method, path, body, signal }: HttpRequest): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        agent,
        host: server.host,
        port: server.port,
        path,
        method: method ?? 'GET',
        ...(signal === undefined ? {} : { signal }),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.once('error', reject);
        response.once('end', () => {
          const index = String(response.headers['x-consul-index'] ?? '0');
          resolve({ status: response.statusCode ?? 0, body: text, index });
        });
      },
    );
    sent.once('error', reject);
    sent.end(method === 'PUT' ? (body ?? '') : undefined);
  });
}
