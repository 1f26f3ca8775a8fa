/** Bytes of the length that stands before each frame of a stream. */
export const frameLengthBytes = 4;

/**
 * Cuts a stream into frames: a length of 4 bytes (big endian), then as many bytes. Takes chunks as they come and
 * copies each byte at most once; holds no more than the longest frame that is allowed and one chunk.
 */
export class FrameReader {
  /** Longest frame taken from now on; may grow once the sender is known. */
  bytesMax: number;
  readonly #chunks: Uint8Array[] = [];
  #held = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#held;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** The next whole frame; undefined: not there yet; 'oversized': what comes is too long, nothing can be read on. */
  next(): Uint8Array | 'oversized' | undefined {
    if (this.#held < frameLengthBytes) return undefined;
    const length = this.#peekLength();
    if (length > this.bytesMax) return 'oversized';
    if (this.#held < frameLengthBytes + length) return undefined;
    this.#take(frameLengthBytes);
    return this.#take(length);
  }

  #peekLength(): number {
    let length = 0;
    let wanted = frameLengthBytes;
    for (const chunk of this.#chunks) {
      for (let i = 0; i < chunk.length && wanted > 0; i++, wanted--)
        length = length * 256 + (chunk[i] as number);
      if (wanted === 0) break;
    }
    return length;
  }

  #take(length: number): Uint8Array {
    this.#held -= length;
    const first = this.#chunks[0];
    if (length === 0 || first === undefined) return new Uint8Array(0);
    if (first.length > length) {
      this.#chunks[0] = first.subarray(length);
      return first.subarray(0, length);
    }
    if (first.length === length) {
      this.#chunks.shift();
      return first;
    }
    const whole = new Uint8Array(length);
    let at = 0;
    let used = 0;
    for (const chunk of this.#chunks) {
      const part = chunk.length > length - at ? chunk.subarray(0, length - at) : chunk;
      whole.set(part, at);
      at += part.length;
      if (part.length < chunk.length) {
        this.#chunks[used] = chunk.subarray(part.length);
        break;
      }
      used++;
      if (at === length) break;
    }
    this.#chunks.splice(0, used);
    return whole;
  }
}
