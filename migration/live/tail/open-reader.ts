import { Connection } from '../../source/connection.ts';
import { HttpLiveReader } from '../../source/http-live-reader.ts';
import type { LiveReader } from '../../source/live-reader.ts';
import type { GatewayPort, SourceSettings } from '../gateway-port.ts';
import type { TailLimits } from './limits.ts';
import type { Throttles } from './throttles.ts';

/** Attempts within one question; the loops that ask go on for as long as it takes. */
const attemptsMax = 2;

/** A wait for the own bound on requests that is worth a word, milliseconds. */
const noticedWaitMs = 100;

export function openReader(
  source: SourceSettings,
  gateway: GatewayPort,
  limits: TailLimits,
  throttles: Throttles,
): LiveReader {
  const open = (address: string, concurrencyMax: number, attempts = attemptsMax): Connection =>
    new Connection({
      address,
      ...(source.token === '' ? {} : { token: source.token }),
      tls: source.tls,
      timeoutMs: limits.timeoutMs,
      concurrencyMax,
      unpacked: true,
      // Half for what waits, half for short reads: neither starves the other.
      requestsPerSecondMax: Math.max(1, limits.requestsPerSecondMax / 2),
      attemptsMax: attempts,
      clock: gateway.clock,
      chance: gateway.random,
      onRetry: ({ reason, waitMs }) => throttles.note(`the source: ${reason}`, waitMs + 2000),
      onThrottle: (waitMs) => {
        if (waitMs >= noticedWaitMs)
          throttles.note(`own bound of ${limits.requestsPerSecondMax} requests/s`, 2000);
      },
    });
  const addresses = source.addresses.map((address) => ({
    waiting: open(address, limits.waitingMax),
    short: open(address, limits.shortMax),
    probe: open(address, 1, 1),
  }));
  return new HttpLiveReader(addresses, limits.timeoutMs, source.noticeMs);
}
