const headerBytes = 12;
/** Pointers have 14 bits. */
const pointedMax = 0x3fff;

/** Which record types have names that may be compressed (RFC 3597, 4), and where in their data they stand. */
const namesByType: ReadonlyMap<number, { readonly at: number; readonly names: number }> = new Map([
  [2, { at: 0, names: 1 }],
  [5, { at: 0, names: 1 }],
  [6, { at: 0, names: 2 }],
  [12, { at: 0, names: 1 }],
]);
const srvType = 33;
const srvTargetAt = 6;

/**
 * Compresses the names of a packet (RFC 1035, 4.1.4), which the codec does not do. The packet must be well formed and
 * have no pointers yet. Names count as equal with the same letters only, so that each keeps its case.
 */
export function compressNames(packet: Buffer): Buffer {
  const writer = new Compressor(packet);
  const count = (at: number): number => packet.readUInt16BE(at);
  writer.copy(headerBytes);
  for (let i = 0; i < count(4); i++) {
    writer.name(true);
    writer.copy(4);
  }
  for (let i = count(6) + count(8) + count(10); i > 0; i--) writer.record();
  return writer.finish();
}

class Compressor {
  readonly #from: Buffer;
  readonly #to: Buffer;
  /** Where each name, and each tail of a name, was written. */
  readonly #known = new Map<string, number>();
  #read = 0;
  #written = 0;

  constructor(packet: Buffer) {
    this.#from = packet;
    this.#to = Buffer.allocUnsafe(packet.length);
  }

  finish(): Buffer {
    return this.#to.subarray(0, this.#written);
  }

  copy(bytes: number): void {
    this.#from.copy(this.#to, this.#written, this.#read, this.#read + bytes);
    this.#read += bytes;
    this.#written += bytes;
  }

  record(): void {
    this.name(true);
    const type = this.#from.readUInt16BE(this.#read);
    this.copy(10);
    const lengthAt = this.#written - 2;
    const end = this.#read + this.#from.readUInt16BE(this.#read - 2);
    const names = namesByType.get(type);
    if (names !== undefined) {
      this.copy(names.at);
      for (let i = 0; i < names.names; i++) this.name(true);
    } else if (type === srvType) {
      this.copy(srvTargetAt);
      // Not compressed itself (RFC 2782), but the name of the address record after it may point here.
      this.name(false);
    }
    this.copy(end - this.#read);
    this.#to.writeUInt16BE(this.#written - lengthAt - 2, lengthAt);
  }

  name(pointing: boolean): void {
    const end = this.#endOfName();
    while (this.#read < end - 1) {
      const rest = this.#from.toString('latin1', this.#read, end);
      const known = this.#known.get(rest);
      if (known !== undefined && pointing) {
        this.#to.writeUInt16BE(0xc000 | known, this.#written);
        this.#written += 2;
        this.#read = end;
        return;
      }
      if (known === undefined && this.#written <= pointedMax) this.#known.set(rest, this.#written);
      this.copy(1 + (this.#from[this.#read] as number));
    }
    this.copy(1);
  }

  #endOfName(): number {
    let at = this.#read;
    while (this.#from[at] !== 0) at += 1 + (this.#from[at] as number);
    return at + 1;
  }
}
