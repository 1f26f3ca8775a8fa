import {
  Server,
  type ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  status,
} from '@grpc/grpc-js';

export type HealthServer = { readonly server: Server; readonly port: number };

const serving: Readonly<Record<string, number>> = { '': 1, up: 1, down: 2, unknown: 0 };

function bytes(value: Buffer): Buffer {
  return value;
}

const health = {
  Check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
} as const;

function check(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
  const service = call.request.subarray(2).toString();
  if (service === 'hang') return;
  const shown = serving[service];
  if (shown === undefined) return answer({ code: status.NOT_FOUND, details: 'unknown service' });
  answer(null, Buffer.from(shown === 0 ? [] : [0x08, shown]));
}

/** A gRPC server whose health service knows `up`, `down`, `unknown`, `hang` and the server as a whole. */
export function startHealthServer(
  credentials: ServerCredentials,
  withHealth: boolean,
): Promise<HealthServer> {
  const server = new Server();
  if (withHealth) server.addService(health, { Check: check });
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
      error === null ? resolve({ server, port }) : reject(error),
    );
  });
}
