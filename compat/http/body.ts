import { IncomingMessage } from 'node:http';

export type BodyOutcome =
  | { readonly kind: 'body'; readonly body: Uint8Array }
  /** More than allowed: `bytes` is the declared length, or as much as had come. */
  | { readonly kind: 'too-large'; readonly bytes: number }
  | { readonly kind: 'aborted' };

/**
 * A body that is too large is still read to its end, and thrown away, up to this size: most clients read the answer
 * only after they have sent all, and closing the connection meanwhile would show them a reset instead of the reason.
 */
export const drainBytesMax = 32 * 1024 * 1024;

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
  const take = (chunk: Uint8Array | null): void => {
    if (chunk === null) {
      if (bytes > bytesMax) finish({ kind: 'too-large', bytes });
      else {
        const body = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
        finish({ kind: 'body', body });
      }
      return;
    }
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else chunks = [];
    if (bytes > drainBytesMax && bytes > bytesMax) finish({ kind: 'too-large', bytes });
  };
  if (req instanceof DirectRequest && req.divert(take)) return;
  req.on('data', take);
  req.on('end', () => take(null));
  req.on('close', () => finish({ kind: 'aborted' }));
}

/**
 * A request whose body can go straight from the parser to who wants it. A stream would buffer it, and spend several
 * turns and events on a body that nearly always came in one piece.
 */
export class DirectRequest extends IncomingMessage {
  #take: ((chunk: Uint8Array | null) => void) | undefined;

  /** False when the parser is ahead: what it gave is in the stream, and must be read from there. */
  divert(take: (chunk: Uint8Array | null) => void): boolean {
    if (this.complete || this.readableLength > 0) return false;
    this.#take = take;
    return true;
  }

  override push(chunk: Uint8Array | null, encoding?: BufferEncoding): boolean {
    if (this.#take === undefined) return super.push(chunk, encoding);
    this.#take(chunk);
    return true;
  }
}
