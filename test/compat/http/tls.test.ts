import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type PeerCertificate } from 'node:tls';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readTls } from '../../../compat/http/tls.ts';
import type { TlsConfig } from '../../../compat/config/agent-config.ts';
import { TestAuthority, type CertificatePair } from '../../support/certificates.ts';
import { FrontDoor } from './harness.ts';

const authority = new TestAuthority();
const server = authority.issue('server');
const client = authority.issue('client');
const base: TlsConfig = {
  ...server,
  caFile: undefined,
  caPath: undefined,
  minVersion: 'TLSv1.2',
  verifyIncoming: false,
};

let door: FrontDoor;

beforeEach(() => {
  door = new FrontDoor({ server: { connectionsPerClientMax: 2 } });
});

afterEach(async () => {
  await door.close();
});

afterAll(() => authority.remove());

function ask(port: number, path: string, as?: CertificatePair): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      path,
      agent: false,
      ca: readFileSync(authority.caFile),
      ...(as === undefined ? {} : { cert: readFileSync(as.certFile), key: readFileSync(as.keyFile) }),
    });
    asked.on('error', reject);
    asked.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(String(response.statusCode)));
    });
    asked.end();
  });
}

function certificateOf(port: number): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, ca: readFileSync(authority.caFile) }, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('HTTPS', () => {
  const listen = (config: Partial<TlsConfig> = {}, handshakeMs = 5000) =>
    door.server.listen(
      { kind: 'tcp', host: '127.0.0.1', port: 0 },
      readTls({ ...base, ...config }, handshakeMs),
    );

  test('answers as HTTP does, also clients without a certificate', async () => {
    expect(await ask(await listen(), '/v1/kv/nothing')).toBe('404');
  });

  test('refuses clients without a certificate of its CA where it is told to verify them', async () => {
    const port = await listen({ verifyIncoming: true, caFile: authority.caFile });
    await expect(ask(port, '/v1/kv/nothing')).rejects.toThrow(/alert|ECONNRESET|hang up/);
    const other = new TestAuthority();
    await expect(ask(port, '/v1/kv/nothing', other.issue('client'))).rejects.toThrow(
      /alert|ECONNRESET|hang up/,
    );
    other.remove();
    expect(await ask(port, '/v1/kv/nothing', client)).toBe('404');
  });

  test('shows a new certificate to new connections once it was renewed', async () => {
    const port = await listen();
    expect((await certificateOf(port)).subject.CN).toBe('server');
    door.server.renewTls(readTls({ ...base, ...client }, 5000));
    expect((await certificateOf(port)).subject.CN).toBe('client');
  });

  test('counts its connections, and lets go of those that never shake hands', async () => {
    const port = await listen({}, 50);
    const silent = connect({ host: '127.0.0.1', port });
    await new Promise((resolve) => {
      silent.on('close', resolve);
      silent.on('error', () => undefined);
    });
    // More than the limit for one client, one after the other: none may stay counted.
    for (let i = 0; i < 4; i++) {
      expect(await ask(port, '/v1/kv/nothing')).toBe('404');
      while (door.server.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    }
  });

  test('is closed with the rest, whoever is connected', async () => {
    const port = await listen();
    const socket = connectTls({ host: '127.0.0.1', port, ca: readFileSync(authority.caFile) });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.on('secureConnect', resolve));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    await door.server.close(0);
    await expect(closed).resolves.toBeDefined();
    while (door.server.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('certificates', () => {
  test('that cannot be read are named by key and file', () => {
    const missing = join(authority.directory, 'none.pem');
    expect(() => readTls({ ...base, keyFile: missing }, 1)).toThrow(
      `key_file ${JSON.stringify(missing)} cannot be read: there is no such file`,
    );
    expect(() => readTls({ ...base, caPath: missing }, 1)).toThrow('ca_path');
  });

  test('that do not belong together are refused with a sentence', () => {
    expect(() => readTls({ ...base, keyFile: client.keyFile }, 1)).toThrow(
      /The certificates of HTTPS cannot be used \(.*key values mismatch\)/,
    );
  });

  test('of CAs may be a file, a directory, or both', () => {
    const caPath = join(authority.directory, 'cas');
    mkdirSync(caPath);
    copyFileSync(authority.caFile, join(caPath, 'one.pem'));
    copyFileSync(authority.caFile, join(caPath, 'two.pem'));
    expect(readTls(base, 1).ca).toBeUndefined();
    expect(readTls({ ...base, caFile: authority.caFile }, 1).ca).toHaveLength(1);
    expect(readTls({ ...base, caFile: authority.caFile, caPath }, 1).ca).toHaveLength(3);
  });
});
