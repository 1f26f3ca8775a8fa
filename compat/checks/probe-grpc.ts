import type { ChannelCredentials, Client, ServiceError } from '@grpc/grpc-js';
import type { CheckDefinition } from './definition.ts';
import type { Probe, ProbeResult } from './probe.ts';
import { networkTimeoutMs } from './probe-tcp.ts';

type Grpc = typeof import('@grpc/grpc-js');

const servingStatus = 1;

/**
 * Asks the gRPC health service (grpc.health.v1.Health/Check) of `host:port/service`; without a service the
 * server as a whole. Passes on SERVING only. The gRPC library is loaded by the first run of such a check.
 */
export function grpcProbe(definition: CheckDefinition): Probe {
  const slash = definition.grpc.indexOf('/');
  const server = slash < 0 ? definition.grpc : definition.grpc.slice(0, slash);
  const request = encodeHealthRequest(slash < 0 ? '' : definition.grpc.slice(slash + 1));
  return async (signal) => {
    const grpc = await import('@grpc/grpc-js');
    if (signal.aborted)
      return { status: 'critical', output: goStatus(grpc, grpc.status.CANCELLED, 'canceled') };
    const client = new grpc.Client(server, credentialsOf(grpc, definition), {
      // Each run speaks for itself: no shared connections, no proxies, no retries behind our back.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      ...(definition.tlsServerName !== '' && { 'grpc.ssl_target_name_override': definition.tlsServerName }),
    });
    try {
      return await ask(grpc, client, definition, request, signal);
    } finally {
      client.close();
    }
  };
}

function credentialsOf(grpc: Grpc, definition: CheckDefinition): ChannelCredentials {
  if (!definition.grpcUseTls) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(null, null, null, { rejectUnauthorized: !definition.tlsSkipVerify });
}

function ask(
  grpc: Grpc,
  client: Client,
  definition: CheckDefinition,
  request: Buffer,
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const call = client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (bytes: Buffer) => bytes,
      decodeHealthStatus,
      request,
      new grpc.Metadata(),
      { deadline: Date.now() + networkTimeoutMs(definition) },
      (error: ServiceError | null, status?: number) => {
        signal.removeEventListener('abort', cancel);
        resolve(error === null ? verdict(definition.grpc, status) : failure(grpc, error));
      },
    );
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
  });
}

function verdict(address: string, status: number | undefined): ProbeResult {
  if (status === servingStatus) return { status: 'passing', output: `gRPC check ${address}: success` };
  return { status: 'critical', output: "gRPC application didn't report service healthy" };
}

function failure(grpc: Grpc, error: ServiceError): ProbeResult {
  const late = error.code === grpc.status.DEADLINE_EXCEEDED;
  return {
    status: 'critical',
    output: goStatus(grpc, error.code, late ? 'context deadline exceeded' : error.details),
  };
}

/** `rpc error: code = NotFound desc = …`: the names of Go's status codes are the constants in camel case. */
function goStatus(grpc: Grpc, code: number, details: string): string {
  const name = (grpc.status[code] ?? 'UNKNOWN').toLowerCase();
  const goName = name.replaceAll(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
  return `rpc error: code = ${goName} desc = ${details}`;
}

/** HealthCheckRequest { string service = 1 }. */
export function encodeHealthRequest(service: string): Buffer {
  if (service === '') return Buffer.alloc(0);
  const name = Buffer.from(service);
  const length: number[] = [];
  let rest = name.length;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  return Buffer.concat([Buffer.from([0x0a, ...length, rest]), name]);
}

/** HealthCheckResponse { ServingStatus status = 1 }: other fields are unknown to the protocol; 0 = UNKNOWN. */
export function decodeHealthStatus(bytes: Buffer): number {
  // Field 1 as a varint of one byte: all statuses there are. Anything else is not SERVING.
  return bytes.length === 2 && bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0;
}
