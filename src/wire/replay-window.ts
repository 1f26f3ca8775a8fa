const windowBits = 1024;
const wordBits = 32;

/**
 * Which counters of one session were seen, as IPsec's (RFC 6479): a bitmap that slides with the highest. What is
 * older than the bitmap counts as seen.
 */
export class ReplayWindow {
  readonly #bits = new Uint32Array(windowBits / wordBits);
  #highest = 0;

  has(counter: number): boolean {
    if (counter > this.#highest) return false;
    if (counter <= this.#highest - windowBits) return true;
    return ((this.#word(counter) >>> (counter % wordBits)) & 1) === 1;
  }

  add(counter: number): void {
    if (counter <= this.#highest - windowBits) return;
    if (counter > this.#highest) {
      this.#slideTo(counter);
    }
    const at = Math.floor(counter / wordBits) % this.#bits.length;
    this.#bits[at] = (this.#word(counter) | (1 << (counter % wordBits))) >>> 0;
  }

  #word(counter: number): number {
    return this.#bits[Math.floor(counter / wordBits) % this.#bits.length] as number;
  }

  #slideTo(counter: number): void {
    const passed = counter - this.#highest;
    if (passed >= windowBits) {
      this.#bits.fill(0);
    } else {
      for (let each = this.#highest + 1; each <= counter; each++) {
        const at = Math.floor(each / wordBits) % this.#bits.length;
        this.#bits[at] = ((this.#bits[at] as number) & ~(1 << (each % wordBits))) >>> 0;
      }
    }
    this.#highest = counter;
  }
}
