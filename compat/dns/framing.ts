/** Chunks that are kept apart, for the memory that each of them costs beside its bytes. */
const chunksMax = 32;

/** Messages over TCP have their length before them, in two bytes (RFC 1035, 4.2.2). */
export class MessageReader {
  readonly #messageBytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#chunks.length > chunksMax) this.#join();
  }

  /** Whether what comes next is longer than any message that is taken. */
  get tooLong(): boolean {
    return this.#bytes >= 2 && this.#nextBytes() > this.#messageBytesMax;
  }

  /** The next whole message, if it is there. */
  next(): Buffer | undefined {
    if (this.#bytes < 2 || this.tooLong) return undefined;
    const length = this.#nextBytes();
    if (this.#bytes < 2 + length) return undefined;
    const all = this.#join();
    const rest = all.subarray(2 + length);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    return all.subarray(2, 2 + length);
  }

  #nextBytes(): number {
    const [first] = this.#chunks;
    return (first !== undefined && first.length >= 2 ? first : this.#join()).readUInt16BE(0);
  }

  #join(): Buffer {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first !== undefined) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}

export function withLength(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(2 + message.length);
  framed.writeUInt16BE(message.length, 0);
  message.copy(framed, 2);
  return framed;
}
