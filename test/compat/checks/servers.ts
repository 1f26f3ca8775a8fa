import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { gzipSync } from 'node:zlib';

/** What the checked web server answers, by path. */
function answer(request: IncomingMessage, body: string, response: ServerResponse): void {
  const path = request.url ?? '';
  const send = (status: number, text: string, headers: Record<string, string> = {}): void => {
    response.writeHead(status, headers);
    response.end(text);
  };
  if (path === '/echo')
    return send(200, `${request.method} ${JSON.stringify(request.rawHeaders)} body=${body}`);
  if (path === '/big') return send(200, Array.from({ length: 1000 }, (_, i) => `line${i}`).join('\n'));
  if (path === '/redirect') return send(302, 'x', { location: '/echo' });
  if (path === '/repeat') return send(307, 'x', { location: '/echo' });
  if (path === '/nowhere') return send(302, 'x');
  if (path === '/loop') return send(302, 'x', { location: '/loop' });
  if (path === '/hang') return;
  if (path === '/reset') return void request.socket.destroy();
  if (path === '/odd') {
    response.writeHead(299, 'Weird Thing');
    return void response.end('odd');
  }
  if (path === '/hang-in-body') {
    response.writeHead(200);
    return void response.write('part');
  }
  if (path === '/cut') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('part', () => request.socket.destroy());
    return;
  }
  if (path === '/gzip') {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    return void response.end(gzipSync('z'.repeat(100_000)));
  }
  return send(Number(path.slice(1)), 'said');
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.on('data', (chunk) => (body += String(chunk)));
  request.on('end', () => answer(request, body, response));
}

export type TestServer = { readonly port: number; close(): Promise<void> };

export async function startWebServer(tls?: {
  readonly key: string;
  readonly cert: string;
}): Promise<TestServer> {
  const server = tls === undefined ? createServer(serve) : createHttps(tls, serve);
  const started = await listen(server);
  return {
    port: started.port,
    close: async () => {
      (server as HttpServer).closeAllConnections();
      await started.close();
    },
  };
}

export async function listen(server: Server): Promise<TestServer> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

/** A port of 127.0.0.1 on which nothing listens. */
export const closedPort = 1;
