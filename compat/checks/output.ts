/** Consul's limit for the output of a check, in bytes. */
export const outputBytesMaxDefault = 4096;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}

/** The first bytes of a text; a character cut in two becomes U+FFFD, as in Consul's answers. */
export function sliceUtf8(text: string, bytesMax: number): string {
  return decoder.decode(encoder.encode(text).subarray(0, bytesMax));
}

/** Cuts a text that should have been bounded already: the last defence before it is stored. */
export function clip(text: string, bytesMax: number): string {
  // A UTF-16 unit takes at most three bytes, so short texts need no encoding.
  if (text.length * 3 <= bytesMax || utf8Length(text) <= bytesMax) return text;
  return sliceUtf8(text, bytesMax);
}

/** Keeps the last bytes of a stream and counts them all: memory is bounded whatever a target sends. */
export class TailBuffer {
  readonly #bytesMax: number;
  #kept: Uint8Array = new Uint8Array(0);
  #bytesTotal = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Uint8Array): void {
    this.#bytesTotal += chunk.length;
    if (chunk.length >= this.#bytesMax) {
      // A copy, so that a large chunk is not kept alive by its tail.
      this.#kept = chunk.slice(chunk.length - this.#bytesMax);
      return;
    }
    const room = Math.min(this.#kept.length, this.#bytesMax - chunk.length);
    const joined = new Uint8Array(room + chunk.length);
    joined.set(this.#kept.subarray(this.#kept.length - room), 0);
    joined.set(chunk, room);
    this.#kept = joined;
  }

  text(): string {
    return decoder.decode(this.#kept);
  }

  /** The text, headed by how much of it is there when some was dropped. */
  textWithNote(): string {
    if (this.#bytesTotal <= this.#bytesMax) return this.text();
    return `Captured ${this.#bytesMax} of ${this.#bytesTotal} bytes\n...\n${this.text()}`;
  }
}
