import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { nsPerMs } from '../wire/go-duration.ts';
import { startDeadline } from './deadline.ts';
import type { CheckDefinition } from './definition.ts';
import { goNetworkError, splitHostPort } from './go-errors.ts';
import type { Probe, ProbeResult } from './probe.ts';
import { sharedLookup } from './shared-lookup.ts';

/** Consul's default Timeout of network checks. */
export const networkTimeoutMsDefault = 10_000;

export function networkTimeoutMs(definition: CheckDefinition): number {
  return definition.timeoutNs > 0 ? definition.timeoutNs / nsPerMs : networkTimeoutMsDefault;
}

/** Passes when a connection (with TCPUseTLS: a TLS session) comes about; nothing is sent. */
export function tcpProbe(definition: CheckDefinition): Probe {
  const address = definition.tcp;
  const target = splitHostPort(address);
  if ('problem' in target) {
    const output = `dial tcp: ${target.problem}`;
    return () => Promise.resolve({ status: 'critical', output });
  }
  return async (outer) => {
    const deadline = startDeadline(outer, networkTimeoutMs(definition));
    try {
      return await connectOnce(definition, target, deadline.signal);
    } finally {
      deadline.dispose();
    }
  };
}

function connectOnce(
  definition: CheckDefinition,
  target: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = open(definition, target);
    const finish = (result: ProbeResult): void => {
      signal.removeEventListener('abort', giveUp);
      socket.destroy();
      resolve(result);
    };
    const giveUp = (): void =>
      finish({ status: 'critical', output: `dial tcp ${definition.tcp}: i/o timeout` });
    socket.once(definition.tcpUseTls ? 'secureConnect' : 'connect', () =>
      finish({ status: 'passing', output: `TCP connect ${definition.tcp}: Success` }),
    );
    // Stays on: a destroyed socket may still report.
    socket.on('error', (error) =>
      finish({ status: 'critical', output: goNetworkError(error, 'tcp', definition.tcp) }),
    );
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}

function open(definition: CheckDefinition, target: { readonly host: string; readonly port: number }): Socket {
  if (!definition.tcpUseTls) return connectTcp({ ...target, lookup: sharedLookup });
  const servername = definition.tlsServerName || (isIP(target.host) === 0 ? target.host : '');
  return connectTls({
    ...target,
    lookup: sharedLookup,
    servername,
    rejectUnauthorized: !definition.tlsSkipVerify,
  });
}
