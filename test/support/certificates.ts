import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its key, as PEM files. */
export interface CertificatePair {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certification authority for tests, in a directory of its own; made with the `openssl` command. */
export class TestAuthority {
  readonly directory: string;
  readonly #ca: CertificatePair;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'grapevine-test-ca-'));
    this.#ca = this.#pair('ca');
    openssl('req', '-x509', ...newKey(this.#ca), '-subj', '/CN=Test CA', '-days', '2');
  }

  get caFile(): string {
    return this.#ca.certFile;
  }

  /** A certificate for 127.0.0.1 and localhost, good for servers and clients. */
  issue(name: string): CertificatePair {
    const pair = this.#pair(name);
    const request = join(this.directory, `${name}.csr`);
    const extensions = join(this.directory, `${name}.ext`);
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    openssl('req', ...newKey({ ...pair, certFile: request }), '-subj', `/CN=${name}`);
    openssl(
      ...['x509', '-req', '-in', request, '-out', pair.certFile, '-days', '2', '-extfile', extensions],
      ...['-CA', this.#ca.certFile, '-CAkey', this.#ca.keyFile, '-CAcreateserial'],
    );
    return pair;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #pair(name: string): CertificatePair {
    return {
      certFile: join(this.directory, `${name}.pem`),
      keyFile: join(this.directory, `${name}-key.pem`),
    };
  }
}

function newKey({ certFile, keyFile }: CertificatePair): readonly string[] {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  return [...curve, '-keyout', keyFile, '-out', certFile];
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
