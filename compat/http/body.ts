import type { IncomingMessage } from 'node:http';

export type BodyOutcome =
  | { readonly kind: 'body'; readonly body: Uint8Array }
  /** More than allowed: `bytes` is the declared length, or as much as had come. */
  | { readonly kind: 'too-large'; readonly bytes: number }
  | { readonly kind: 'aborted' };

/**
 * A body that is too large is still read to its end, and thrown away, up to this size: most clients read the answer
 * only after they have sent all, and closing the connection meanwhile would show them a reset instead of the reason.
 */
export const drainBytesMax = 16 * 1024 * 1024;

const none = new Uint8Array();

/** Reads a body while counting its bytes: what exceeds the limit is never held in memory. */
export function readBody(req: IncomingMessage, bytesMax: number, done: (outcome: BodyOutcome) => void): void {
  const declared = req.headers['content-length'];
  const declaredBytes = declared === undefined ? 0 : Number(declared);
  if (declaredBytes > drainBytesMax && declaredBytes > bytesMax) {
    done({ kind: 'too-large', bytes: declaredBytes });
    return;
  }
  if (declared === '0' || (declared === undefined && req.headers['transfer-encoding'] === undefined)) {
    done({ kind: 'body', body: none });
    return;
  }
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  let finished = false;
  const finish = (outcome: BodyOutcome): void => {
    if (finished) return;
    finished = true;
    done(outcome);
  };
  req.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else chunks = [];
    if (bytes > drainBytesMax && bytes > bytesMax) finish({ kind: 'too-large', bytes });
  });
  req.on('end', () => {
    if (bytes > bytesMax) finish({ kind: 'too-large', bytes });
    else
      finish({ kind: 'body', body: chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks) });
  });
  req.on('close', () => finish({ kind: 'aborted' }));
}
