import http from 'node:http';
import type { AddressInfo } from 'node:net';

// The limit of what passes through Node: a proxy that does nothing but pass requests on, in a process of its own.
//
//   node bare-proxy.ts PORT    on the loopback; tells its own port over IPC, and ends with its parent

const port = Number(process.argv[2]);
const agent = new http.Agent({ keepAlive: true });

const server = http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  void (async () => {
    const body = await whole(request);
    const { method, url: path } = request;
    const passed = http.request({
      ...{ host: '127.0.0.1', port, method, path, agent },
      headers: { 'content-length': body.length },
    });
    passed.on('response', (answer) => {
      void whole(answer).then((said) => {
        response.writeHead(answer.statusCode ?? 0, { 'content-length': said.length });
        response.end(said);
      });
    });
    passed.on('error', () => response.destroy());
    passed.end(body);
  })();
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());

async function whole(message: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
