import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CheckDefinition, emptyCheck } from '../../../compat/checks/definition.ts';
import { httpProbe } from '../../../compat/checks/probe-http.ts';
import { makeCertificate } from './certificate.ts';
import { closedPort, startWebServer, type TestServer } from './servers.ts';

let web: TestServer;
let secure: TestServer;
let base: string;
let secureBase: string;

beforeAll(async () => {
  web = await startWebServer();
  secure = await startWebServer(makeCertificate('foo.test'));
  base = `http://127.0.0.1:${web.port}`;
  secureBase = `https://127.0.0.1:${secure.port}`;
});

afterAll(async () => {
  await web.close();
  await secure.close();
});

function probe(url: string, fields: Partial<CheckDefinition> = {}, outputBytesMax = 4096) {
  const definition = { ...emptyCheck, http: url, intervalNs: 1e9, ...fields };
  return httpProbe(definition, outputBytesMax)(new AbortController().signal);
}

describe('the status', () => {
  test.each([
    ['/200', 'passing', '200 OK Output: said'],
    ['/204', 'passing', '204 No Content Output: '],
    ['/odd', 'passing', '299 Weird Thing Output: odd'],
    ['/304', 'critical', '304 Not Modified Output: '],
    ['/404', 'critical', '404 Not Found Output: said'],
    ['/429', 'warning', '429 Too Many Requests Output: said'],
    ['/500', 'critical', '500 Internal Server Error Output: said'],
    ['/799', 'critical', '799 unknown Output: said'],
  ])('of %s is %s', async (path, status, output) => {
    expect(await probe(base + path)).toEqual({ status, output: `HTTP GET ${base}${path}: ${output}` });
  });
});

describe('the request', () => {
  test('looks like that of Consul 1.8.7', async () => {
    const { output } = await probe(`${base}/echo`);
    for (const header of [
      `"Host","127.0.0.1:${web.port}"`,
      '"User-Agent","Consul Health Check"',
      '"Accept","text/plain, text/*, */*"',
      '"Accept-Encoding","gzip"',
      '"Connection","close"',
    ]) {
      expect(output).toContain(header);
    }
  });

  test('carries method, body and headers of the check, every value of them', async () => {
    const { output } = await probe(`${base}/echo`, {
      method: 'POST',
      body: 'hello ü',
      header: { 'x-foo': ['a', 'b'], Host: ['my.host'], 'User-Agent': ['mine'], 'Content-Length': ['3'] },
    });
    expect(output).toContain('Output: POST ');
    expect(output).toContain('body=hello ü');
    for (const header of [
      '"x-foo","a"',
      '"x-foo","b"',
      '"Host","my.host"',
      '"User-Agent","mine"',
      '"Content-Length","8"',
    ]) {
      expect(output).toContain(header);
    }
  });

  test.each([
    ['bogus', 'Get "bogus": unsupported protocol scheme ""'],
    ['ftp://x/', 'Get "ftp://x/": unsupported protocol scheme "ftp"'],
    ['http://a b/', 'parse "http://a b/": invalid character " " in host name'],
  ])('to %s is not made', async (url, output) => {
    expect(await probe(url)).toEqual({ status: 'critical', output });
  });

  test('with a method or header that cannot be sent is not made', async () => {
    expect(await probe(base, { method: 'B AD' })).toEqual({
      status: 'critical',
      output: 'net/http: invalid method "B AD"',
    });
    const { output } = await probe(base, { header: { 'a b': ['x'] } });
    expect(output).toBe(`Get "${base}": net/http: invalid header field name "a b"`);
  });
});

describe('redirects', () => {
  test('turn a POST into a GET without body that says where it came from', async () => {
    const { status, output } = await probe(`${base}/redirect`, { method: 'POST', body: 'b' });
    expect(status).toBe('passing');
    expect(output).toContain(`HTTP POST ${base}/redirect: 200 OK Output: GET `);
    expect(output).toContain(`"Referer","${base}/redirect"`);
    expect(output).toMatch(/body=$/);
  });

  test('of kind 307 repeat method and body', async () => {
    const { output } = await probe(`${base}/repeat`, { method: 'PUT', body: 'b' });
    expect(output).toContain('Output: PUT ');
    expect(output).toMatch(/body=b$/);
  });

  test('end after ten', async () => {
    expect(await probe(`${base}/loop`)).toEqual({
      status: 'critical',
      output: 'Get "/loop": stopped after 10 redirects',
    });
  });

  test('to nowhere are critical', async () => {
    expect((await probe(`${base}/nowhere`)).output).toBe(
      `Get "${base}/nowhere": 302 response missing Location header`,
    );
  });

  test('are not followed when disabled', async () => {
    expect(await probe(`${base}/redirect`, { disableRedirects: true })).toEqual({
      status: 'critical',
      output: `HTTP GET ${base}/redirect: 302 Found Output: x`,
    });
  });
});

describe('the output', () => {
  test('shows the end of a long body', async () => {
    const { output } = await probe(`${base}/big`, {}, 20);
    expect(output).toBe(`HTTP GET ${base}/big: 200 OK Output: e997\nline998\nline999`);
  });

  test('is unzipped and bounded', async () => {
    const { output } = await probe(`${base}/gzip`, {}, 10);
    expect(output).toBe(`HTTP GET ${base}/gzip: 200 OK Output: zzzzzzzzzz`);
  });

  test.each(['/hang-in-body', '/cut'])('is what came of a body that never ends well: %s', async (path) => {
    expect(await probe(base + path, { timeoutNs: 200e6 })).toEqual({
      status: 'passing',
      output: `HTTP GET ${base}${path}: 200 OK Output: part`,
    });
  });
});

describe('a failure', () => {
  test('to answer in time', async () => {
    expect(await probe(`${base}/hang`, { timeoutNs: 100e6 })).toEqual({
      status: 'critical',
      output: `Get "${base}/hang": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    });
  });

  test('to connect, with and without a listener', async () => {
    const dead = `http://127.0.0.1:${closedPort}/`;
    expect((await probe(dead)).output).toBe(
      `Get "${dead}": dial tcp 127.0.0.1:${closedPort}: connect: connection refused`,
    );
    expect((await probe(`${base}/reset`)).output).toBe(`Get "${base}/reset": EOF`);
  });

  test('never shows a password', async () => {
    const { output } = await probe(`http://me:secret@127.0.0.1:${closedPort}/`);
    expect(output).toContain('me:***@');
    expect(output).not.toContain('secret');
  });

  test('is over as soon as the run is cancelled', async () => {
    const controller = new AbortController();
    const running = httpProbe({ ...emptyCheck, http: `${base}/hang` }, 10)(controller.signal);
    controller.abort();
    expect((await running).status).toBe('critical');
  });
});

describe('TLS', () => {
  test('is verified', async () => {
    expect((await probe(`${secureBase}/200`, { tlsServerName: 'foo.test' })).output).toBe(
      `Get "${secureBase}/200": x509: certificate signed by unknown authority`,
    );
  });

  test('is not verified when asked not to', async () => {
    expect((await probe(`${secureBase}/200`, { tlsSkipVerify: true })).status).toBe('passing');
  });

  test('towards a plain server, and plain towards TLS, fail in words', async () => {
    const wrong = `https://127.0.0.1:${web.port}/200`;
    expect((await probe(wrong)).output).toBe(
      `Get "${wrong}": http: server gave HTTP response to HTTPS client`,
    );
    expect((await probe(`http://127.0.0.1:${secure.port}/200`)).status).toBe('critical');
  });
});
