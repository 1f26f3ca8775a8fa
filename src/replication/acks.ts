import { endpointText, type Endpoint } from '../wire/endpoint.ts';
import { hashText } from './hash.ts';
import { unsigned } from './messages.ts';
import type { Outbox } from './outbox.ts';

/** Collected for so long, so that what came in together is acknowledged together. Far below any retransmission. */
const collectMs = 4;
const tagsPerAckMax = 64;

interface Batch {
  readonly to: Endpoint;
  readonly tags: number[];
}

/** Acknowledgements owed, by where they go: back to the endpoint that the dots came from. */
export class Acks {
  readonly #outbox: Outbox;
  readonly #by: number;
  readonly #batches = new Map<string, Batch>();
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(outbox: Outbox, selfId: string) {
    this.#outbox = outbox;
    this.#by = unsigned(hashText(selfId));
  }

  get nextMs(): number {
    return this.#dueMs;
  }

  owe(to: Endpoint, tag: number, nowMs: number): void {
    const name = endpointText(to);
    let batch = this.#batches.get(name);
    if (batch === undefined) {
      batch = { to, tags: [] };
      this.#batches.set(name, batch);
      this.#dueMs = Math.min(this.#dueMs, nowMs + collectMs);
    }
    batch.tags.push(tag);
    if (batch.tags.length < tagsPerAckMax) return;
    this.#batches.delete(name);
    this.#send(batch);
  }

  tick(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = Number.POSITIVE_INFINITY;
    for (const batch of this.#batches.values()) this.#send(batch);
    this.#batches.clear();
  }

  #send({ to, tags }: Batch): void {
    this.#outbox.sendNow(to, 'packet', { kind: 'ack', by: this.#by, tags });
  }
}
