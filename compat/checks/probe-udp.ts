import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { startDeadline } from './deadline.ts';
import type { CheckDefinition } from './definition.ts';
import { goNetworkError, splitHostPort } from './go-errors.ts';
import type { Probe, ProbeResult } from './probe.ts';
import { networkTimeoutMs } from './probe-tcp.ts';
import { sharedLookup } from './shared-lookup.ts';

/**
 * Sends an empty datagram. Passes when something comes back or nothing at all within the timeout, since
 * UDP servers need not answer; critical when the port is reported closed. Consul 1.13 and later.
 */
export function udpProbe(definition: CheckDefinition): Probe {
  const address = definition.udp;
  const target = splitHostPort(address);
  if ('problem' in target) {
    const output = `dial udp: ${target.problem}`;
    return () => Promise.resolve({ status: 'critical', output });
  }
  return async (outer) => {
    const deadline = startDeadline(outer, networkTimeoutMs(definition));
    try {
      return await exchange(address, target, deadline.signal);
    } finally {
      deadline.dispose();
    }
  };
}

function exchange(
  address: string,
  target: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let socket: Socket | undefined;
    let over = false;
    const finish = (result: ProbeResult): void => {
      if (!over) socket?.close();
      over = true;
      signal.removeEventListener('abort', succeed);
      resolve(result);
    };
    // A name that is not found in time counts as silence too, as in Consul.
    const succeed = (): void => finish({ status: 'passing', output: `UDP connect ${address}: Success` });
    const fail = (error: unknown): void =>
      finish({ status: 'critical', output: goNetworkError(error, 'udp', address) });
    if (signal.aborted) succeed();
    else signal.addEventListener('abort', succeed, { once: true });
    sharedLookup(target.host, { all: false }, (error, ip) => {
      if (over) return;
      if (error !== null || typeof ip !== 'string') return fail(error);
      socket = createSocket(isIPv6(ip) ? 'udp6' : 'udp4');
      socket.on('error', fail);
      socket.once('message', succeed);
      // Connected, so that the kernel reports "port unreachable" to this socket.
      socket.connect(target.port, ip, () => {
        if (!over) socket?.send(Buffer.alloc(0));
      });
    });
  });
}
