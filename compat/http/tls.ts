import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureVersion } from 'node:tls';
import { StartProblem } from '../../src/kernel/start-problem.ts';
import type { TlsConfig } from '../config/agent-config.ts';

/** What an HTTPS listener needs, in the form of Node's `https.createServer`. */
export interface TlsOptions {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer[];
  readonly minVersion: SecureVersion;
  /** Clients must show a certificate that `ca` signed. */
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly handshakeTimeout: number;
}

/**
 * Reads the certificates that HTTPS is served with.
 * @throws StartProblem, which names the key of the configuration and the file.
 */
export function readTls(config: TlsConfig, handshakeMsMax: number): TlsOptions {
  const ca = [
    ...(isSet(config.caFile) ? [readPem('ca_file', config.caFile)] : []),
    ...(isSet(config.caPath) ? readPems('ca_path', config.caPath) : []),
  ];
  const tls: TlsOptions = {
    cert: readPem('cert_file', config.certFile ?? ''),
    key: readPem('key_file', config.keyFile ?? ''),
    // Without a CA of its own Node would take those of the system, whose clients nobody meant.
    ...(ca.length === 0 ? {} : { ca }),
    minVersion: config.minVersion,
    requestCert: config.verifyIncoming,
    rejectUnauthorized: config.verifyIncoming,
    handshakeTimeout: handshakeMsMax,
  };
  try {
    createSecureContext(tls);
  } catch (error) {
    const files = [config.certFile, config.keyFile, config.caFile, config.caPath].filter(isSet);
    throw new StartProblem(
      `The certificates of HTTPS cannot be used (${(error as Error).message}): check that these are PEM files, and ` +
        `that the key belongs to the certificate: ${files.join(', ')}`,
      { cause: error },
    );
  }
  return tls;
}

function isSet(path: string | undefined): path is string {
  return path !== undefined && path !== '';
}

function readPem(key: string, path: string): Buffer {
  return explained(key, path, () => readFileSync(path));
}

function readPems(key: string, directory: string): readonly Buffer[] {
  return explained(key, directory, () =>
    readdirSync(directory, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => readFileSync(join(directory, entry.name))),
  );
}

function explained<T>(key: string, path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw new StartProblem(`${key} ${JSON.stringify(path)} cannot be read: ${why}`, { cause: error });
  }
}
