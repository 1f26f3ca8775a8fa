import type { ReplicatedRecord } from '../crdt/dot.ts';
import type { DotBody } from './body.ts';

// Estimates of encoded sizes, cheap and a little high: what is packed by them may be off, never wrong, since a message
// that does not fit a packet goes over the stream.

/** So much of messages is put into one packet of about 1,200 bytes: the rest is the envelope. */
export const packetBytes = 1100;

/** From here on a batch goes over the stream: hundreds of packets at once overrun the buffers of sockets. */
export const streamBytesMin = 24 * 1024;
export const streamChunkBytes = 48 * 1024;

export const dotsHeaderBytes = 48;
export const headBytes = 36;
export const claimBytes = 24;
export const headsHeaderBytes = 48;

export function recordBytes(record: Pick<ReplicatedRecord, 'key' | 'ix' | 'value'>): number {
  return 30 + record.key.length + (record.ix?.length ?? 0) + (record.value?.length ?? 0);
}

export function bodyBytes(body: DotBody): number {
  let bytes = 8;
  for (const record of body.records) bytes += recordBytes(record);
  return bytes;
}

export interface Chunk {
  readonly dots: readonly DotBody[];
  readonly bytes: number;
  readonly lane: 'packet' | 'stream';
}

/** Cuts dots into messages: packets, unless they are so many that a stream is better. What is too large goes alone. */
export function chunked(dots: readonly DotBody[]): readonly Chunk[] {
  const sizes = dots.map(bodyBytes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total + dotsHeaderBytes <= packetBytes)
    return [{ dots, bytes: total + dotsHeaderBytes, lane: 'packet' }];
  const many = total > streamBytesMin;
  const bytesMax = many ? streamChunkBytes : packetBytes;
  const chunks: Chunk[] = [];
  let first = 0;
  let bytes = dotsHeaderBytes;
  for (let i = 0; i <= dots.length; i++) {
    const size = sizes[i];
    if (i > first && (size === undefined || bytes + size > bytesMax)) {
      const lane = many || bytes > packetBytes ? 'stream' : 'packet';
      chunks.push({ dots: dots.slice(first, i), bytes, lane });
      first = i;
      bytes = dotsHeaderBytes;
    }
    bytes += size ?? 0;
  }
  return chunks;
}
