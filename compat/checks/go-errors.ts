/**
 * Node's network errors in Go's words, as Consul shows them in a check's output: operators grep for
 * `connection refused`, and dashboards group by them.
 */
export function goNetworkError(error: unknown, network: 'tcp' | 'udp', dialed: string): string {
  const cause = firstCause(error);
  const code = cause.code ?? '';
  if (code === 'ENOTFOUND' || code === 'EAI_NODATA' || code === 'EAI_NONAME') {
    return `dial ${network}: lookup ${cause.hostname ?? dialed}: no such host`;
  }
  if (code === 'EAI_AGAIN') {
    return `dial ${network}: lookup ${cause.hostname ?? dialed}: Temporary failure in name resolution`;
  }
  const address = cause.address === undefined ? dialed : joinHostPort(cause.address, cause.port);
  const words = Object.hasOwn(errnoWords, code) ? errnoWords[code] : undefined;
  if (words === undefined) return tlsWords(cause) ?? cause.message;
  if (cause.syscall === 'connect') return `dial ${network} ${address}: connect: ${words}`;
  // The peer went away before it answered; Go says so in one word when the end was orderly.
  if (code === 'ECONNRESET' && cause.syscall === undefined) return 'EOF';
  const call = cause.syscall === 'write' || cause.syscall === 'send' ? 'write' : 'read';
  return `${call} ${network} ${address}: ${call}: ${words}`;
}

const errnoWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EINVAL: 'invalid argument',
  EPIPE: 'broken pipe',
  EMFILE: 'too many open files',
};

type NetworkError = {
  readonly message: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly host?: string;
  readonly cert?: { readonly subjectaltname?: string };
};

/** Node tries all addresses of a name and reports them together; Go reports the first. */
function firstCause(error: unknown): NetworkError {
  if (typeof error !== 'object' || error === null) return { message: String(error) };
  const { errors, ...fields } = fieldsOf(error);
  return Array.isArray(errors) && errors.length > 0 ? firstCause(errors[0]) : fields;
}

/** By shape, not by class: errors may come from another realm (a worker's context, a test's). */
function fieldsOf(error: object): NetworkError & { readonly errors?: unknown } {
  const { message, code, syscall, address, port, hostname, host, cert, errors } = error as Partial<
    NetworkError & { errors: unknown }
  >;
  const found = {
    message: message ?? 'unknown error',
    code,
    syscall,
    address,
    port,
    hostname,
    host,
    cert,
    errors,
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as NetworkError;
}

function tlsWords(error: NetworkError): string | undefined {
  switch (error.code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = (error.cert?.subjectaltname ?? '').replaceAll(/(DNS|IP Address):/g, '');
      return `x509: certificate is valid for ${names}, not ${error.host ?? ''}`;
    }
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'x509: certificate signed by unknown authority';
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return 'x509: certificate has expired or is not yet valid';
    default:
      return /wrong version number|packet length too long/.test(error.message)
        ? 'tls: first record does not look like a TLS handshake'
        : undefined;
  }
}

function joinHostPort(host: string, port: number | undefined): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return port === undefined ? shown : `${shown}:${port}`;
}

/** An address as Go's net.Dial takes it: `host:port`, `[::1]:port`, `:port`. The error is Go's text. */
export function splitHostPort(
  address: string,
): { readonly host: string; readonly port: number } | { readonly problem: string } {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(address);
  if (match === null) {
    const colons = address.split(':').length - 1;
    const why =
      colons > 1 && !address.includes(']') ? 'too many colons in address' : 'missing port in address';
    return { problem: `address ${address}: ${why}` };
  }
  const host = match[1] ?? match[2] ?? '';
  const port = match[3] ?? '';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) return { problem: `address ${port}: invalid port` };
  return { host: host === '' ? 'localhost' : host, port: Number(port) };
}
