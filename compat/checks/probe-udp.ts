import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { startDeadline } from './deadline.ts';
import type { CheckDefinition } from './definition.ts';
import { goNetworkError, splitHostPort } from './go-errors.ts';
import type { Probe, ProbeResult } from './probe.ts';
import { networkTimeoutMs } from './probe-tcp.ts';

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
      const { address: ip, family } = await lookup(target.host);
      return await exchange(address, { ip, port: target.port, family }, deadline.signal);
    } catch (error) {
      return { status: 'critical', output: goNetworkError(error, 'udp', address) };
    } finally {
      deadline.dispose();
    }
  };
}

function exchange(
  address: string,
  target: { readonly ip: string; readonly port: number; readonly family: number },
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = createSocket(target.family === 6 ? 'udp6' : 'udp4');
    let open = true;
    const finish = (result: ProbeResult): void => {
      signal.removeEventListener('abort', succeed);
      if (open) socket.close();
      open = false;
      resolve(result);
    };
    const succeed = (): void => finish({ status: 'passing', output: `UDP connect ${address}: Success` });
    socket.on('error', (error) =>
      finish({ status: 'critical', output: goNetworkError(error, 'udp', address) }),
    );
    socket.once('message', succeed);
    if (signal.aborted) succeed();
    else signal.addEventListener('abort', succeed, { once: true });
    // Connected, so that the kernel reports "port unreachable" to this socket.
    socket.connect(target.port, target.ip, () => {
      if (open) socket.send(Buffer.alloc(0));
    });
  });
}
