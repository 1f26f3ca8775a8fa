import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatGoDuration, nsPerMs } from '../wire/go-duration.ts';

/** Where a line for each request goes, while somebody reads lines of that level. */
export interface RequestLog {
  /** Asked for each request: what nobody reads costs next to nothing. */
  readonly wanted: () => boolean;
  readonly write: (facts: RequestFacts) => void;
}

/** What Consul's log says of a request (at the level debug, as `Request finished`), in this order. */
export interface RequestFacts {
  readonly method: string;
  /** Without the secret of a `token` parameter. */
  readonly url: string;
  /** Address and port of the client. */
  readonly from: string;
  /** From the request's headers to the end of the answer, as Go writes it: `1.5ms`. */
  readonly latency: string;
}

/** Has the request logged when it is answered, or when its client went away. */
export function logRequest(log: RequestLog, req: IncomingMessage, res: ServerResponse): void {
  const since = performance.now();
  const { remoteAddress = '', remotePort = '' } = req.socket;
  res.once('close', () => {
    log.write({
      method: req.method ?? '',
      url: (req.url ?? '').replaceAll(/([?&]token=)[^&]*/g, '$1<hidden>'),
      from: `${remoteAddress}:${remotePort}`,
      latency: formatGoDuration(Math.round((performance.now() - since) * nsPerMs)),
    });
  });
}
