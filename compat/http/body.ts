import type { IncomingMessage } from 'node:http';

export type BodyOutcome =
  | { readonly kind: 'body'; readonly body: Uint8Array }
  /** More than allowed: `bytes` is the declared length, or what had come when the limit was passed. */
  | { readonly kind: 'too-large'; readonly bytes: number }
  | { readonly kind: 'aborted' };

const none = new Uint8Array();

/** Reads a body while counting its bytes: what exceeds the limit is refused before it is held in memory. */
export function readBody(req: IncomingMessage, bytesMax: number, done: (outcome: BodyOutcome) => void): void {
  const declared = req.headers['content-length'];
  if (declared !== undefined && Number(declared) > bytesMax) {
    done({ kind: 'too-large', bytes: Number(declared) });
    return;
  }
  if (declared === '0' || (declared === undefined && req.headers['transfer-encoding'] === undefined)) {
    done({ kind: 'body', body: none });
    return;
  }
  let first: Uint8Array | undefined;
  let chunks: Uint8Array[] | undefined;
  let bytes = 0;
  let finished = false;
  const finish = (outcome: BodyOutcome): void => {
    if (finished) return;
    finished = true;
    done(outcome);
  };
  req.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      req.removeAllListeners('data');
      req.resume();
      finish({ kind: 'too-large', bytes });
    } else if (first === undefined) first = chunk;
    else (chunks ??= [first]).push(chunk);
  });
  req.on('end', () =>
    finish({ kind: 'body', body: chunks === undefined ? (first ?? none) : Buffer.concat(chunks) }),
  );
  req.on('close', () => finish({ kind: 'aborted' }));
}
